"""The look of every picture: one 16:9 slide with a title, a caption, and what both leave room for."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ferwatch.outputs.whole import whole_file
from ferwatch.palette import PALETTE
from ferwatch.records import EMOTIONS, Box

WIDTH, HEIGHT, DPI = 12.8, 7.2, 120  # inches: 1536x864 pixels
LEFT, RIGHT, BOTTOM, TOP = 0.045, 0.955, 0.155, 0.85
"""Where the content lies, in fractions of the slide."""
INK, FAINT = "#1B1F24", "#5E6470"
ACCENT = "#D55E00"
VALUES, SIGNED = "viridis", "RdBu_r"
"""Colour scales of values from 0 up, and of values on both sides of 0."""

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Picture:
    """One slide, and what to say about it."""

    name: str
    title: str
    explanation: str
    """Two or three sentences for the page."""
    figure: Figure

    def write(self, path: Path) -> None:
        """Writes it as PNG."""
        with whole_file(path) as beside:
            self.figure.savefig(beside, dpi=DPI, metadata={"Software": None})


def slide(title: str, caption: str) -> Figure:
    """An empty slide."""
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(LEFT, 0.945, title, fontsize=23, fontweight="bold", color=INK, va="center")
    figure.text(LEFT, 0.055, textwrap.fill(caption, 138), fontsize=12.5, color=FAINT, va="center", linespacing=1.4)
    return figure


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Bare axes; left, bottom, width and height are fractions of the content's area."""
    across, up = RIGHT - LEFT, TOP - BOTTOM
    axes = figure.add_axes((LEFT + left * across, BOTTOM + bottom * up, width * across, height * up))
    axes.set_axis_off()
    return axes


def show(axes: Axes, image: Array, cmap: str, low: float, high: float) -> AxesImage:
    """An enlargement without smoothing; NaN stays white."""
    return axes.imshow(image, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")


def label(axes: Axes, text: str, size: float = 13) -> None:
    axes.set_title(text, fontsize=size, color=INK, pad=7)


def colour_bar(figure: Figure, image: AxesImage, text: str, at: tuple[float, float, float, float]) -> None:
    """A vertical colour bar at (left, bottom, width, height) in fractions of the content's area."""
    axes = place(figure, *at)
    axes.set_axis_on()
    bar = figure.colorbar(image, cax=axes)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(labelsize=11, color=FAINT, labelcolor=INK, length=3)
    bar.set_label(text, fontsize=12, color=INK)


def show_gray(axes: Axes, crop: NDArray[np.uint8], text: str = "") -> None:
    show(axes, crop, "gray", 0, 255)
    if text:
        label(axes, text)


def show_frame(axes: Axes, image: NDArray[np.uint8], box: Box, text: str = "") -> None:
    """A BGR frame with a face's box."""
    axes.imshow(image[..., ::-1])
    x, y, w, h = box
    line = max(2.0, 3 * min(1.0, w / image.shape[1] * 3))
    axes.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor="white", linewidth=line + 2))
    axes.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=ACCENT, linewidth=line))
    if text:
        label(axes, text)


def probability_bars(axes: Axes, probabilities: Array, text: str = "", highest: float = 1.0) -> None:
    """Seven horizontal bars on a scale from 0 to `highest`, in the order of EMOTIONS."""
    axes.set_axis_on()
    axes.barh(EMOTIONS, np.full(7, highest), color="#F1F2F4", height=0.72)
    axes.barh(EMOTIONS, probabilities, color=[PALETTE[e] for e in EMOTIONS], height=0.72)
    for row, p in enumerate(probabilities):
        inside = p > 0.8 * highest
        axes.text(
            p - 0.015 * highest if inside else p + 0.015 * highest,
            row,
            f"{p:.1%}",
            va="center",
            ha="right" if inside else "left",
            fontsize=11,
            fontweight="bold" if p == max(probabilities) else "normal",
            color=_on(PALETTE[EMOTIONS[row]]) if inside else INK,
        )
    axes.invert_yaxis()
    axes.set_xlim(0, highest)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0, labelsize=12.5, labelcolor=INK)
    axes.spines[:].set_visible(False)
    if text:
        label(axes, text)


def _on(colour: str) -> str:
    """Black or white, whichever reads better on a colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def limit(values: Array) -> float:
    """The end of a colour scale: what all but 0.2% of the values stay below, so that one outlier does not dim the rest."""
    return float(np.nanquantile(np.abs(values), 0.998)) or 1.0


def mosaic(images: Array, columns: int, gap: int = 1) -> Array:
    """(C, h, w[, 3]) -> one picture of rows of `columns` images, NaN between them."""
    count, height, width = images.shape[:3]
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *images.shape[3:]), np.nan)
    for i, image in enumerate(images):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        sheet[y : y + height, x : x + width] = image
    return sheet


def columns_for(count: int, aspect: float) -> int:
    """Columns that bring `count` squares nearest to a field `aspect` times as wide as high, without a ragged last row
    where that costs little."""
    ideal = (count * aspect) ** 0.5
    candidates = range(1, count + 1)

    def cost(columns: int) -> float:
        rows = -(-count // columns)
        empty = 1 - count / (rows * columns)
        return abs(np.log(columns / rows / aspect)) + empty

    return min(candidates, key=lambda c: (cost(c), abs(c - ideal)))
