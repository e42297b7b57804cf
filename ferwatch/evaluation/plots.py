"""Draws confusion matrices and reliability diagrams as PNG files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ferwatch.evaluation.metrics import reliability
from ferwatch.records import EMOTIONS
from ferwatch.utils.files import atomic_write

TRAIN, TEST = "#0072b2", "#d55e00"  # blue and vermilion of Okabe and Ito's colour-blind-safe palette


@contextmanager
def _picture(path: Path, columns: int, width: float, height: float) -> Iterator[NDArray[np.object_]]:
    """Yield axes (columns,) to draw on; the picture is written to `path` at the end."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    yield axes
    with atomic_write(path) as temp_path:
        figure.savefig(temp_path, dpi=110)


def draw_confusion(confusion: list[list[int]], title: str, path: Path, rows: str = "label") -> None:
    """Draw a confusion matrix, coloured by the share of each label's images, with the counts in the cells.

    Args:
        confusion: (7, 7) counts; rows: the label, columns: the answer.
        rows: title of the vertical axis.
    """
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with _picture(path, 1, 6.4, 5.6) as (axes,):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(EMOTIONS)), EMOTIONS)
        for row, column in np.ndindex(counts.shape):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=color)
        axes.set(xlabel="answer", ylabel=rows, title=title)


def draw_reliability(probabilities: NDArray[np.float64], labels: NDArray[np.int64], title: str, path: Path) -> None:
    """Draw accuracy against confidence over 15 bins, with the number of answers in each bin."""
    counts, confidence, accuracy = reliability(probabilities, labels)
    some = counts > 0
    with _picture(path, 1, 5.2, 5.2) as (axes,):
        axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="perfectly calibrated")
        axes.plot(confidence[some], accuracy[some], color=TRAIN, marker="o", label="measured")
        axes.bar(
            (np.arange(len(counts)) + 0.5) / len(counts),
            counts / counts.sum(),
            0.9 / len(counts),
            color="0.85",
            label="share of the answers",
        )
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=title)
        _finish(axes, "confidence", "share that is right")
        axes.legend(frameon=False, loc="upper left")


def _finish(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
