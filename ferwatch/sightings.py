"""Sightings: what the face detector says it sees, and which of them are one face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks.python.core.base_options import BaseOptions
from mediapipe.tasks.python.vision import FaceDetector, FaceDetectorOptions
from numpy.typing import NDArray

from ferwatch.chatter import without_chatter
from ferwatch.records import Box, WeightsError

SURE = 0.8
"""The score from which a clear sighting is a face without another look."""
CLEAR = (0.35, 0.8)
"""The share of what was looked at that a face fills, between which its keypoints are good to a pixel of the crop."""
CLEAR_ENOUGH = 0.25
"""The lower one while a video is followed, where each look counts: 1.5 pixels."""


class Sighting(NamedTuple):
    """What the detector says it sees."""

    box: Box
    keypoints: NDArray[np.float32]
    score: float
    share: float
    """Side of the box in units of the longer side of what was looked at."""


class _InOneThread(FaceDetector):
    """MediaPipe's face detector, computing in the thread that calls it.

    By itself it hands each of its steps to threads of its own: eight changes of threads a look, for each of which a
    busy program waits. MediaPipe 1.x does not let its threads be chosen.
    """

    def __init__(self, graph: Any, *rest: Any) -> None:
        if hasattr(graph, "executor"):
            graph.executor.add(type="ApplicationThreadExecutor")
        super().__init__(graph, *rest)


class Detector:
    """MediaPipe's short-range face detector. MediaPipe 1.x has to be closed before Python ends.

    Raises WeightsError where the model cannot be read or is no face model.
    """

    def __init__(self, model: Path, least_score: float) -> None:
        try:
            options = FaceDetectorOptions(
                base_options=BaseOptions(model_asset_buffer=model.read_bytes()),
                min_detection_confidence=least_score,
            )
            with without_chatter():
                self._detector = _InOneThread.create_from_options(options)
                self.look(np.zeros((128, 128, 3), np.uint8))  # the first picture makes it talk once more
        except OSError as cause:
            raise WeightsError(f"the face model {model} cannot be read: {cause.strerror or cause}") from None
        except (ValueError, RuntimeError) as cause:
            reason = str(cause).strip().splitlines()[0]
            raise WeightsError(f"{model} is no face detection model that MediaPipe runs: {reason}") from None

    def close(self) -> None:
        with without_chatter():
            self._detector.close()

    def look(self, image: NDArray[Any]) -> list[Sighting]:
        """What the detector sees in a picture. It samples points, so a large picture is averaged down first."""
        height, width = image.shape[:2]
        block = max(1, max(height, width) // 256)
        if block > 1 and min(height, width) >= block:
            image = cv2.resize(
                image[: height // block * block, : width // block * block],
                None, fx=1 / block, fy=1 / block, interpolation=cv2.INTER_AREA,
            )  # fmt: skip
        else:
            block = 1
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        size = np.array([rgb.shape[1], rgb.shape[0]], dtype=np.float32) * block
        found = self._detector.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb)).detections
        sightings = []
        for face in found:
            at = face.bounding_box
            x, y, w, h = (float(block * side) for side in (at.origin_x, at.origin_y, at.width, at.height))
            keypoints = np.array([(p.x, p.y) for p in face.keypoints], dtype=np.float32) * size
            sightings.append(Sighting((x, y, w, h), keypoints, face.categories[0].score, max(w, h) / float(max(size))))
        return sightings


def plausible(box: Box, keypoints: NDArray[np.floating]) -> bool:
    """Whether the keypoints (6, 2) lie as those of a face do: the mouth below the eyes, as a face is turned, the nose
    between them, and all of it of a size with the box."""
    right_eye, left_eye, nose, mouth = np.asarray(keypoints, dtype=np.float64)[:4] @ (1, 1j)
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


def square_around(box: Box, side: float) -> Box:
    """A square of this side with a box in its middle."""
    x, y, width, height = box
    return x + (width - side) / 2, y + (height - side) / 2, side, side


def mean_sighting(looks: Sequence[Sighting]) -> Sighting:
    """The mean of several looks at one face."""
    box, keypoints, score, share = (np.mean(values, axis=0) for values in zip(*looks, strict=True))
    return Sighting(tuple(box.tolist()), keypoints, float(score), float(share))


def distinct(sightings: Iterable[Sighting], agree: Callable[[Box, Box], bool]) -> list[Sighting]:
    """The sightings without those that show the same again, surest first; a clear one stays before a surer one that is
    cut or small."""
    kept: list[Sighting] = []
    for sighting in sorted(
        sightings, key=lambda s: (s.score >= SURE and s.share >= CLEAR_ENOUGH, s.score), reverse=True
    ):
        if not any(agree(sighting.box, other.box) for other in kept):
            kept.append(sighting)
    return kept


def same_face(a: Box, b: Box) -> bool:
    """Whether two boxes are one face's: much of the smaller lies in the other."""
    return _shared(a, b) > 0.4 * min(a[2] * a[3], b[2] * b[3])


def alike(a: Box, b: Box) -> bool:
    """Whether two boxes are about the same: they share half of what both cover."""
    return _shared(a, b) > (a[2] * a[3] + b[2] * b[3]) / 3


def _shared(a: Box, b: Box) -> float:
    """The area that two boxes share."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)
