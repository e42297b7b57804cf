"""The style of explanatory figures: 16:9 slides with a title, a caption and the content between them."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ferwatch.records import EMOTIONS, BoundingBox
from ferwatch.render.palette import PALETTE, ink_on
from ferwatch.utils.files import atomic_write

WIDTH, HEIGHT, DPI = 12.8, 7.2, 120  # inches: 1536x864 pixels
LEFT, RIGHT, BOTTOM, TOP = 0.045, 0.955, 0.135, 0.865
"""Edges of the content, in fractions of the slide."""
INK, FAINT_INK = "#1B1F24", "#5E6470"
ACCENT = "#D55E00"
VALUE_COLORMAP, SIGNED_COLORMAP = "viridis", "RdBu_r"
"""Colour maps for values from 0 up, and for values on both sides of 0."""

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Picture:
    """A rendered slide and the text that explains it."""

    name: str
    title: str
    explanation: str
    """Two or three sentences that stand beside the slide on the HTML page."""
    png: bytes
    """The slide as a PNG file."""

    def write(self, path: Path) -> None:
        """Write the PNG file. Raises OSError."""
        with atomic_write(path) as temp_path:
            temp_path.write_bytes(self.png)


def slide(title: str, caption: str) -> Figure:
    """Return a new slide with a title, a caption and no content."""
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(LEFT, 0.945, title, fontsize=23, fontweight="bold", color=INK, va="center")
    figure.text(LEFT, 0.055, textwrap.fill(caption, 118), fontsize=12.5, color=FAINT_INK, va="center", linespacing=1.4)
    return figure


def render(figure: Figure) -> bytes:
    """Return the slide as the bytes of a PNG file."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    return png.getvalue()


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add and return axes without frame and ticks; the place is in fractions of the content's area."""
    across, up = RIGHT - LEFT, TOP - BOTTOM
    axes = figure.add_axes((LEFT + left * across, BOTTOM + bottom * up, width * across, height * up))
    axes.set_axis_off()
    return axes


def show(axes: Axes, image: NDArray[Any], cmap: str, low: float, high: float) -> AxesImage:
    """Draw an image enlarged without smoothing, with the colour map from `low` to `high`; NaN stays white."""
    return axes.imshow(image, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")


def label(axes: Axes, text: str, size: float = 13) -> None:
    """Write a title of `size` points above axes."""
    axes.set_title(text, fontsize=size, color=INK, pad=7)


def colour_bar(figure: Figure, image: AxesImage, text: str, at: tuple[float, float, float, float]) -> None:
    """Draw a vertical colour bar at (left, bottom, width, height) in fractions of the content's area."""
    axes = place(figure, *at)
    axes.set_axis_on()
    bar = figure.colorbar(image, cax=axes)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=11, color=FAINT_INK, labelcolor=INK, length=3)
    bar.set_label(text, fontsize=12, color=INK)


def show_gray(axes: Axes, crop: NDArray[np.uint8], text: str = "") -> None:
    """Draw a gray image (H, W) uint8."""
    show(axes, crop.astype(np.float32), "gray", 0, 255)
    if text:
        label(axes, text)


def show_frame(axes: Axes, image: NDArray[np.uint8], box: BoundingBox, text: str = "") -> None:
    """Draw a frame (H, W, 3) uint8 BGR with a face's box."""
    axes.imshow(image[..., ::-1])
    x, y, w, h = box
    line = max(2.0, 3 * min(1.0, w / image.shape[1] * 3))
    axes.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor="white", linewidth=line + 2))
    axes.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=ACCENT, linewidth=line))
    if text:
        label(axes, text)


def tint(crop: NDArray[np.uint8], values: Array, cmap: str) -> Array:
    """Return the crop (48, 48) coloured by a coarse map of values 0 to 1: (48, 48, 3) RGB of the same brightness."""
    side = len(crop)
    coarse = cv2.resize(np.asarray(values, np.float32), (side, side), interpolation=cv2.INTER_NEAREST)
    light = (crop.astype(float) - crop.min()) / max(1, int(np.ptp(crop)))
    return colormaps[cmap](np.clip(coarse, 0, 1))[..., :3] * (0.35 + 0.65 * light[..., None])


def probability_bars(axes: Axes, probabilities: Array, text: str = "", spread: Array | None = None) -> None:
    """Draw seven horizontal bars from 0 to 1, in the order of EMOTIONS; `spread` (7,) is drawn as whiskers."""
    axes.set_axis_on()
    axes.barh(EMOTIONS, np.ones(7), color="#F1F2F4", height=0.72)
    axes.barh(EMOTIONS, probabilities, color=[PALETTE[e] for e in EMOTIONS], height=0.72)
    whisker = np.zeros(7) if spread is None else spread
    if spread is not None:
        axes.errorbar(probabilities, range(7), xerr=spread, fmt="none", ecolor=INK, elinewidth=1.3, capsize=3)
    for row, p in enumerate(probabilities):
        inside = p > 0.75
        axes.text(
            p - whisker[row] - 0.02 if inside else p + whisker[row] + 0.02,
            row,
            f"{p:.1%}",
            va="center",
            ha="right" if inside else "left",
            fontsize=11,
            fontweight="bold" if p == max(probabilities) else "normal",
            color=ink_on(PALETTE[EMOTIONS[row]]) if inside else INK,
        )
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0, labelsize=12.5, labelcolor=INK)
    axes.spines[:].set_visible(False)
    if text:
        label(axes, text)


def limit(values: Array) -> float:
    """Return the upper end of a colour scale: the 99.8th percentile of the absolute values, without outliers."""
    return float(np.nanquantile(np.abs(values), 0.998)) or 1.0


def mosaic(images: Array, columns: int, gap: int = 1) -> Array:
    """Return `images` (C, h, w) or (C, h, w, 3) as one picture with rows of `columns`, and NaN in the gaps."""
    count, height, width = images.shape[:3]
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *images.shape[3:]), np.nan)
    for i, image in enumerate(images):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        sheet[y : y + height, x : x + width] = image
    return sheet


def columns_for(count: int, aspect: float) -> int:
    """Return the number of columns that fit `count` squares into an area `aspect` times as wide as high."""

    def cost(columns: int) -> float:
        rows = -(-count // columns)
        empty = 1 - count / (rows * columns)
        return abs(float(np.log(columns / rows / aspect))) + 2 * empty

    return min(range(1, count + 1), key=cost)
