"""A person's own neutral: probabilities as shifts in log-odds against a stretch in which the person was neutral.

Faces differ at rest: one looks sad, another angry, to a classifier and to people. The shift subtracts the mean log-odds
of the stretch from every row and adds those of a clearly neutral face, so that each person is compared with his or her
own neutral. docs/formats.md says how little this moves the accuracy of the classifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import DataError
from ferwatch.records import EMOTIONS
from ferwatch.timeline.table import FrameTable

NEUTRAL_PROBABILITY = 0.7
"""The probability of neutral that the baseline itself has after the correction; the other six share the rest."""

MIN_PROBABILITY = 0.0001
"""Smaller probabilities count as this one: frames.csv resolves no less."""


@dataclass(frozen=True)
class Baseline:
    """Correction of the probabilities of some faces. run.json keeps it under "timeline", "baseline"."""

    source: str
    """Display text: the stretch of time or the file that the baseline was measured on."""
    shifts: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """face_id -> seven numbers that are added to the logarithms of the probabilities, in the order of EMOTIONS."""

    def apply(self, table: FrameTable) -> NDArray[np.float64]:
        """Return the corrected probabilities (R, 7); faces without a shift keep theirs."""
        corrected = table.probabilities.copy()
        for face_id, shift in self.shifts.items():
            rows = table.face_id == face_id
            shifted = np.maximum(table.probabilities[rows], MIN_PROBABILITY) * np.exp(shift)
            corrected[rows] = (shifted / shifted.sum(axis=1, keepdims=True)).round(4)
        return corrected

    def as_json(self) -> dict[str, Any]:
        """Return the plain values that run.json keeps."""
        return {"source": self.source, "shifts": {str(face): list(shift) for face, shift in self.shifts.items()}}


def baseline_of_stretch(table: FrameTable, start: float, end: float, source: str) -> Baseline:
    """Return the baseline of every face that is seen between two times (seconds). Raises DataError where none is."""
    inside = (start <= table.timestamp) & (table.timestamp < end) & table.success
    faces = np.unique(table.face_id[inside])
    if not len(faces):
        raise DataError(f"--baseline {source}: no face is seen in that stretch")
    rows = {int(face): table.probabilities[inside & (table.face_id == face)] for face in faces}
    return Baseline(source, {face: _shift(probabilities) for face, probabilities in rows.items()})


def baseline_of_recording(neutral: FrameTable, table: FrameTable, source: str) -> Baseline:
    """Return one baseline for all faces of a table, measured on a recording of one neutral face.

    Raises DataError where that recording does not show exactly one face.
    """
    if len(neutral.face_ids) != 1:
        raise DataError(f"--baseline {source}: it shows {len(neutral.face_ids)} faces; give a recording of one")
    shift = _shift(neutral.probabilities[neutral.success])
    return Baseline(source, dict.fromkeys(table.face_ids, shift))


def read_baseline(kept: Any) -> Baseline | None:
    """Return the baseline that run.json keeps; None where it keeps none. Raises DataError where it is damaged."""
    if not kept:
        return None
    try:
        shifts = {int(face): tuple(float(value) for value in shift) for face, shift in kept["shifts"].items()}
        if any(len(shift) != len(EMOTIONS) for shift in shifts.values()):
            raise ValueError("a shift has not seven numbers")
        return Baseline(str(kept["source"]), shifts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f'"baseline" in run.json cannot be read: {error}') from None


def _shift(probabilities: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the shift from the mean log-probabilities of (n, 7) rows to those of a clearly neutral face."""
    own = np.log(np.maximum(probabilities, MIN_PROBABILITY)).mean(axis=0)
    neutral = np.array([(1 - NEUTRAL_PROBABILITY) / 6] * len(EMOTIONS))
    neutral[EMOTIONS.index("neutral")] = NEUTRAL_PROBABILITY
    return tuple((np.log(neutral) - own).round(6).tolist())
