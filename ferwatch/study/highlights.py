"""Finds the highlights of a run: its strongest, longest and most sudden episodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferwatch.records import EMOTIONS, Episode
from ferwatch.study.codes import read_text
from ferwatch.study.participants import Row
from ferwatch.study.runs import FinishedRun
from ferwatch.timeline.model import UNCERTAIN

ONSET_SECONDS = 0.5
"""Time before and after an onset over which its suddenness is measured."""

HIGHLIGHT_COLUMNS = ("kind", "rank", "face_id", "emotion", "start", "end", "peak_time", "value")
"""Columns of highlights.csv."""


@dataclass(frozen=True)
class Highlight:
    """One episode that stands out, and why."""

    kind: str
    """"strongest", "longest" or "most sudden"."""
    rank: int
    """Rank among the highlights of its kind, from 1."""
    value: float
    """Peak confidence (strongest), seconds (longest), or rise of the probability at the onset (most sudden)."""
    episode: Episode

    def as_row(self) -> Row:
        """Return the highlight as a line of highlights.csv."""
        e = self.episode
        return {
            "kind": self.kind,
            "rank": self.rank,
            "face_id": e.face_id,
            "emotion": e.emotion,
            "start": e.start,
            "end": e.end,
            "peak_time": e.peak_time,
            "value": self.value,
        }


def find_highlights(run: FinishedRun, emotion: str | None = None, top: int = 10) -> list[Highlight]:
    """Returns up to `top` highlights of each kind, ordered by their value.

    emotion: only its episodes; None: those of every emotion but neutral. Onsets without rows on both sides have no
    suddenness and are left out of the most sudden.
    """
    wanted = [
        e for e in run.episodes if e.emotion == emotion or (emotion is None and e.emotion not in ("neutral", UNCERTAIN))
    ]
    kinds: dict[str, Callable[[Episode], float]] = {
        "strongest": lambda e: e.peak_confidence,
        "longest": lambda e: e.duration,
        "most sudden": lambda e: _rise(run, e),
    }
    found = []
    for kind, measure in kinds.items():
        valued = [(measure(e), e) for e in wanted]
        ordered = sorted(
            [(value, e) for value, e in valued if not np.isnan(value)], key=lambda item: (-item[0], item[1].start)
        )
        found += [Highlight(kind, rank, round(value, 4), e) for rank, (value, e) in enumerate(ordered[:top], start=1)]
    return found


def is_highlights_csv(path: Path) -> bool:
    """Return whether a file has the header of highlights.csv, also as a spreadsheet program saves it.

    Raises DataError where it cannot be read.
    """
    header = read_text(path).partition("\n")[0].strip()
    return tuple(name.strip('"') for name in re.split("[,;\t]", header)) == HIGHLIGHT_COLUMNS


def as_text(highlights: Sequence[Highlight]) -> str:
    """Returns the highlights as a table of text, kind by kind."""
    from ferwatch.utils.timecode import format_time

    units: dict[str, Callable[[float], str]] = {
        "strongest": lambda v: f"peak {v:.0%}",
        "longest": lambda v: f"{v:.1f} s",
        "most sudden": lambda v: f"{v:+.0%} within a second",
    }
    lines = []
    for kind, unit in units.items():
        own = [h for h in highlights if h.kind == kind]
        if own:
            lines += ["", kind]
        for h in own:
            span = f"{format_time(h.episode.start)} to {format_time(h.episode.end)}"
            lines.append(f"{h.rank:>4}  {span:<24}  face {h.episode.face_id}  {h.episode.emotion:<9} {unit(h.value)}")
    return "\n".join(lines[1:])


def _rise(run: FinishedRun, episode: Episode) -> float:
    """Return the rise of the emotion's mean probability from the half second before the onset to that after it."""
    if episode.emotion == UNCERTAIN:
        return float("nan")
    table = run.table
    own = table.face_id == episode.face_id
    since = table.timestamp - episode.start
    values = table.probabilities[:, EMOTIONS.index(episode.emotion)]
    before = values[own & (since >= -ONSET_SECONDS) & (since < 0)]
    after = values[own & (since >= 0) & (since < ONSET_SECONDS)]
    return float(after.mean() - before.mean()) if len(before) and len(after) else float("nan")
