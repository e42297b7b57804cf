"""MediaPipeDetector: MediaPipe's short-range face detector."""

from __future__ import annotations

import weakref
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks.python.core.base_options import BaseOptions
from mediapipe.tasks.python.vision import FaceDetector, FaceDetectorOptions
from numpy.typing import NDArray

from ferwatch.errors import WeightsError
from ferwatch.faces.detection import Thresholds
from ferwatch.faces.model_file import find_face_model
from ferwatch.faces.track import FACE_SCORE
from ferwatch.records import BoundingBox, Detection
from ferwatch.utils.native_logs import call_without_native_logs, suppress_native_logs
from ferwatch.utils.threads import refuse_after_fork

THRESHOLDS = Thresholds(
    candidate_score=0.2,
    video_candidate_score=0.4,
    accept_score=0.8,
    rejection_score=0.4,
    verified_score=0.5,
    face_score=FACE_SCORE,
    reliable_size=(0.35, 0.8),
    video_reliable_size=0.25,
    verification_sizes=(0.45, 0.55),
)
MAX_INPUT_SIDE = 256
"""Pixels. Larger pictures are averaged down to about this, because MediaPipe samples single pixels of them."""


class _SingleThreadedDetector(FaceDetector):
    """MediaPipe's face detector, computing in the calling thread.

    By default it passes each of its steps to threads of its own, and every pass waits for eight changes of thread.
    MediaPipe 1.x has no such setting.
    """

    def __init__(self, graph: Any, *rest: Any) -> None:
        if hasattr(graph, "executor"):
            graph.executor.add(type="ApplicationThreadExecutor")
        super().__init__(graph, *rest)


def _create_detector(options: FaceDetectorOptions) -> FaceDetector:
    detector = _SingleThreadedDetector.create_from_options(options)
    # The first picture makes MediaPipe log once more.
    detector.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.zeros((128, 128, 3), np.uint8)))
    return detector


class MediaPipeDetector:
    """MediaPipe's short-range face detector, whose input is 128x128 pixels. Implements FaceDetector.

    A context manager. MediaPipe 1.x has to be closed before Python's modules are torn down, so a detector that is still
    open is closed when Python exits.

    Args:
        face_model: a face detection model for MediaPipe; None: the one in MediaPipe's wheel (up to 0.10.21), else the
            one that Google publishes, which is downloaded once.
    Raises WeightsError where the model cannot be read or is not a face detection model, FerwatchError in a process that
    was forked from one that had a detector.
    """

    def __init__(self, face_model: Path | None = None) -> None:
        refuse_after_fork()
        self.thresholds = THRESHOLDS
        path = find_face_model() if face_model is None else face_model
        try:
            options = FaceDetectorOptions(
                base_options=BaseOptions(model_asset_buffer=path.read_bytes()),
                min_detection_confidence=THRESHOLDS.candidate_score,
            )
            self._detector = call_without_native_logs(lambda: _create_detector(options))
            self._close = weakref.finalize(self, _close, self._detector)
        except OSError as error:
            raise WeightsError(f"the face model {path} cannot be read: {error.strerror or error}") from None
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise WeightsError(f"{path} is no face detection model that MediaPipe runs: {reason}") from None

    def close(self) -> None:
        """Release MediaPipe's graph. Calling it again does nothing."""
        self._close()

    def __enter__(self) -> MediaPipeDetector:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def detect(self, image: NDArray[Any]) -> list[Detection]:
        """Return the faces of a picture, (H, W, 3) uint8 BGR, in pixels of that picture, in any order."""
        refuse_after_fork()
        if not self._close.alive:
            raise RuntimeError("the face detector is closed")
        height, width = image.shape[:2]
        block = max(1, max(height, width) // MAX_INPUT_SIDE)
        if block > 1 and min(height, width) >= block:
            image = cv2.resize(
                image[: height // block * block, : width // block * block],
                None, fx=1 / block, fy=1 / block, interpolation=cv2.INTER_AREA,
            )  # fmt: skip
        else:
            block = 1
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        size = np.array([rgb.shape[1], rgb.shape[0]], dtype=np.float32) * block
        result = self._detector.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb))
        detections = []
        for face in result.detections:
            box = face.bounding_box
            x, y, w, h = (float(block * side) for side in (box.origin_x, box.origin_y, box.width, box.height))
            landmarks = np.array([(p.x, p.y) for p in face.keypoints], dtype=np.float32) * size
            relative_size = max(w, h) / float(max(size))
            detections.append(Detection(BoundingBox(x, y, w, h), landmarks, face.categories[0].score, relative_size))
        return detections


def _close(detector: FaceDetector) -> None:
    with suppress_native_logs():
        detector.close()
