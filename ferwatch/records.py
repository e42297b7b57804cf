"""The records that flow from a video's frames to the rows of its table. Imports nothing of ferwatch's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The classes in FER2013's order, which is the order of every probability vector in ferwatch."""

FACE_SIZE = 48
"""Side of an aligned face crop in pixels, as in FER2013."""


class BoundingBox(NamedTuple):
    """A rectangle in pixels of the upright frame. It may reach beyond the frame's edges."""

    x: float
    y: float
    width: float
    height: float


Region = tuple[float, float, float, float]
"""x, y, width and height of a rectangle, in pixels of the upright frame."""

NEGATIVE_EMOTIONS = ("angry", "disgust", "fear", "sad")
"""The emotions of which the strongest is subtracted from happy in the valence."""


def are_centres_in(region: Region, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(..., 4) boxes, x, y, width and height -> (...,): whether the centre of each lies in the region."""
    left, top, width, height = region
    x, y = boxes[..., 0] + boxes[..., 2] / 2, boxes[..., 1] + boxes[..., 3] / 2
    inside: NDArray[np.bool_] = (left <= x) & (x < left + width) & (top <= y) & (y < top + height)
    return inside


def valence_of(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the valence (...,) of probabilities (..., 7): happy less the largest negative emotion, -1 to 1.

    This is FaceReader's definition (Noldus, FaceReader Methodology Note): the intensity of happy minus that of the
    strongest negative expression.
    """
    negative = [EMOTIONS.index(name) for name in NEGATIVE_EMOTIONS]
    valence = probabilities[..., EMOTIONS.index("happy")] - probabilities[..., negative].max(axis=-1)
    return np.round(valence, 4) + 0.0  # no -0.0


class Placement(NamedTuple):
    """Scale and position at which a picture of another size lies in the video's frame: centred, as large as fits."""

    scale: float
    """Pixels of the video's frame for each pixel of the picture."""
    x: float
    """Left edge of the picture in the video's frame, in pixels."""
    y: float
    """Top edge of the picture in the video's frame, in pixels."""

    def box(self, box: BoundingBox) -> BoundingBox:
        """Return a box of the picture in pixels of the video's frame."""
        scale, x, y = self
        return BoundingBox(x + scale * box.x, y + scale * box.y, scale * box.width, scale * box.height)


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame of a video."""

    index: int
    """Position in presentation order, from 0, counted from the file's first frame."""
    timestamp: float
    """Presentation time in seconds, counted from the container's start time."""
    image: NDArray[np.uint8]
    """(height, width, 3) BGR, upright, with square pixels."""
    duration: float | None = None
    """Seconds for which a player shows the frame: until the file's next frame is shown, whether that one is sampled or
    not. For the last frame, as long as the container says, and never beyond the end of the range. None where the source
    does not say."""
    placement: Placement | None = None
    """Scale and position of the image in the video's frame (VideoInfo's width and height); None: it fills the frame."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One face as a face detector reports it."""

    bbox: BoundingBox
    landmarks: NDArray[np.float32]
    """(6, 2) pixels, in the order of `Face.landmarks`."""
    score: float
    """Detection score, 0 to 1."""
    relative_size: float
    """Longer side of the box in units of the longer side of the picture that the detector was given."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face found in a frame."""

    bbox: BoundingBox
    landmarks: NDArray[np.float32]
    """(6, 2) pixels: right eye, left eye, nose tip, mouth, right ear, left ear. Right is the person's own right,
    which is on the left of the picture."""
    score: float
    """Detection score, 0 to 1."""
    crop: NDArray[np.uint8]
    """(48, 48) uint8 gray, aligned."""
    face_id: int = 0
    """Identity over time, from 1; 0 until the tracker has assigned one."""
    probabilities: tuple[float, ...] = ()
    """Seven calibrated probabilities in the order of EMOTIONS; empty until the face is classified."""
    descriptor: NDArray[np.float32] | None = None
    """(128,) by which the tracker compares faces, of length 1; None: it is calculated there."""

    def placed(self, placement: Placement | None) -> Face:
        """Return the face with box and landmarks in pixels of the video's frame instead of those of its picture."""
        if placement is None:
            return self
        scale, x, y = placement
        landmarks = (self.landmarks * scale + (x, y)).astype(np.float32)
        return replace(self, bbox=placement.box(self.bbox), landmarks=landmarks)


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """The faces found in one sampled frame."""

    index: int
    timestamp: float
    faces: tuple[Face, ...]
    duration: float | None = None
    """Seconds for which a player shows the picture; None where the container does not say."""
    brightness: NDArray[np.uint8] | None = None
    """(9, 16) mean brightness, 0 to 255, of the cells of a grid over the picture, from which the tracker detects new
    scenes. None: unknown, and no new scene is assumed."""
    left_out: int = 0
    """Number of faces that were found but exceed the limit for one frame and are not in `faces`; detections that score
    too low to be certain do not count."""


@dataclass(frozen=True, slots=True)
class FaceResult:
    """Result for one face in one frame."""

    face_id: int
    score: float
    """Detection score, 0 to 1."""
    bbox: BoundingBox
    probabilities: tuple[float, ...]
    """Seven calibrated probabilities in the order of EMOTIONS; they sum to 1."""

    @property
    def emotion(self) -> str:
        """The most probable of EMOTIONS."""
        return EMOTIONS[max(range(len(EMOTIONS)), key=self.probabilities.__getitem__)]

    @property
    def confidence(self) -> float:
        """The probability of `emotion`."""
        return max(self.probabilities)

    @property
    def valence(self) -> float:
        """Happy less the strongest negative emotion, -1 to 1; see `valence_of`."""
        happy, *negative = (self.probabilities[EMOTIONS.index(name)] for name in ("happy", *NEGATIVE_EMOTIONS))
        return round((happy - max(negative)) * 1e4) / 1e4 + 0.0  # the same number as that of valence_of, much faster


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Result for one sampled frame: no face, one, or several in the order of their ids."""

    index: int
    timestamp: float
    faces: tuple[FaceResult, ...]
    duration: float | None = None
    """Seconds for which a player shows the picture; None where the container does not say."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of time in which one face shows one emotion, after smoothing. Times in seconds."""

    face_id: int
    emotion: str
    """One of EMOTIONS, or "uncertain"."""
    start: float
    end: float
    mean_confidence: float
    peak_time: float
    peak_confidence: float
    mean_valence: float = 0.0
    """Mean valence of the face over the episode, weighted by time, -1 to 1."""

    @property
    def duration(self) -> float:
        return round(self.end - self.start, 3)
