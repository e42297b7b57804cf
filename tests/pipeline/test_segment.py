"""The pipeline's order, with stubs for its parts; the real ones are tested on their own and by the command line."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from ferwatch.faces.mediapipe import THRESHOLDS
from ferwatch.pipeline.segment import track
from ferwatch.records import BoundingBox, Detection, Frame, FrameFaces


def frames(count: int) -> Iterator[Frame]:
    for index in range(count):
        yield Frame(index, index / 10, np.full((60, 80, 3), index, np.uint8))


class Detector:
    """As many faces in a frame as its index modulo 3; the frame's pixels, and so those of a crop, have its index."""

    thresholds = THRESHOLDS

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        if image.shape != (60, 80, 3):
            return []
        landmarks = np.array([(9, 10), (21, 10), (15, 16), (15, 22), (4, 12), (26, 12)], np.float32)
        return [
            Detection(BoundingBox(40 * n, 0, 30, 30), landmarks + np.float32([40 * n, 0]), 0.9, 30 / 80)
            for n in range(image[0, 0, 0] % 3)
        ]


class Namer:
    def track(self, found: Iterable[FrameFaces]) -> Iterator[FrameFaces]:
        yield from found


def classifier(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    probabilities = np.zeros((len(crops), 7))
    probabilities[:, 0] = crops[:, 0, 0] / 255
    probabilities[:, 6] = 1 - probabilities[:, 0]
    return probabilities


def test_every_frame_comes_out_once_in_order_with_its_own_faces() -> None:
    results = list(track(frames(200), Detector(), Namer(), classifier))
    assert [r.index for r in results] == list(range(200))
    for result in results:
        assert len(result.faces) == result.index % 3
        assert all(face.probabilities[0] == result.index / 255 for face in result.faces)


class DearClassifier:
    """Takes longer than finding faces does, and notes how many of its passes run at once."""

    def __init__(self) -> None:
        self.going = self.most = 0

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        self.going += 1
        self.most = max(self.most, self.going)
        time.sleep(0.2)
        self.going -= 1
        return classifier(crops)


def test_dear_passes_go_on_side_by_side_and_their_results_stay_in_order() -> None:
    dear = DearClassifier()
    results = list(track(frames(200), Detector(), Namer(), dear, passes_at_once=2))
    assert [r.index for r in results] == list(range(200))
    assert all(face.probabilities[0] == r.index / 255 for r in results for face in r.faces)
    assert dear.most == 2


def test_an_error_in_any_stage_reaches_the_caller() -> None:
    def breaking() -> Iterator[Frame]:
        yield from frames(5)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(track(breaking(), Detector(), Namer(), classifier))

    def failing(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        time.sleep(0.02)
        if crops[0, 0, 0] > 100:
            raise MemoryError("no room")
        return classifier(crops)

    with pytest.raises(MemoryError, match="no room"):
        list(track(frames(200), Detector(), Namer(), failing, passes_at_once=2))


def test_a_caller_may_stop_early() -> None:
    results = track(frames(10_000), Detector(), Namer(), classifier)
    assert next(results).index == 0
    results.close()
