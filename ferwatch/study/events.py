"""Computes events.csv: how each probability changes around an event of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ferwatch.records import EMOTIONS
from ferwatch.study.participants import Row
from ferwatch.study.plan import PlannedEvent
from ferwatch.study.recordings import Array, StudyRecording
from ferwatch.timeline.table import FrameTable

BEFORE_SECONDS = 2.0
"""Time before an event with whose mean the curves are compared."""
AFTER_SECONDS = 5.0
"""Time after an event that is followed."""
BIN_SECONDS = 0.5
"""Width of a bin of the curves around an event."""

EDGES = np.arange(-BEFORE_SECONDS, AFTER_SECONDS + BIN_SECONDS / 2, BIN_SECONDS)
"""(B + 1,) seconds from the event at which bins begin and end."""

CURVES = (*EMOTIONS, "valence")
"""Names of the curves around an event: the seven probabilities and the valence."""

LARGEST_CHANGE = {**dict.fromkeys(EMOTIONS, 1.0), "valence": 2.0}
"""Curve -> the largest change that there can be."""


def event_rows(
    recording: StudyRecording, table: FrameTable, events: Iterable[PlannedEvent], conditions: Sequence[str]
) -> list[Row]:
    """Returns one row per event of a recording, bin and curve.

    A row has the mean over the bin, and its change against the mean of the two seconds before the event. A bin without
    sampled faces gets no row; the change is NaN where no face was sampled in those two seconds.
    """
    seen = table.select(table.success)
    values = np.column_stack([seen.probabilities, seen.valence])
    rows: list[Row] = []
    for event in events:
        # Milliseconds, which is what the table resolves: a row at the edge of a bin belongs to the later one.
        since = (np.round(seen.timestamp * 1000) - round(event.time * 1000)) / 1000
        before = values[(since >= -BEFORE_SECONDS) & (since < 0)]
        mean_before = before.mean(axis=0) if len(before) else np.full(len(CURVES), np.nan)
        head: Row = {
            "recording": recording.plan.name,
            "participant": recording.plan.participant,
            **dict(zip(conditions, recording.plan.conditions, strict=True)),
            "event": event.event,
            "time": event.time,
        }
        for start, end in zip(EDGES[:-1].tolist(), EDGES[1:].tolist(), strict=True):
            inside = values[(since >= start) & (since < end)]
            if not len(inside):
                continue
            means = inside.mean(axis=0)
            rows += [
                {
                    **head,
                    "bin_start": start,
                    "bin_end": end,
                    "curve": curve,
                    "rows": len(inside),
                    "mean": float(means[i]),
                    "mean_before": float(mean_before[i]),
                    "change": float(means[i] - mean_before[i]),
                }
                for i, curve in enumerate(CURVES)
            ]
    return rows


def participant_curves(rows: Iterable[Row], event: str, curve: str) -> Array:
    """(P, B) mean change of every participant in every bin, over all events of one name; NaN where there is none."""
    sums: dict[object, Array] = {}
    for row in rows:
        if row["event"] == event and row["curve"] == curve and not np.isnan(float(row["change"])):
            at = int(np.searchsorted(EDGES, float(row["bin_start"]) + BIN_SECONDS / 2)) - 1
            totals = sums.setdefault(row["participant"], np.zeros((2, len(EDGES) - 1)))
            totals[:, at] += (float(row["change"]), 1)
    with np.errstate(invalid="ignore"):
        curves = [totals[0] / np.where(totals[1] > 0, totals[1], np.nan) for totals in sums.values()]
    return np.array(curves).reshape(len(curves), len(EDGES) - 1)
