"""Draws timeline.png: one lane per face with its probabilities over time and, below them, its episodes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.records import EMOTIONS, valence_of
from ferwatch.render.palette import PALETTE, ink_on
from ferwatch.timeline.build import visible_spans
from ferwatch.timeline.model import LABELS, UNCERTAIN, FaceSummary, Timeline
from ferwatch.timeline.smoothing import STANDING_MS
from ferwatch.timeline.table import FrameTable
from ferwatch.utils.timecode import format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 11.0, 1.35, 0.3, 0.95, 0.55  # inches
_CURVE_POINTS = 400  # points of a curve across a lane; more cannot be told apart
_MAX_LANES = 60  # more faces would make a picture that no program shows

# matplotlib's own font, then those that carry the scripts it lacks on Linux, Windows and macOS.
_FONTS = (
    *("DejaVu Sans", "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "PingFang SC", "Hiragino Sans", "Arial Unicode MS"),
)

_INK, _QUIET_INK, _TRACK_COLOR = "#24292F", "#6E7781", "#F1F2F4"

# In units of probability, below the curves: valence around a level of its own, then the band of episodes.
_VALENCE, _VALENCE_HEIGHT, _BAND, _BOTTOM_EDGE = -0.2, 0.13, -0.57, -0.62

_TICK_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def write_png(path: Path, timeline: Timeline) -> None:
    """Write timeline.png, 11 inches wide at 160 dots per inch, and as high as its faces need.

    Of more than 60 faces it shows those that are longest on screen, and says so.
    """
    from matplotlib import font_manager, rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    installed = set(font_manager.get_font_names())
    style: Any = {
        "font.family": [font for font in _FONTS if font in installed],
        "font.size": 9.0,
        "text.color": _INK,
        # A dollar sign in a file name starts no formula.
        "text.parse_math": False,
    }
    with rc_context(style), warnings.catch_warnings():
        # A letter that no installed font has is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(dpi=160, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        _draw(figure, timeline)
        canvas.draw()
    # OpenCV encodes in a third of the time of matplotlib's own writer, and adds no metadata.
    picture = cv2.cvtColor(np.asarray(canvas.buffer_rgba()), cv2.COLOR_RGBA2BGR)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def _draw(figure: Figure, timeline: Timeline) -> None:
    faces = _longest_on_screen(timeline.summary.faces)
    count = max(len(faces), 1)
    lane = 1.45 if count <= 4 else 1.05 if count <= 10 else 0.75
    height = _TOP + _BOTTOM + lane * count
    figure.set_size_inches(_WIDTH, height)
    box = {"left": _LEFT / _WIDTH, "right": 1 - _RIGHT / _WIDTH, "top": 1 - _TOP / height, "bottom": _BOTTOM / height}
    lanes = figure.subplots(count, sharex=True, squeeze=False, gridspec_kw={**box, "hspace": 0.22})[:, 0]

    start, end = timeline.span
    lanes[-1].set_xlim(start, end)
    step = next((step for step in _TICK_SECONDS if (end - start) / step <= 10), _TICK_SECONDS[-1])
    ticks = np.arange(np.ceil(start / step), np.floor(end / step) + 1) * step
    for axes in lanes:
        axes.set_ylim(_BOTTOM_EDGE, 1.04)
        axes.set_yticks([_VALENCE, 0, 0.5, 1], ["val.", "0", "0.5", "1"], fontsize=7, color=_QUIET_INK)
        axes.grid(color="#E4E6E9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    lanes[-1].set_xticks(ticks, [format_time(tick, 1 if step < 1 else 0) for tick in ticks], color=_INK)
    label = "time (h:mm:ss)" if end >= 3600 else "time (m:ss)"
    label += "; val.: valence, happy less the strongest negative emotion"
    if (end - start) / _CURVE_POINTS > 1:
        label += f"; curves are means over {(end - start) / _CURVE_POINTS:.2g} s"
    if timeline.baseline:
        label += f"; baseline: {_shorten(timeline.baseline.source, 40)}"
    lanes[-1].set_xlabel(label, color=_QUIET_INK)

    for axes, face in zip(lanes, faces, strict=False):
        _draw_lane(axes, timeline, face)
    if not faces:
        lanes[0].text(0.5, 0.5, "no face found", transform=lanes[0].transAxes, ha="center", color=_QUIET_INK)

    left_out = len(timeline.summary.faces) - len(faces)
    title = _shorten(timeline.source, 45 if left_out else 80) or "Facial expression over time"
    figure.text(box["left"], 1 - 0.3 / height, title, fontsize=12, fontweight="bold", va="center")
    _draw_legend(figure, timeline, box["left"], 1 - 0.63 / height)
    if left_out:
        note = f"the {len(faces)} faces that are longest on screen; {left_out} more are in the tables"
        figure.text(box["right"], 1 - 0.3 / height, note, color=_QUIET_INK, ha="right", va="center")


def _longest_on_screen(faces: Sequence[FaceSummary]) -> list[FaceSummary]:
    """Return the faces that get a lane, in the order of the faces."""
    chosen = {face.face_id for face in sorted(faces, key=lambda face: -face.on_screen)[:_MAX_LANES]}
    return [face for face in faces if face.face_id in chosen]


def _draw_lane(axes: Axes, timeline: Timeline, face: FaceSummary) -> None:
    start, end = axes.get_xlim()
    axes.barh(_BAND + 0.1, end - start, height=0.2, left=start, color=_TRACK_COLOR, zorder=1)
    axes.plot([start, end], [_VALENCE, _VALENCE], color="#D0D7DE", linewidth=0.6, zorder=1)
    episodes = timeline.episodes_of(face.face_id)
    spans = [(episode.start, episode.duration) for episode in episodes]
    # Without antialiasing, so that episodes narrower than a pixel do not blend into colours that mean nothing.
    colours = [PALETTE[episode.emotion] for episode in episodes]
    axes.broken_barh(spans, (_BAND, 0.2), facecolors=colours, linewidth=0, antialiased=False, zorder=2)
    per_second = (_WIDTH - _LEFT - _RIGHT) / (end - start)
    for episode in episodes:
        if episode.duration * per_second > 0.075 * len(episode.emotion) + 0.1:
            middle = (episode.start + episode.end) / 2
            ink = ink_on(PALETTE[episode.emotion])
            axes.text(middle, _BAND + 0.095, episode.emotion, ha="center", va="center", fontsize=7, color=ink, zorder=3)

    table = timeline.table
    for rows in visible_spans(table, face.face_id):
        times, curves = _thin(*_standing(table, rows, timeline.smoothed[rows]), (end - start) / _CURVE_POINTS)
        for k, emotion in enumerate(EMOTIONS):
            if curves[:, k].max() > 0.25:
                axes.fill_between(times, curves[:, k], color=PALETTE[emotion], alpha=0.16, linewidth=0, zorder=2)
            axes.plot(times, curves[:, k], color=PALETTE[emotion], linewidth=1.2, solid_joinstyle="round", zorder=3)

        valence = _VALENCE + _VALENCE_HEIGHT * valence_of(curves)
        axes.plot(times, valence, color=_QUIET_INK, linewidth=0.9, solid_joinstyle="round", zorder=3)

    for text, size, colour, lower in (
        (_shorten(timeline.name_of(face.face_id), 16), 9.5, _INK, 0),
        (f"{format_time(face.on_screen, 1 if face.on_screen < 10 else 0)} on screen", 7, _QUIET_INK, 12),
    ):
        place: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "va": "center"}
        axes.annotate(text, (0, 0.62), (-30, -lower), fontsize=size, color=colour, **place)


def _draw_legend(figure: Figure, timeline: Timeline, left: float, bottom: float) -> None:
    """Draw the legend in columns of one width; matplotlib's own, which measures every word, is slower than a lane."""
    from matplotlib.patches import Rectangle

    has_uncertain = any(episode.emotion == UNCERTAIN for episode in timeline.episodes)
    shown = [label for label in LABELS if label != UNCERTAIN or has_uncertain]
    width, height = figure.get_size_inches()
    for column, label in enumerate(shown):
        x = left + 0.95 * column / width
        square = Rectangle((x, bottom - 0.06 / height), 0.12 / width, 0.12 / height, color=PALETTE[label])
        figure.add_artist(square)
        figure.text(x + 0.18 / width, bottom, label, fontsize=8.5, va="center_baseline")


def _standing(
    table: FrameTable, rows: NDArray[np.intp], curves: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times (n,) and curves (n, 7) with one more point at the end of each picture shown for over STANDING_MS."""
    stands = table.shown()[rows] > STANDING_MS / 1000
    times = np.concatenate([table.timestamp[rows], (table.timestamp + table.shown())[rows][stands] - 1e-6])
    order = np.argsort(times, kind="stable")
    return times[order], np.concatenate([curves, curves[stands]])[order]


def _thin(
    times: NDArray[np.float64], curves: NDArray[np.float64], width: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means of times (n,) and curves (n, 7) over bins of `width` seconds."""
    bins = np.floor((times - times[0]) / width)
    first = np.flatnonzero(np.diff(bins, prepend=-1))
    size = np.diff(first, append=len(times))
    return np.add.reduceat(times, first) / size, np.add.reduceat(curves, first) / size[:, None]


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - limit // 2 - 1]}…{text[-(limit // 2) :]}"
