"""Sightings: what the face detector says it sees, and which of them are one face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ferwatch.records import BoundingBox

SURE = 0.8
"""The score from which a clear sighting is a face without another look."""
CLEAR = (0.35, 0.8)
"""The share of what was looked at that a face fills, between which its landmarks are good to a pixel of the crop."""
CLEAR_ENOUGH = 0.25
"""The lower one while a video is followed, where each look counts: 1.5 pixels."""


class Sighting(NamedTuple):
    """What the detector says it sees."""

    bbox: BoundingBox
    landmarks: NDArray[np.float32]
    score: float
    share: float
    """Side of the box in units of the longer side of what was looked at."""


def plausible(box: BoundingBox, landmarks: NDArray[np.floating]) -> bool:
    """Whether the landmarks (6, 2) lie as those of a face do: the mouth below the eyes, as a face is turned, the nose
    between them, and all of it of a size with the box."""
    right_eye, left_eye, nose, mouth = np.asarray(landmarks, dtype=np.float64)[:4] @ (1, 1j)
    eyes = (right_eye + left_eye) / 2
    down = mouth - eyes
    if abs(down) < 0.15 * box[2] or abs(down) > 0.75 * box[2]:
        return False
    across = (left_eye - right_eye) / down  # in units of eyes to mouth, with `down` as the real axis
    along = (nose - eyes) / down
    centre = complex(box[0] + box[2] / 2, box[1] + box[3] / 2)
    return (
        -1.8 < across.imag < -0.1
        and abs(across.real) < 0.6
        and 0 < along.real < 1
        and abs(along.imag) < 0.8
        and abs((eyes + mouth) / 2 - centre) < 0.4 * box[2]
    )


def square_around(box: BoundingBox, side: float) -> BoundingBox:
    """A square of this side with a box in its middle."""
    x, y, width, height = box
    return BoundingBox(x + (width - side) / 2, y + (height - side) / 2, side, side)


def mean_sighting(looks: Sequence[Sighting]) -> Sighting:
    """The mean of several looks at one face."""
    box, landmarks, score, share = (np.mean(values, axis=0) for values in zip(*looks, strict=True))
    return Sighting(BoundingBox(*box.tolist()), landmarks, float(score), float(share))


def distinct(sightings: Iterable[Sighting], agree: Callable[[BoundingBox, BoundingBox], bool]) -> list[Sighting]:
    """The sightings without those that show the same again, surest first; a clear one stays before a surer one that is
    cut or small."""
    kept: list[Sighting] = []
    for sighting in sorted(
        sightings, key=lambda s: (s.score >= SURE and s.share >= CLEAR_ENOUGH, s.score), reverse=True
    ):
        if not any(agree(sighting.bbox, other.bbox) for other in kept):
            kept.append(sighting)
    return kept


def same_face(a: BoundingBox, b: BoundingBox) -> bool:
    """Whether two boxes are one face's: much of the smaller lies in the other."""
    return _shared(a, b) > 0.4 * min(a[2] * a[3], b[2] * b[3])


def alike(a: BoundingBox, b: BoundingBox) -> bool:
    """Whether two boxes are about the same: they share half of what both cover."""
    return _shared(a, b) > (a[2] * a[3] + b[2] * b[3]) / 3


def _shared(a: BoundingBox, b: BoundingBox) -> float:
    """The area that two boxes share."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)
