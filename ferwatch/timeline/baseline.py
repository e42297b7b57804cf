"""A person's own neutral: probabilities as shifts in log-odds against a stretch in which the person was neutral.

Faces differ at rest: one looks sad, another angry, to a classifier and to people. The shift takes the mean log-odds of
the stretch out of every row and puts those of a plainly neutral face in their place, so that a person is compared with
herself. Measured on posed pictures of ten women it moves accuracy little; it is no better classifier.
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
    """The shifts of some faces, and where they come from. run.json keeps it under "timeline", "baseline"."""

    source: str
    """The stretch or the file, for people."""
    shifts: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """face_id -> what is added to the logarithm of each of the seven probabilities."""

    def apply(self, table: FrameTable) -> NDArray[np.float64]:
        """(R, 7) corrected probabilities; those of faces without a shift are as they were."""
        corrected = table.probabilities.copy()
        for face_id, shift in self.shifts.items():
            rows = table.face_id == face_id
            shifted = np.maximum(table.probabilities[rows], MIN_PROBABILITY) * np.exp(shift)
            corrected[rows] = (shifted / shifted.sum(axis=1, keepdims=True)).round(4)
        return corrected

    def as_json(self) -> dict[str, Any]:
        """What run.json keeps."""
        return {"source": self.source, "shifts": {str(face): list(shift) for face, shift in self.shifts.items()}}


def baseline_of_stretch(table: FrameTable, start: float, end: float, source: str) -> Baseline:
    """The baseline of every face that is seen between two times (seconds). Raises DataError where none is."""
    inside = (start <= table.timestamp) & (table.timestamp < end) & table.success
    faces = np.unique(table.face_id[inside])
    if not len(faces):
        raise DataError(f"--baseline {source}: no face is seen in that stretch")
    rows = {int(face): table.probabilities[inside & (table.face_id == face)] for face in faces}
    return Baseline(source, {face: _shift(probabilities) for face, probabilities in rows.items()})


def baseline_of_recording(neutral: FrameTable, table: FrameTable, source: str) -> Baseline:
    """The baseline of all faces of a table from a recording of one neutral face.

    Raises DataError where that recording does not show exactly one face.
    """
    if len(neutral.face_ids) != 1:
        raise DataError(f"--baseline {source}: it shows {len(neutral.face_ids)} faces; give a recording of one")
    shift = _shift(neutral.probabilities[neutral.success])
    return Baseline(source, dict.fromkeys(table.face_ids, shift))


def read_baseline(kept: Any) -> Baseline | None:
    """The baseline that run.json keeps; None where it keeps none. Raises DataError where it is damaged."""
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
    """The shift that takes the mean log-odds of (n, 7) rows to those of a plainly neutral face."""
    own = np.log(np.maximum(probabilities, MIN_PROBABILITY)).mean(axis=0)
    neutral = np.array([(1 - NEUTRAL_PROBABILITY) / 6] * len(EMOTIONS))
    neutral[EMOTIONS.index("neutral")] = NEUTRAL_PROBABILITY
    return tuple((np.log(neutral) - own).round(6).tolist())
