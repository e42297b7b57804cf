"""Draws the figures of a study, each as PNG and SVG."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferwatch.render.palette import PALETTE
from ferwatch.study.contrasts import MAX_LEVELS
from ferwatch.study.events import BIN_SECONDS, CURVES, EDGES, LARGEST_CHANGE, participant_curves
from ferwatch.study.participants import Row, measures, totals_by_level
from ferwatch.study.recordings import StudyRecording, Totals
from ferwatch.study.statistics import Array, mean_interval
from ferwatch.timeline.model import LABELS
from ferwatch.utils.files import atomic_write
from ferwatch.utils.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT_INK, GRID_COLOR, DOT_COLOR = "#24292F", "#5E6470", "#E4E6E9", "#9AA1AC"
CURVE_COLORS = {**PALETTE, "valence": INK}
STRIP_PIXELS = 1600
"""Width in pixels of the strips of colour in the picture of all timelines."""
MAX_LINES = 200
"""Largest number of recordings that get a line each, and of participants whose levels are joined by lines."""
FULL_INK_PARTICIPANTS = 60
"""Largest number of participants whose dots are opaque; those of more are fainter, the more there are."""
MAX_NAMED_RECORDINGS = 60
"""Largest number of recordings whose names fit beside their lines."""


def write_figures(
    recordings: Sequence[StudyRecording], conditions: Sequence[str], event_rows: Sequence[Row], out: Path
) -> list[Path]:
    """Writes all figures of a study into the folder `out`; returns the PNG files. Raises OutputError."""
    is_small = len(recordings) <= MAX_LINES
    over_time = _timelines(recordings, conditions) if is_small else _shares_over_time(recordings)
    files = [_save(over_time, out / "participants.png")]
    events = dict.fromkeys(str(row["event"]) for row in event_rows)
    slugs = _slugs(conditions), _slugs(events)
    for number, condition in enumerate(conditions):
        levels = totals_by_level(recordings, number)
        if 2 <= len(levels) <= MAX_LEVELS:
            files.append(_save(_condition(condition, levels), out / f"condition-{slugs[0][condition]}.png"))
    for event in events:
        curves = {curve: participant_curves(event_rows, event, curve) for curve in CURVES}
        if any(len(values) for values in curves.values()):
            files.append(_save(_event(event, curves), out / f"event-{slugs[1][event]}.png"))
    return files


def _condition(condition: str, levels: Mapping[str, Mapping[str, Totals]]) -> Figure:
    """Return a figure with a panel per label: participants as dots, lines between levels, means with intervals."""
    from matplotlib.collections import LineCollection

    figure, panels = _grid(f"Share of time by {condition}", len(LABELS))
    shares = {
        level: {person: measures(totals)["share_by_episodes"] for person, totals in people.items()}
        for level, people in levels.items()
    }
    names = list(levels)
    people = len({person for level in levels.values() for person in level})
    faint = min(1.0, max(0.08, FULL_INK_PARTICIPANTS / people))
    rng = np.random.default_rng(0)
    for i, (axes, label) in enumerate(zip(panels, LABELS, strict=True)):
        offsets = {person: rng.uniform(-0.09, 0.09) for people in levels.values() for person in people}
        for at in range(len(names) - 1):
            pairs = [
                (at + offsets[p], v[i], at + 1 + offsets[p], shares[names[at + 1]][p][i])
                for p, v in shares[names[at]].items()
                if p in shares[names[at + 1]]
            ]
            lines = [((x1, y1), (x2, y2)) for x1, y1, x2, y2 in pairs if not np.isnan(y1 + y2)]
            if people <= MAX_LINES:
                axes.add_collection(LineCollection(lines, colors=GRID_COLOR, linewidths=0.8, zorder=1))
        for at, name in enumerate(names):
            values = {p: float(v[i]) for p, v in shares[name].items() if not np.isnan(v[i])}
            axes.scatter(
                [at + offsets[p] for p in values], list(values.values()),
                s=9, color=DOT_COLOR, linewidth=0, alpha=faint, zorder=2,
            )  # fmt: skip
            _mean_mark(axes, at, np.array(list(values.values())), PALETTE[label])
        axes.set_title(label, fontsize=10, color=INK, loc="left")
        axes.set_xticks(range(len(names)), [_short(name) for name in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _caption(
        figure,
        f"Each dot is one of {people:,} participants. Diamonds: means with 95% intervals, left out below 6 people."
        + (f" Above {MAX_LINES} participants no lines join their dots." if people > MAX_LINES else ""),
    )
    return figure


def _mean_mark(axes: Axes, at: float, values: Array, color: str) -> None:
    if not len(values):
        return
    mean = float(values.mean())
    low, high = np.clip(mean_interval(values), 0, 1)
    if not np.isnan(low):
        axes.plot([at + 0.24] * 2, [low, high], color=INK, linewidth=1.4, zorder=3)
    axes.plot(at + 0.24, mean, "D", markersize=6.5, color=color, markeredgecolor=INK, markeredgewidth=0.8, zorder=4)


def curve_of_event(values: Array, largest: float) -> tuple[Array, Array]:
    """(P, B) changes of P participants in B bins -> their means (B,) and the 95% intervals (B, 2) of these.

    A bin that lacks somebody has no mean (NaN): the mean of the others would differ for that reason alone.
    largest: the largest change that there can be; intervals are cut there.
    """
    complete = [column if not np.isnan(column).any() else column[:0] for column in values.T]
    means = np.array([column.mean() if len(column) else np.nan for column in complete])
    return means, np.clip([mean_interval(column) for column in complete], -largest, largest)


def _event(event: str, curves: Mapping[str, Array]) -> Figure:
    """Return a figure with a panel per probability and valence: mean change over participants with its interval."""
    figure, panels = _grid(f"Around “{event}”: change against the 2 s before", len(CURVES))
    middles = EDGES[:-1] + BIN_SECONDS / 2
    people = max(len(values) for values in curves.values())
    means, bands = {}, {}
    for curve, values in curves.items():
        means[curve], bands[curve] = curve_of_event(values, LARGEST_CHANGE[curve])
    shown = [m[~np.isnan(m)] for m in (*means.values(), *bands.values())]
    limit = max([0.05, *(float(np.abs(m).max()) for m in shown if m.size)]) * 1.1
    for axes, curve in zip(panels, CURVES, strict=True):
        color = CURVE_COLORS[curve]
        axes.axvline(0, color=FAINT_INK, linewidth=0.8)
        axes.axhline(0, color=FAINT_INK, linewidth=0.8)
        axes.fill_between(middles, *bands[curve].T, color=color, alpha=0.25, linewidth=0)
        axes.plot(middles, means[curve], color=color, linewidth=1.8)
        axes.set_title(curve, fontsize=10, color=INK, loc="left")
        axes.set_xlim(float(EDGES[0]), float(EDGES[-1]))
        axes.set_ylim(-limit, limit)
    _caption(
        figure,
        f"Seconds from the event, in bins of {BIN_SECONDS:g} s; means over {counted(people, 'participant')}, of bins "
        "in which the face of each was seen. Bands: 95% intervals, left out below 6 people.",
    )
    return figure


def _timelines(recordings: Sequence[StudyRecording], conditions: Sequence[str]) -> Figure:
    """Return a figure with one line per recording, ordered by conditions and participants: its episodes over time."""
    place = {r.plan.conditions: i for i, r in reversed(list(enumerate(recordings)))}  # as the plan first names them
    order = sorted(recordings, key=lambda r: (place[r.plan.conditions], r.plan.participant))
    longest = max(max((r.end - r.start for r in order), default=1.0), 0.1)
    picture = np.full((len(order), STRIP_PIXELS, 3), 255, np.uint8)
    for line, recording in enumerate(order):
        spans = [
            (recording.start, recording.end, "#F1F2F4"),
            *((e.start, e.end, PALETTE[e.emotion]) for e in recording.episodes),
        ]
        for start, end, color in spans:
            first, last = (round((t - recording.start) / longest * STRIP_PIXELS) for t in (start, end))
            picture[line, first : max(last, first + 1)] = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    height = 1.55 + min(max(0.22 * len(order), 0.8), 12.0)
    figure = _figure(11.0, height, "Expressions over time, one line a recording")
    axes = figure.add_axes((0.2, 0.6 / height, 0.77, 1 - 1.55 / height))
    axes.imshow(picture, aspect="auto", interpolation="nearest", extent=(0, longest, len(order), 0))
    if len(order) <= MAX_NAMED_RECORDINGS:
        names = [" · ".join((r.plan.participant, *r.plan.conditions)) for r in order]
        axes.set_yticks(np.arange(len(order)) + 0.5, [_short(name, 28) for name in names])
        axes.hlines(np.arange(1, len(order)), 0, longest, color="white", linewidth=2)
    else:
        axes.set_yticks([])
        axes.set_ylabel(
            f"{len(order)} recordings, by {', '.join((*conditions, 'participant'))}", fontsize=9, color=FAINT_INK
        )
    axes.set_xlabel("seconds from the start", fontsize=9, color=FAINT_INK)
    _tidy(axes)
    _legend(figure)
    return figure


def _shares_over_time(recordings: Sequence[StudyRecording]) -> Figure:
    """Return a figure with a panel per combination of conditions: the share of recordings that show each label."""
    groups: dict[str, list[StudyRecording]] = {}
    for recording in recordings:
        groups.setdefault(" · ".join(recording.plan.conditions), []).append(recording)
    if len(groups) > MAX_LEVELS:
        groups = {"all recordings": list(recordings)}
    longest = max(max(r.end - r.start for r in recordings), 0.1)
    figure = _figure(11.0, 1.5 + 1.7 * len(groups), "Share of the recordings that show each expression, over time")
    height = figure.get_figheight()
    panels = figure.subplots(
        len(groups), 1, sharex=True, squeeze=False,
        gridspec_kw={"left": 0.2, "right": 0.97, "bottom": 0.6 / height, "top": 1 - 0.95 / height},
    )  # fmt: skip
    times = (np.arange(STRIP_PIXELS // 4) + 0.5) * longest / (STRIP_PIXELS // 4)
    for axes, (name, group) in zip(panels[:, 0], groups.items(), strict=True):
        counts = np.zeros((len(LABELS), len(times)))
        for recording in group:
            for episode in recording.episodes:
                first, last = np.searchsorted(times + recording.start, (episode.start, episode.end))
                counts[LABELS.index(episode.emotion), first:last] += 1
        axes.stackplot(times, counts / len(group), colors=[PALETTE[label] for label in LABELS], linewidth=0)
        axes.set_ylabel(f"{_short(name, 24)}\n{len(group):,} recordings", fontsize=9, color=INK, rotation=0, ha="right")
        axes.set_xlim(0, longest)
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.yaxis.set_label_coords(-0.07, 0.4)
        _tidy(axes)
    panels[-1, 0].set_xlabel(
        "seconds from the start; white: no face, or the recording has ended", fontsize=9, color=FAINT_INK
    )
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    """Write the labels and their colours below the title."""
    for i, label in enumerate(LABELS):
        x, y = 0.2 + 0.095 * i, 1 - 0.68 / figure.get_figheight()
        figure.text(x, y, "■", fontsize=10, color=PALETTE[label], va="center")
        figure.text(x + 0.014, y, label, fontsize=9, color=INK, va="center")


def _grid(title: str, panels: int) -> tuple[Figure, list[Axes]]:
    figure = _figure(11.0, 6.2, title)
    axes = figure.subplots(
        2,
        -(-panels // 2),
        gridspec_kw={"left": 0.06, "right": 0.98, "top": 0.85, "bottom": 0.13, "hspace": 0.42, "wspace": 0.3},
    )
    flat = list(axes.flat)
    for one in flat:
        one.grid(axis="y", color=GRID_COLOR, linewidth=0.6)
        _tidy(one)
    return figure, flat


def _figure(width: float, height: float, title: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(
        0.03, 1 - 0.32 / height, title, fontsize=14, fontweight="bold", color=INK, va="center", parse_math=False
    )
    return figure


def _caption(figure: Figure, text: str) -> None:
    figure.text(0.03, 0.035, text, fontsize=8.5, color=FAINT_INK)


def _tidy(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=INK)
    axes.spines[:].set_visible(False)


def _save(figure: Figure, path: Path) -> Path:
    """Writes the figure as PNG at `path` and as SVG beside it; both are the same for the same data."""
    from matplotlib import rc_context

    style: Any = {"svg.hashsalt": "ferwatch", "svg.fonttype": "none", "text.parse_math": False}
    with rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box is drawn for it
        for place, metadata in ((path, {"Software": None}), (path.with_suffix(".svg"), {"Date": None})):
            with atomic_write(place) as temp_path:
                figure.savefig(temp_path, dpi=160, metadata=metadata)
    return path


def _slugs(names: Iterable[str]) -> dict[str, str]:
    """Return each name as it can stand in a file name, with -2, -3 and so on where another one gives the same."""
    slugs: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w-]+", "-", name).strip("-").lower()[:60] or "unnamed"
        slug, number = plain, 1
        while slug in slugs.values():
            number += 1
            slug = f"{plain}-{number}"
        slugs[name] = slug
    return slugs


def _short(text: str, most: int = 14) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
