"""Draws agreement.png: both bands of every recording one under the other, and where they differ."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferwatch.render.palette import PALETTE, ink_on
from ferwatch.study.agreement import Agreement
from ferwatch.study.bands import Event, overlay
from ferwatch.study.pairing import Pair
from ferwatch.timeline.model import LABELS
from ferwatch.utils.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RECORDINGS_PER_PICTURE = 20
OTHER_COLORS = ("#882255", "#117733", "#999933", "#332288", "#AA4499", "#44AA99", "#661100", "#DDCC77")
"""Colours for labels that are not emotions of ferwatch, in turn (Paul Tol's muted scheme)."""
INK, FAINT_INK, TRACK_COLOR, DIFFERENCE_COLOR = "#24292F", "#5E6470", "#F1F2F4", "#1B1F24"
WIDTH, LANE, HEAD, FOOT, LEFT, RIGHT = 11.0, 1.15, 0.95, 0.55, 1.9, 0.3  # inches


def write_pictures(agreement: Agreement, out: Path) -> list[Path]:
    """Writes agreement.png, and agreement-2.png and so on for more than 20 recordings; returns the files."""
    files = []
    for number, first in enumerate(range(0, len(agreement.pairs), RECORDINGS_PER_PICTURE), start=1):
        pairs = agreement.pairs[first : first + RECORDINGS_PER_PICTURE]
        files.append(out / ("agreement.png" if number == 1 else f"agreement-{number}.png"))
        with atomic_write(files[-1]) as temp_path, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box is drawn for it
            _figure(agreement, pairs).savefig(temp_path, dpi=160, metadata={"Software": None})
    return files


def _figure(agreement: Agreement, pairs: Sequence[Pair]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = HEAD + FOOT + LANE * len(pairs)
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    box = {"left": LEFT / WIDTH, "right": 1 - RIGHT / WIDTH, "top": 1 - HEAD / height, "bottom": FOOT / height}
    lanes = figure.subplots(len(pairs), squeeze=False, gridspec_kw={**box, "hspace": 0.75})[:, 0]
    used = {event.label for p in pairs for band in (p.reference_band, p.other_band) for event in band.events}
    labels = [*(label for label in LABELS if label in used), *sorted(used - set(LABELS))]
    colors = _colors(labels)
    for axes, pair in zip(lanes, pairs, strict=True):
        _draw_lane(axes, pair, colors)
    lanes[-1].set_xlabel("seconds", fontsize=9, color=FAINT_INK)
    title = f"Agreement: kappa {agreement.kappa:.2f} by time, {agreement.events_kappa:.2f} by events".replace(
        "nan", "-"
    )
    figure.text(LEFT / WIDTH, 1 - 0.25 / height, title, fontsize=13, fontweight="bold", color=INK, va="center")
    _draw_legend(figure, labels, colors, 1 - 0.52 / height)
    return figure


def _draw_lane(axes: Axes, pair: Pair, colors: dict[str, str]) -> None:
    bands = (pair.reference_band.events, pair.other_band.events)
    events = [event for band in bands for event in band]
    start, end = min((e.start for e in events), default=0) / 1000, max((e.end for e in events), default=1) / 1000
    for level, band in zip((2.15, 1.1), bands, strict=True):
        axes.barh(level, end - start, height=0.9, left=start, color=TRACK_COLOR)
        _draw_band(axes, band, level, colors, end - start)
    parted = [o for o in overlay(pair.reference_band, pair.other_band) if o.reference != o.other]
    spans = [(o.start / 1000, (o.end - o.start) / 1000) for o in parted]
    axes.broken_barh(spans, (0.2, 0.28), facecolors=DIFFERENCE_COLOR, linewidth=0)
    axes.set_xlim(start, end)
    axes.set_ylim(0, 2.75)
    names = (pair.reference.name, pair.other.name, "differ")
    axes.set_yticks((2.15, 1.1, 0.34), [_shorten(name) for name in names], fontsize=8, color=INK)
    axes.set_title(_shorten(pair.recording, 90), fontsize=9, loc="left", color=INK, pad=3, parse_math=False)
    axes.tick_params(axis="x", labelsize=8, labelcolor=FAINT_INK, color=FAINT_INK, length=2)
    axes.tick_params(axis="y", length=0)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.spines[:].set_visible(False)


def _draw_band(axes: Axes, band: Sequence[Event], level: float, colors: dict[str, str], span: float) -> None:
    spans = [(e.start / 1000, e.duration / 1000) for e in band]
    fills = [colors[e.label] for e in band]
    axes.broken_barh(spans, (level - 0.45, 0.9), facecolors=fills, linewidth=0, antialiased=False)
    for event in band:
        if event.duration / 1000 / span * (WIDTH - LEFT - RIGHT) > 0.075 * len(event.label) + 0.1:
            middle = (event.start + event.end) / 2000
            style: Any = {"ha": "center", "va": "center", "fontsize": 7.5, "parse_math": False}
            axes.text(middle, level - 0.03, event.label, color=ink_on(colors[event.label]), **style)


def _draw_legend(figure: Figure, labels: Sequence[str], colors: dict[str, str], y: float) -> None:
    from matplotlib.patches import Rectangle

    width, height = figure.get_size_inches()
    x = LEFT / width
    for label in (*labels, "differ"):
        color = DIFFERENCE_COLOR if label == "differ" else colors[label]
        figure.add_artist(Rectangle((x, y - 0.06 / height), 0.12 / width, 0.12 / height, color=color))
        figure.text(x + 0.18 / width, y, label, fontsize=8.5, color=INK, va="center_baseline", parse_math=False)
        x += (0.38 + 0.075 * len(label)) / width


def _colors(labels: Sequence[str]) -> dict[str, str]:
    others = [label for label in labels if label not in PALETTE]
    return {**PALETTE, **{label: OTHER_COLORS[i % len(OTHER_COLORS)] for i, label in enumerate(others)}}


def _shorten(text: str, most: int = 30) -> str:
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most // 2) :]}"
