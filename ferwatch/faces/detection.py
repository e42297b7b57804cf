"""FaceDetector, the interface of face detectors, and functions that compare and filter detections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ferwatch.records import BoundingBox, Detection

SAME_BOX_IOU = 0.5
"""Intersection over union above which two boxes count as one."""
SAME_FACE_OVERLAP = 0.4
"""Overlap, as a fraction of the smaller box, above which two boxes count as boxes of one face."""


@dataclass(frozen=True)
class Thresholds:
    """Scores and relative sizes that decide which detections are accepted, verified or rejected."""

    candidate_score: float
    """Detections in a single picture that score less are ignored."""
    video_candidate_score: float
    """Detections in a video that score less are ignored: the face may be detected in the next frame."""
    accept_score: float
    """Detections scoring at least this, at a reliable size, are accepted without verification."""
    rejection_score: float
    """A candidate is rejected when a verification pass scores less than this."""
    verified_score: float
    """A candidate is kept when the mean score of its verification passes is at least this."""
    face_score: float
    """Detections scoring at least this are faces; the tracker decides about those below."""
    reliable_size: tuple[float, float]
    """Smallest and largest relative size at which landmarks are exact to one pixel of the aligned crop."""
    video_reliable_size: float
    """Smallest relative size that is reliable enough in a video: landmarks are exact to 1.5 crop pixels."""
    verification_sizes: tuple[float, ...]
    """Relative sizes at which a candidate is verified, with one more detection pass each."""


class FaceDetector(Protocol):
    """Detects the faces in a picture. `MediaPipeDetector` is the one that ferwatch uses."""

    @property
    def thresholds(self) -> Thresholds:
        """Scores and relative sizes that suit this detector."""

    def detect(self, image: NDArray[Any]) -> list[Detection]:
        """Return the faces of a picture, (H, W, 3) uint8 BGR, in pixels of that picture, in any order."""


def is_reliable(detection: Detection, thresholds: Thresholds, min_size: float) -> bool:
    """Return whether a detection of at least `min_size` is accepted without verification."""
    size_is_reliable = min_size <= detection.relative_size <= thresholds.reliable_size[1]
    return detection.score >= thresholds.accept_score and size_is_reliable


def is_plausible(box: BoundingBox, landmarks: NDArray[np.floating]) -> bool:
    """Return whether landmarks (6, 2) are arranged like those of a face that fills the box.

    The mouth has to lie below the eyes (in the direction in which the face is turned) and the nose between them.
    """
    right_eye, left_eye, nose, mouth = np.asarray(landmarks, dtype=np.float64)[:4] @ (1, 1j)
    eyes = (right_eye + left_eye) / 2
    down = mouth - eyes
    if abs(down) < 0.15 * box[2] or abs(down) > 0.75 * box[2]:
        return False
    across = (left_eye - right_eye) / down  # in units of the distance from eyes to mouth; `down` is the real axis
    along = (nose - eyes) / down
    center = complex(box[0] + box[2] / 2, box[1] + box[3] / 2)
    return (
        -1.8 < across.imag < -0.1
        and abs(across.real) < 0.6
        and 0 < along.real < 1
        and abs(along.imag) < 0.8
        and abs((eyes + mouth) / 2 - center) < 0.4 * box[2]
    )


def square_around(box: BoundingBox, side: float) -> BoundingBox:
    """Return a square of the given side, in pixels, with the same center as the box."""
    x, y, width, height = box
    return BoundingBox(x + (width - side) / 2, y + (height - side) / 2, side, side)


def mean_detection(detections: Sequence[Detection]) -> Detection:
    """Return the mean of several detections of one face."""
    return Detection(
        BoundingBox(*np.mean([d.bbox for d in detections], axis=0).tolist()),
        np.mean([d.landmarks for d in detections], axis=0),
        float(np.mean([d.score for d in detections])),
        float(np.mean([d.relative_size for d in detections])),
    )


def interpolate_detections(before: Detection, after: Detection, fraction: float) -> Detection:
    """Return the detection at a fraction (0 to 1) of the way between two detections of one face."""

    def mix(a: Any, b: Any) -> Any:
        return (1 - fraction) * np.asarray(a) + fraction * np.asarray(b)

    return Detection(
        BoundingBox(*mix(before.bbox, after.bbox).tolist()),
        mix(before.landmarks, after.landmarks),
        float(mix(before.score, after.score)),
        float(mix(before.relative_size, after.relative_size)),
    )


def non_max_suppression(
    detections: Iterable[Detection], thresholds: Thresholds, are_same: Callable[[BoundingBox, BoundingBox], bool]
) -> list[Detection]:
    """Return the detections without repetitions, best first.

    Detections of an accepted score and a reliable size come before better-scored ones that are cut off or small.

    Args:
        are_same: whether two boxes belong to one face.
    """

    def rank(detection: Detection) -> tuple[bool, float]:
        is_large = detection.relative_size >= thresholds.video_reliable_size
        return detection.score >= thresholds.accept_score and is_large, detection.score

    kept: list[Detection] = []
    for detection in sorted(detections, key=rank, reverse=True):
        if not any(are_same(detection.bbox, other.bbox) for other in kept):
            kept.append(detection)
    return kept


def is_same_box(a: BoundingBox, b: BoundingBox) -> bool:
    """Return whether the intersection over union of two boxes exceeds 0.5."""
    return iou(a, b) > SAME_BOX_IOU


def is_same_face(a: BoundingBox, b: BoundingBox) -> bool:
    """Return whether the overlap of two boxes exceeds 40% of the smaller one's area."""
    return overlap(a, b) > SAME_FACE_OVERLAP


def iou(a: BoundingBox, b: BoundingBox) -> float:
    """Return the intersection over union of two boxes, 0 to 1; 0 where both are empty."""
    shared = _intersection(a, b)
    union = a[2] * a[3] + b[2] * b[3] - shared
    return shared / union if union > 0 else 0.0


def overlap(a: BoundingBox, b: BoundingBox) -> float:
    """Return the area that two boxes share as a fraction of the smaller one's, 0 to 1; 0 where one is empty."""
    smaller = min(a[2] * a[3], b[2] * b[3])
    return _intersection(a, b) / smaller if smaller > 0 else 0.0


def _intersection(a: BoundingBox, b: BoundingBox) -> float:
    """Return the area that two boxes share, in square pixels."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)
