"""A training's progress on disk: its curve, and all that it needs to be continued."""

from __future__ import annotations

import csv
import math
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import torch
from torch import nn

from ferwatch.outputs.whole import whole_file
from ferwatch.records import DataError
from ferwatch.training.recipe import Recipe
from ferwatch.weights import read_plain


@dataclass(frozen=True)
class Epoch:
    """One line of curve.csv."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    public_test_loss: float
    public_test_accuracy: float
    seconds: float
    public_test_crowd: float = math.nan
    """Share of PublicTest's images on which the crowd head agrees with the majority of FER+'s voters; nan without."""


@dataclass(frozen=True)
class State:
    """What state.pt holds."""

    path: Path
    recipe: Recipe
    learner: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer

    def save(self, curve: list[Epoch]) -> None:
        """Writes it after an epoch."""
        with whole_file(self.path) as beside:
            torch.save(
                {
                    "recipe": self.recipe.as_dict(),
                    "learner": self.learner.state_dict(),
                    "averaged": self.averaged.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "curve": [astuple(epoch) for epoch in curve],
                },
                beside,
            )

    def load(self, device: str) -> list[Epoch]:
        """Continues from the file where there is one; returns the curve so far.

        Raises WeightsError where the file is damaged, and DataError where it belongs to another recipe.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            return []
        state = read_plain(self.path, device)
        if Recipe(**state["recipe"]) != self.recipe:
            raise DataError(f"{self.path} is of another recipe; train into another folder with --out, or remove it")
        self.learner.load_state_dict(state["learner"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        return [Epoch(*epoch) for epoch in state["curve"]]


def write_curve(path: Path, curve: list[Epoch]) -> None:
    """One line an epoch."""
    with whole_file(path) as beside, open(beside, "w", encoding="utf-8", newline="") as f:
        lines = csv.writer(f, lineterminator="\n")
        lines.writerow([column.name for column in fields(Epoch)])
        lines.writerows(
            [["" if v != v else v if isinstance(v, int) else f"{v:.5g}" for v in astuple(epoch)] for epoch in curve]
        )
