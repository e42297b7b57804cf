"""Known small faces that share a detection pass: where they are, who leaves, who comes, and the number of passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from portraits import portrait

from ferwatch.faces.detection import is_same_face, square_around
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.parts import FACE_IN_CELL, detect_in_mosaics, detect_in_part
from ferwatch.faces.search import search_image
from ferwatch.faces.stream import FaceStream
from ferwatch.records import BoundingBox, Detection, Face, Frame, FrameFaces

PORTRAITS = ((20, 30, 90, -12), (1000, 40, 70, 0), (980, 419, 140, 8), (333, 380, 110, 15))
"""Left and top edge of four square portraits of SIDE in a picture of 1280x720, size and turn of the face."""
SIDE = 250


class CountingDetector:
    """The real detector, with a count of its passes."""

    def __init__(self, detector: MediaPipeDetector) -> None:
        self.detector, self.thresholds, self.passes = detector, detector.thresholds, 0

    def detect(self, image: np.ndarray) -> list[Detection]:
        self.passes += 1
        return self.detector.detect(image)


@pytest.fixture
def counting(detector) -> CountingDetector:
    return CountingDetector(detector)


def picture(astronaut: np.ndarray, people: Sequence[int]) -> np.ndarray:
    """A picture that shows the portraits with the given numbers."""
    image = np.full((720, 1280, 3), 110, np.uint8)
    for number in people:
        x, y, face, turn = PORTRAITS[number]
        image[y : y + SIDE, x : x + SIDE] = portrait(astronaut, SIDE, turn, face)
    return image


def follow(astronaut: np.ndarray, shown: Sequence[Sequence[int]], detector: CountingDetector) -> Iterator[FrameFaces]:
    """The faces of a video of ten frames a second that shows the given portraits in each frame."""
    pictures = {people: picture(astronaut, people) for people in set(map(tuple, shown))}
    return FaceStream(detector).follow(Frame(i, i / 10, pictures[tuple(people)]) for i, people in enumerate(shown))


def center(box: BoundingBox) -> tuple[float, float]:
    return box.x + box.width / 2, box.y + box.height / 2


def people_in(faces: Sequence[Detection | Face]) -> list[int]:
    """The portraits in whose middle the faces lie."""
    middles = [np.array((x + SIDE / 2, y + SIDE / 2)) for x, y, *_ in PORTRAITS]
    people = []
    for face in faces:
        if face.score >= 0.7:
            away = [np.abs(center(face.bbox) - middle).max() for middle in middles]
            assert min(away) < 35
            people.append(int(np.argmin(away)))
    return sorted(people)


def test_faces_that_share_a_pass_are_where_passes_of_their_own_see_them(counting, astronaut) -> None:
    """To a pixel of the picture, in passes in which the faces are as large: middles of boxes, means of landmarks."""
    image = picture(astronaut, range(4))
    boxes = [face.bbox for face in search_image(image, counting)]
    counting.passes = 0
    together = detect_in_mosaics(image, boxes, counting)
    assert counting.passes == 1
    assert people_in(together) == [0, 1, 2, 3]
    for box in boxes:
        part = square_around(box, 2 * max(box[2:]) / FACE_IN_CELL)
        own_pass = detect_in_part(image, part, counting)
        shared, alone = (next(d for d in found if is_same_face(d.bbox, box)) for found in (together, own_pass))
        assert np.abs((shared.landmarks - alone.landmarks).mean(axis=0)).max() < 1
        assert np.abs(np.subtract(center(shared.bbox), center(alone.bbox))).max() < 2
    assert detect_in_mosaics(image, boxes[:1], counting) == []


def test_faces_that_touch_each_other_are_each_found_once(counting, astronaut) -> None:
    """The surroundings of each show parts of its neighbours."""
    image = np.full((720, 1280, 3), 110, np.uint8)
    row = np.hstack([portrait(astronaut, 110, turn, 90) for turn in (-10, 0, 10, 5)])
    image[300:410, 400:840] = row
    frames = list(FaceStream(counting).follow(Frame(index, index / 10, image) for index in range(5)))
    assert len(frames) == 5
    for frame in frames:
        places = [(face.bbox.x + face.bbox.width / 2 - 400) / 110 for face in frame.faces if face.score >= 0.7]
        assert [int(place) for place in places] == [0, 1, 2, 3]


def test_a_face_that_leaves_is_dropped_and_a_newcomer_is_found_at_once(counting, astronaut) -> None:
    shown = [[0, 1, 2]] * 4 + [[0, 2]] * 4 + [[0, 2, 3]] * 4
    assert [people_in(frame.faces) for frame in follow(astronaut, shown, counting)] == shown


@pytest.mark.parametrize("people", [[1], [0, 1], [0, 1, 2, 3]])
def test_small_faces_that_stay_take_one_pass_besides_that_over_the_whole_picture(counting, astronaut, people) -> None:
    passes = []
    for frame in follow(astronaut, [people] * 6, counting):
        assert people_in(frame.faces) == people
        passes.append(counting.passes)
    assert set(np.diff(passes)) == {2}
