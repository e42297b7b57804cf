"""Adds a face detector: OpenCV's Haar cascade, with landmarks at their average positions in a face."""

from __future__ import annotations

import cv2
import numpy as np
from conftest import DEMO

from ferwatch.faces.detection import Thresholds
from ferwatch.faces.search import search_image
from ferwatch.records import BoundingBox, Detection
from ferwatch.video.source import open_source

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


def test_it_finds_the_face_of_the_demo() -> None:
    with open_source(DEMO, end=0.1) as source:
        image = next(iter(source)).image
    (face,) = search_image(image, HaarDetector(), small_faces=False)
    assert face.crop.shape == (48, 48)
    assert 290 < face.bbox.x + face.bbox.width / 2 < 350
