"""Learning curves: one line an epoch, as a table and as a picture."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from ferwatch.evaluation.plots import TEST, TRAIN, _finish, _picture
from ferwatch.utils.files import atomic_write


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


def write_curve(path: Path, curve: list[Epoch]) -> None:
    """One line an epoch."""
    with atomic_write(path) as temp_path, open(temp_path, "w", encoding="utf-8", newline="") as f:
        lines = csv.writer(f, lineterminator="\n")
        lines.writerow([column.name for column in fields(Epoch)])
        lines.writerows([[_cell(value) for value in astuple(epoch)] for epoch in curve])


def read_curve(path: Path) -> list[Epoch]:
    """The curve in a file that `write_curve` wrote; empty where there is none."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as f:
        lines = csv.reader(f)
        next(lines, None)  # the names of the columns
        return [Epoch(int(epoch), *(float(value or "nan") for value in values)) for epoch, *values in lines]


def _cell(value: float) -> int | float | str:
    if isinstance(value, int):
        return value
    return "" if math.isnan(value) else f"{value:.5g}"


def draw_curves(curve: Sequence[Epoch], path: Path) -> None:
    """Loss and accuracy against epochs."""
    epochs = [line.epoch for line in curve]
    with _picture(path, 2, 10, 4) as (loss, accuracy):
        loss.plot(epochs, [line.train_loss for line in curve], color=TRAIN, label="training, all its targets")
        loss.plot(epochs, [line.public_test_loss for line in curve], color=TEST, label="PublicTest")
        loss.axhline(np.log(7), color="0.6", linewidth=0.8, linestyle=":")
        loss.annotate(
            "ln 7: knows nothing", (epochs[-1], np.log(7)), (0, 3), textcoords="offset points", ha="right", color="0.4"
        )
        accuracy.plot(
            epochs, [100 * line.train_accuracy for line in curve], color=TRAIN, label="training, as augmented"
        )
        accuracy.plot(epochs, [100 * line.public_test_accuracy for line in curve], color=TEST, label="PublicTest")
        for axes, title in ((loss, "loss"), (accuracy, "accuracy, %")):
            _finish(axes, "epoch", title)
            axes.legend(frameon=False)
