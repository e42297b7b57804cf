"""FaceStream on real clips and composed videos, with the MediaPipe that is installed."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import skimage.data
from conftest import shared
from portraits import portrait

from ferwatch.faces.align import align
from ferwatch.faces.stream import FaceStream
from ferwatch.faces.tracker import FaceTracker
from ferwatch.records import Frame


def frames_of(name: str, every: int = 1) -> Iterator[Frame]:
    video = cv2.VideoCapture(str(shared(f"videos/{name}")))
    for index in range(10_000):
        if not video.grab():
            break
        if index % every == 0:
            yield Frame(index, video.get(cv2.CAP_PROP_POS_MSEC) / 1000, video.retrieve()[1])


@pytest.mark.parametrize(("name", "every"), [("single_face.mp4", 1), ("phone.mp4", 3), ("phone.mp4", 50)])
def test_a_clip_of_one_person_has_one_face_in_every_frame(detector, name, every) -> None:
    tracked = list(FaceTracker().track(FaceStream(detector).follow(frames_of(name, every))))
    assert len(tracked) >= 3
    assert {tuple(f.face_id for f in frame.faces) for frame in tracked} == {(1,)}


def test_a_clip_whose_second_half_shows_no_face(detector) -> None:
    """Frames 0 to 71 show a face, 72 to 168 do not, though a blurred title resembles one."""
    tracked = list(FaceTracker().track(FaceStream(detector).follow(frames_of("face_noface.mov"))))
    assert [frame.index for frame in tracked] == list(range(169))
    wrong = [frame.index for frame in tracked if bool(frame.faces) != (frame.index < 72)]
    assert len(wrong) <= 3, wrong
    assert {f.face_id for frame in tracked for f in frame.faces} == {1}


@pytest.mark.parametrize("corner", [(120, 260), (430, 380)])
def test_a_face_within_a_thing_that_resembles_a_face_is_not_lost(detector, astronaut, corner) -> None:
    """A cat's face, as large as the picture: the detector sees something in it, but not surely."""
    cat = cv2.cvtColor(skimage.data.chelsea(), cv2.COLOR_RGB2BGR)
    picture = cv2.resize(cat, None, fx=1.6, fy=1.6)[:, 40:680].copy()
    x, y = corner
    picture[y : y + 84, x : x + 84] = cv2.resize(astronaut[20:200, 130:310], (84, 84), interpolation=cv2.INTER_AREA)
    found = list(FaceTracker().track(FaceStream(detector).follow(Frame(i, i / 10, picture) for i in range(8))))
    assert len(found) == 8
    for frame in found:
        faces = frame.faces
        assert len(faces) == 1
        assert np.abs(np.array(faces[0].bbox[:2]) + faces[0].bbox[2] / 2 - corner - 42).max() < 20


def two_people(astronaut: np.ndarray, count: int, rate: float, gone: range) -> Iterator[Frame]:
    """Two faces; the right one is away for a while, and is another person's: the picture mirrored and darker."""
    left, right = portrait(astronaut, 200, 5, 100), 255 - (255 - portrait(astronaut, 140, -8, 70)[:, ::-1] // 2)
    for index in range(count):
        image = np.full((360, 640, 3), 110, np.uint8)
        image[80:280, 40 + index : 240 + index] = left
        if index not in gone:
            image[150:290, 450:590] = right
        yield Frame(index, index / rate, image)


def test_one_of_two_faces_leaves_and_comes_back_within_a_second(detector, astronaut) -> None:
    gone = range(12, 21)
    tracked = list(FaceTracker().track(FaceStream(detector).follow(two_people(astronaut, 32, 10, gone))))
    assert [[f.face_id for f in frame.faces] for frame in tracked] == [[1] if i in gone else [1, 2] for i in range(32)]


@pytest.mark.parametrize("rate", [25, 30, 60])
def test_a_face_is_where_it_is_in_frames_between_two_looks_too(detector, astronaut, rate) -> None:
    """One of the faces moves by a pixel a frame; the other leaves and comes back."""
    gone = range(18, 41)
    found = list(FaceTracker().track(FaceStream(detector).follow(two_people(astronaut, 60, rate, gone))))
    assert [frame.index for frame in found] == list(range(60))
    at = np.array([frame.faces[0].landmarks - (frame.index, 0) for frame in found])
    assert np.abs(at - np.median(at, axis=0)).max() < 4, "as near as where it is looked at"
    assert [frame.index for frame in found if len(frame.faces) == 1] == list(gone)
    frames = {frame.index: frame.image for frame in two_people(astronaut, 60, rate, gone)}
    for frame in found:
        for face in frame.faces:
            np.testing.assert_array_equal(face.crop, align(frames[frame.index], face.landmarks))


def test_a_small_face_is_found_from_the_very_frame_of_a_cut_on(detector, astronaut) -> None:
    """Of 30 frames a second every other one is looked at: cuts before both kinds."""
    empty = np.full((480, 640, 3), 30, np.uint8)
    shown = np.full((480, 640, 3), 120, np.uint8)
    shown[200:400, 400:600] = portrait(astronaut, 200, face=45)
    for cut in (13, 14):
        clip = (Frame(i, i / 30, empty if i < cut else shown) for i in range(20))
        assert [frame.index for frame in FaceStream(detector).follow(clip) if frame.faces] == list(range(cut, 20))


@pytest.mark.parametrize(("rate", "first"), [(5, 20), (25, 100), (30, 120)])
def test_watching_can_be_taken_up_every_four_seconds(detector, astronaut, rate, first) -> None:
    frames = list(two_people(astronaut, first + 12, rate, range(first - 8, first - 3)))

    def rows(frames: list[Frame]) -> list[tuple]:
        return [
            (frame.index, [(f.bbox, f.score, f.crop.tobytes()) for f in frame.faces])
            for frame in FaceStream(detector).follow(frames)
        ]

    later = rows(frames[first:])
    assert len(later) == 12
    assert later == rows(frames)[first:]


@pytest.mark.parametrize("late", [0.033, 0.04])
def test_a_frame_of_another_size_is_searched_however_early_it_comes(detector, astronaut, late) -> None:
    """The face is small, and right after it the person is gone: only a search of that very frame finds the face."""
    empty, shown = np.full((360, 640, 3), 110, np.uint8), np.full((480, 640, 3), 110, np.uint8)
    shown[200:400, 400:600] = portrait(astronaut, 200, face=45)
    clip = [Frame(0, 0.01, empty), Frame(1, 0.01 + late, shown), Frame(2, 0.15, shown * 0 + 110)]
    found = FaceStream(detector).follow(clip)
    assert [sum(face.score >= 0.7 for face in frame.faces) for frame in found] == [0, 1, 0]


def test_faces_outside_the_region_do_not_count_for_the_limit(detector, astronaut) -> None:
    frames = list(two_people(astronaut, 3, 10, range(0)))
    both = list(FaceStream(detector).follow(frames))
    for face in (face for face in both[0].faces if face.score >= 0.7):
        x, y, width, height = face.bbox
        stream = FaceStream(detector, max_faces=1, region=(x, y, width, height))
        for frame in stream.follow(frames):
            assert len(frame.faces) == 1
            assert frame.left_out == 0
            assert abs(frame.faces[0].bbox.x - x) < width / 4
