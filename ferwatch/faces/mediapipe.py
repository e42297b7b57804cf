"""MediaPipe's short-range face detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks.python.core.base_options import BaseOptions
from mediapipe.tasks.python.vision import FaceDetector, FaceDetectorOptions
from numpy.typing import NDArray

from ferwatch.errors import WeightsError
from ferwatch.faces.detection import Sighting
from ferwatch.records import BoundingBox
from ferwatch.utils.native_logs import suppress_native_logs


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
            with suppress_native_logs():
                self._detector = _InOneThread.create_from_options(options)
                self.look(np.zeros((128, 128, 3), np.uint8))  # the first picture makes it talk once more
        except OSError as cause:
            raise WeightsError(f"the face model {model} cannot be read: {cause.strerror or cause}") from None
        except (ValueError, RuntimeError) as cause:
            reason = str(cause).strip().splitlines()[0]
            raise WeightsError(f"{model} is no face detection model that MediaPipe runs: {reason}") from None

    def close(self) -> None:
        with suppress_native_logs():
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
            landmarks = np.array([(p.x, p.y) for p in face.keypoints], dtype=np.float32) * size
            sightings.append(
                Sighting(BoundingBox(x, y, w, h), landmarks, face.categories[0].score, max(w, h) / float(max(size)))
            )
        return sightings
