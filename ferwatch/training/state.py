"""A training's progress on disk: its curve, and all that it needs to be continued."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ferwatch.errors import DataError
from ferwatch.models.checkpoint import read_plain
from ferwatch.training.curves import Epoch
from ferwatch.training.recipe import Recipe
from ferwatch.utils.files import atomic_write


def checksum(*parts: str | Tensor | NDArray[Any]) -> str:
    """Return the SHA-256 of texts, tensors and arrays."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            part = part.detach().cpu().numpy()
        digest.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class State:
    """Contents of state.pt."""

    path: Path
    recipe: Recipe
    inputs: str
    """Checksum of all that the training depends on beside the recipe: faces, teachers, the network it starts from; and
    of the test faces, by which its curve is measured."""
    learner: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer

    def save(self, curve: list[Epoch]) -> None:
        """Writes it after an epoch."""
        with atomic_write(self.path) as temp_path:
            torch.save(
                {
                    "recipe": self.recipe.as_dict(),
                    "inputs": self.inputs,
                    "learner": self.learner.state_dict(),
                    "averaged": self.averaged.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "curve": [astuple(epoch) for epoch in curve],
                },
                temp_path,
            )

    def load(self, device: str) -> list[Epoch]:
        """Continues from the file where there is one; returns the curve so far.

        Raises WeightsError where the file is damaged, and DataError where it belongs to another recipe or other inputs.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            return []
        state = read_plain(self.path, device)
        if not Recipe(**state["recipe"]).trains_like(self.recipe):
            raise DataError(f"{self.path} is of another recipe; train into another folder with --out, or remove it")
        if state.get("inputs", self.inputs) != self.inputs:
            raise DataError(
                f"{self.path} is of other training or test faces, teachers or weights to start from; train into "
                "another folder with --out, or remove it"
            )
        self.learner.load_state_dict(state["learner"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        return [Epoch(*epoch) for epoch in state["curve"]]
