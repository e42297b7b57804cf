"""The order of a segment's steps, with stubs for its parts; the real ones are tested on their own and as a whole."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from ferwatch.faces.mediapipe import THRESHOLDS
from ferwatch.pipeline.segment import MAX_FRAMES_PER_PASS, analyze_frames, track
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


class Tracker:
    def track(self, found: Iterable[FrameFaces]) -> Iterator[FrameFaces]:
        yield from found


def classifier(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    probabilities = np.zeros((len(crops), 7))
    probabilities[:, 0] = crops[:, 0, 0] / 255
    probabilities[:, 6] = 1 - probabilities[:, 0]
    return probabilities


def test_every_frame_comes_out_once_in_order_with_its_own_faces() -> None:
    results = list(track(frames(200), Detector(), Tracker(), classifier))
    assert [r.index for r in results] == list(range(200))
    for result in results:
        assert len(result.faces) == result.index % 3
        assert all(face.probabilities[0] == result.index / 255 for face in result.faces)


def test_an_error_in_any_stage_reaches_the_caller() -> None:
    def breaking() -> Iterator[Frame]:
        yield from frames(5)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(track(breaking(), Detector(), Tracker(), classifier))

    def failing(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        if crops[0, 0, 0] > 100:
            raise MemoryError("no room")
        return classifier(crops)

    with pytest.raises(MemoryError, match="no room"):
        list(track(frames(200), Detector(), Tracker(), failing))


def test_results_come_while_the_source_goes_on() -> None:
    """A camera never ends: what it showed has to come out with a bounded delay, also where nobody is in sight."""
    delays = []
    taken = 0

    def camera() -> Iterator[Frame]:
        nonlocal taken
        for frame in frames(300):
            taken = frame.index
            yield Frame(frame.index, frame.timestamp, frame.image * 0)  # index 0: no face

    for result in track(camera(), Detector(), Tracker(), classifier):
        delays.append(taken - result.index)
    assert len(delays) == 300
    assert max(delays) <= MAX_FRAMES_PER_PASS


def test_it_starts_no_thread() -> None:
    before = threading.active_count()
    results = track(frames(50), Detector(), Tracker(), classifier)
    next(results)
    assert threading.active_count() == before


def test_segments_between_multiples_of_four_seconds_hold_the_faces_of_the_whole() -> None:
    whole = list(analyze_frames(frames(200), Detector(), classifier))
    groups = [[f for f in frames(200) if 4 * n <= f.timestamp < 4 * (n + 1)] for n in range(5)]
    parts = {n: list(analyze_frames(groups[n], Detector(), classifier)) for n in (3, 0, 4, 2, 1)}

    def plain(found: list[FrameFaces]) -> list[tuple]:
        return [(f.index, [(x.bbox, x.score, x.crop.tobytes(), x.probabilities) for x in f.faces]) for f in found]

    assert plain([frame for n in range(5) for frame in parts[n]]) == plain(whole)
