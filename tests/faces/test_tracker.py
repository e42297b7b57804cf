"""Who is a face and who is who, on made-up detections and on the clips' own."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from ferwatch.faces.similarity import gradient_descriptor, similarity
from ferwatch.faces.tracker import FaceTracker
from ferwatch.records import BoundingBox, Face, FrameFaces


def person(seed: int) -> np.ndarray:
    """A crop that is like itself and like no other."""
    return cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 256, (48, 48)).astype(np.uint8), (0, 0), 3) * 3


ANN, BEN, CID = person(1), person(2), person(3)


def face(who: np.ndarray, x: float, y: float = 100, side: float = 80, score: float = 0.9) -> Face:
    points = np.array([(0.3, 0.3), (0.7, 0.3), (0.5, 0.5), (0.5, 0.7), (0.1, 0.4), (0.9, 0.4)])
    return Face(BoundingBox(x, y, side, side), (points * side + (x, y)).astype(np.float32), score, who)


def video(rate: float, *shown: list[Face]) -> list[FrameFaces]:
    return [FrameFaces(index, index / rate, tuple(faces)) for index, faces in enumerate(shown)]


def ids(found: list[FrameFaces]) -> list[list[int]]:
    return [[f.face_id for f in frame.faces] for frame in FaceTracker().track(found)]


def test_people_are_told_apart() -> None:
    ann, ben = gradient_descriptor(ANN), gradient_descriptor(BEN)
    assert similarity([ann], [ann]) > 0.99
    assert abs(similarity([ann], [ben])) < 0.3


@pytest.mark.parametrize("rate", [30, 10, 0.5])
def test_one_who_stays_is_one(rate: float) -> None:
    found = video(rate, *([face(ANN, 100 + 20 * np.sin(i))] for i in range(40)))
    assert ids(found) == [[1]] * 40


@pytest.mark.parametrize("rate", [30, 10, 4])
def test_one_of_two_leaves_and_is_back_within_a_second(rate: float) -> None:
    count, gone = int(4 * rate), range(int(1.5 * rate), int(2.4 * rate))
    found = video(rate, *([face(ANN, 100)] + ([face(BEN, 400)] if i not in gone else []) for i in range(count)))
    assert ids(found) == [[1] if i in gone else [1, 2] for i in range(count)]


def test_two_who_change_places_keep_their_ids() -> None:
    found = video(25, *([face(ANN, 100 + 6 * i), face(BEN, 400 - 6 * i)] for i in range(50)))
    tracked = list(FaceTracker().track(found))
    assert len(tracked) == 50
    for frame in tracked:
        assert {f.face_id: f.crop is ANN for f in frame.faces} == {1: True, 2: False}


def test_a_walk_without_sightings_is_followed() -> None:
    found = video(25, *([face(ANN, 100 + 8 * i)] if i < 20 or i > 30 else [] for i in range(60)))
    assert {i for shown in ids(found) for i in shown} == {1}


def test_irregular_sampling() -> None:
    times = np.cumsum(np.random.default_rng(0).exponential(0.3, 60))
    found: list[FrameFaces] = [FrameFaces(i, t, (face(ANN, 100), face(BEN, 400))) for i, t in enumerate(times)]
    assert ids(found) == [[1, 2]] * 60


def test_ids_are_in_the_order_of_the_rows() -> None:
    """The doubtful one is there first, so the sure one waits and is second."""
    doubtful = [[face(ANN, 100, score=s)] for s in (0.6, 0.6, 0.9, 0.9)]
    found = video(10, *(faces + ([face(BEN, 400)] if i else []) for i, faces in enumerate(doubtful)))
    assert ids(found) == [[1], [1, 2], [1, 2], [1, 2]]


@pytest.mark.parametrize("rate", [30, 10, 0.5])
def test_one_good_sighting_is_a_face_and_a_poor_one_is_not(rate: float) -> None:
    poor = [[face(BEN, 400, score=0.6)] if i in (3, 4, 20) else [] for i in range(30)]
    good = [[face(ANN, 100, score=0.85)] if i == 10 else [] for i in range(30)]
    found = video(rate, *(a + b for a, b in zip(good, poor, strict=True)))
    assert ids(found) == [[1] if i == 10 else [] for i in range(30)]


def test_what_stays_poor_is_no_face_and_holds_nothing_up_for_long() -> None:
    taken = []

    def frames() -> Iterator[FrameFaces]:
        for frame in video(30, *([face(BEN, 400, score=0.64)] for _ in range(300))):
            taken.append(frame.index)
            yield frame

    shown = 0
    for frame in FaceTracker().track(frames()):
        shown += 1
        assert not frame.faces
        assert taken[-1] - frame.index <= 16  # half a second and a frame
    assert shown == 300


def test_a_cut_to_another_person_and_back() -> None:
    shots = [ANN] * 20 + [BEN] * 20 + [ANN] * 20
    found = video(25, *([face(who, 100)] for who in shots))
    assert ids(found) == [[1]] * 20 + [[2]] * 20 + [[1]] * 20


def test_one_who_comes_back_late_and_elsewhere_is_known_and_a_stranger_is_not() -> None:
    def sees(who: np.ndarray, x: float, samples: int) -> list[list[Face]]:
        return [[face(who, x)]] * samples

    nobody: list[list[Face]] = [[]]
    shown = sees(ANN, 100, 20) + nobody * 300 + sees(CID, 250, 5) + nobody * 100 + sees(ANN, 500, 5)
    found = video(10, *shown)
    assert [i for shown in ids(found) for i in shown] == [1] * 20 + [2] * 5 + [1] * 5
