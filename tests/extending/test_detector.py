"""Adds a face detector: OpenCV's Haar cascade, with landmarks at their average positions in a face."""

from __future__ import annotations

import cv2
import numpy as np
from conftest import DEMO, needs_weights

import ferwatch
from ferwatch.faces.detection import Thresholds
from ferwatch.records import BoundingBox, Detection

LANDMARKS = np.array([(0.3, 0.38), (0.7, 0.38), (0.5, 0.6), (0.5, 0.8), (0.1, 0.45), (0.9, 0.45)], np.float32)


class HaarDetector:
    """A FaceDetector: it has `thresholds` and `detect`."""

    thresholds = Thresholds(0.5, 0.5, 0.9, 0.4, 0.5, 0.5, (0.05, 1.0), 0.05, (0.5,))

    def __init__(self) -> None:
        self.cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def detect(self, image: np.ndarray) -> list[Detection]:
        boxes = self.cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), minNeighbors=8)
        return [
            Detection(BoundingBox(x, y, side, side), LANDMARKS * side + (x, y), 1.0, side / max(image.shape))
            for x, y, side, _ in np.asarray(boxes, float).reshape(-1, 4)
        ]


@needs_weights
def test_it_finds_the_face_of_the_demo() -> None:
    with ferwatch.Analyzer(detector=HaarDetector()) as analyzer:
        results = list(analyzer.track(DEMO, end=0.5))
    assert [len(result.faces) for result in results] == [1] * 5
    assert all(290 < face.bbox.x + face.bbox.width / 2 < 350 for result in results for face in result.faces)
