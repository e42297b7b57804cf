"""The records that flow through ferwatch, and the errors it raises. Imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""FER2013's class order; every probability vector in ferwatch is in this order."""

FACE_SIZE = 48
"""Side of an aligned face crop in pixels, as in FER2013."""

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels of the upright frame; x and y may be negative at the border."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame."""

    index: int
    """0-based, in presentation order, counted from the file's first frame."""
    timestamp: float
    """Seconds: presentation time minus the container's start time."""
    image: NDArray[np.uint8]
    """(height, width, 3), BGR, upright."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face found in a frame."""

    box: Box
    keypoints: NDArray[np.float32]
    """(6, 2) pixels: right eye, left eye, nose tip, mouth, right ear, left ear. Right is the person's own right,
    which is on the left of the picture."""
    score: float
    """The detector's, 0 to 1."""
    crop: NDArray[np.uint8]
    """(48, 48) gray, aligned."""
    face_id: int = 0
    """From 1 once the Tracker has named it."""


@dataclass(frozen=True, slots=True)
class FaceResult:
    """What one face shows in one frame."""

    face_id: int
    score: float
    box: Box
    probabilities: tuple[float, ...]
    """Seven calibrated probabilities in the order of EMOTIONS; they sum to 1."""

    @property
    def emotion(self) -> str:
        return EMOTIONS[max(range(len(EMOTIONS)), key=self.probabilities.__getitem__)]

    @property
    def confidence(self) -> float:
        return max(self.probabilities)


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What one sampled frame shows: no face, one, or several in the order of their ids."""

    index: int
    timestamp: float
    faces: tuple[FaceResult, ...]


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

    @property
    def duration(self) -> float:
        return round(self.end - self.start, 3)
