"""Computes participants.csv: one row per participant, combination of conditions, and emotion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ferwatch.study.recordings import StudyRecording, Totals
from ferwatch.timeline.model import LABELS

MEASURES = (
    "share_by_episodes",
    "share_by_rows",
    "mean_probability",
    "episodes_per_minute",
    "mean_length",
    "first_onset",
    "mean_confidence",
)
"""Names of the measures of each emotion, in the order of the columns."""

COMMON_MEASURES = ("recordings", "seconds_with_face", "share_with_face", "mean_valence")
"""Names of the columns that are the same for all emotions of a participant."""

Row = dict[str, str | int | float]


def participant_table(recordings: Sequence[StudyRecording], conditions: Sequence[str]) -> list[Row]:
    """Returns one row per participant, combination of conditions, and label; undefined values are NaN."""
    rows: list[Row] = []
    for (participant, *levels), totals in _cells(recordings, range(len(conditions))).items():
        head: Row = {"participant": participant, **dict(zip(conditions, levels, strict=True))}
        common: Row = {
            "recordings": totals.recordings,
            "seconds_with_face": totals.seconds,
            "share_with_face": _ratio(totals.rows, totals.frames),
            "mean_valence": _ratio(totals.valence, totals.rows),
        }
        values = measures(totals)
        rows += [
            {**head, "emotion": label, **{name: float(values[name][i]) for name in MEASURES}, **common}
            for i, label in enumerate(LABELS)
        ]
    return rows


def totals_by_level(recordings: Sequence[StudyRecording], condition: int) -> dict[str, dict[str, Totals]]:
    """Returns the totals of each participant in each level of a condition, all other conditions pooled."""
    levels: dict[str, dict[str, Totals]] = {}
    for (participant, level), totals in _cells(recordings, [condition]).items():
        levels.setdefault(level, {})[participant] = totals
    return levels


def measures(totals: Totals) -> dict[str, np.ndarray]:
    """Returns each of MEASURES as (8,) values in the order of LABELS; NaN where they are undefined."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rows, minutes = np.float64(totals.rows), np.float64(totals.seconds) / 60
        raw = totals.labelled_rows / rows
        raw[-1] = np.nan  # "uncertain" is a label of episodes alone
        onset = np.where(np.isinf(totals.first_onset), np.nan, totals.first_onset)
        return {
            "share_by_episodes": totals.episode_seconds / totals.episode_seconds.sum(),
            "share_by_rows": raw,
            "mean_probability": totals.probability / rows,
            "episodes_per_minute": totals.episodes / minutes,
            "mean_length": totals.episode_seconds / totals.episodes,
            "first_onset": onset,
            "mean_confidence": totals.confidence / totals.episode_seconds,
        }


def mean_valence(totals: Totals) -> float:
    """Returns the mean valence over rows, -1 to 1; NaN without rows."""
    return _ratio(totals.valence, totals.rows)


def _cells(recordings: Iterable[StudyRecording], conditions: Iterable[int]) -> dict[tuple[str, ...], Totals]:
    """Return totals by participant and levels of these conditions, in the order in which the plan names them first."""
    chosen = list(conditions)
    cells: dict[tuple[str, ...], Totals] = {}
    for recording in recordings:
        key = (recording.plan.participant, *(recording.plan.conditions[i] for i in chosen))
        cells[key] = cells[key] + recording.totals if key in cells else recording.totals
    return cells


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
