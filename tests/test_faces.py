"""FaceFinder on real pictures and clips, with the MediaPipe that is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from ferwatch.errors import WeightsError
from ferwatch.faces import model_file as face_model
from ferwatch.faces.align import align
from ferwatch.faces.search import FaceFinder
from ferwatch.faces.tracker import FaceTracker
from ferwatch.records import Frame

SHARED = Path(__file__).parents[2] / "shared"
# MediaPipe 1.x carries no model: `make test-mediapipe-1` names the older wheel's here.
MODEL = Path(os.environ["FERWATCH_TEST_FACE_MODEL"]) if "FERWATCH_TEST_FACE_MODEL" in os.environ else None
FER2013 = 48 * np.array([(0.328, 0.391), (0.679, 0.388), (0.507, 0.600), (0.508, 0.770)])
"""Right eye, left eye, nose and mouth of the mean FER2013 face."""


@pytest.fixture(scope="module")
def finder() -> Iterator[FaceFinder]:
    with FaceFinder(MODEL) as finder:
        yield finder


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)


def shared(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"../shared/{name} is not here")
    return SHARED / name


def frames_of(name: str, every: int = 1) -> Iterator[Frame]:
    video = cv2.VideoCapture(str(shared(f"videos/{name}")))
    for index in range(10_000):
        if not video.grab():
            break
        if index % every == 0:
            yield Frame(index, video.get(cv2.CAP_PROP_POS_MSEC) / 1000, video.retrieve()[1])


def portrait(astronaut: np.ndarray, side: int, turn: float = 0, face: float = 101) -> np.ndarray:
    """The astronaut's face in the middle of a square picture, `face` pixels large and turned."""
    middle = (225.0, 125.0)
    scale = face / 101
    move = cv2.getRotationMatrix2D(middle, turn, scale)
    move[:, 2] += side / 2 - np.array(middle)
    smooth = astronaut if scale > 0.7 else cv2.GaussianBlur(astronaut, (0, 0), 0.4 / scale)
    return cv2.warpAffine(smooth, move, (side, side), borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("face", [60, 150, 600])
def test_keypoints_of_an_aligned_crop_are_where_fer2013_has_them(finder, astronaut, face) -> None:
    """Seen again by the detector in the enlarged crop, whatever the face's turn and size were."""
    for turn in (-30, -15, 0, 15, 30):
        found = finder.find(portrait(astronaut, max(400, int(1.7 * face)), turn, face))
        assert len(found) == 1, (face, turn)
        crop = cv2.resize(found[0].crop, (192, 192), interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(crop, 48, 48, 48, 48, cv2.BORDER_REPLICATE)
        (again,) = finder.find(cv2.cvtColor(framed, cv2.COLOR_GRAY2BGR))
        error = np.linalg.norm((again.landmarks[:4] - 48) / 4 - FER2013, axis=1)
        assert error.max() < 2, (face, turn, error)


def test_faces_are_found_in_any_place_and_size_of_a_large_picture(finder, astronaut) -> None:
    picture = np.full((720, 1280, 3), 90, np.uint8)
    places = [(60, 70, 60), (300, 40, 100), (700, 30, 250), (80, 400, 80), (400, 420, 120), (1010, 440, 160)]
    for x, y, face in places:
        side = int(face * 1.6)
        picture[y : y + side, x : x + side] = portrait(astronaut, side, 0, face)
    found = finder.find(picture)
    middles = sorted((x + 0.8 * face, y + 0.8 * face, face) for x, y, face in places)
    assert len(found) == len(places)
    for (x, y, size), face in zip(middles, found, strict=True):
        left, top, width, height = face.bbox
        assert abs(left + width / 2 - x) < 0.2 * size
        assert abs(top + height / 2 - y) < 0.2 * size
        assert 0.75 * size < width < 1.3 * size


def test_twenty_faces(finder, astronaut) -> None:
    row = np.hstack([portrait(astronaut, 150, turn, 90) for turn in (-20, -10, 0, 10, 20)])
    found = finder.find(np.vstack([row] * 4))
    assert len(found) == 20
    assert len({(round(f.bbox[0] / 150), round(f.bbox[1] / 150)) for f in found}) == 20


def test_the_report_s_pair(finder) -> None:
    found = finder.find(cv2.imread(str(shared("report/pair.jpg"))))
    assert [round(f.bbox[0] + f.bbox[2] / 2) // 400 for f in found] == [0, 1]


def test_no_face_where_there_is_none(finder) -> None:
    for name in ("coffee", "rocket"):
        assert finder.find(cv2.cvtColor(getattr(skimage.data, name)(), cv2.COLOR_RGB2BGR)) == []
    for shape in ((1, 1), (2, 300), (1200, 5)):
        assert finder.find(np.zeros((*shape, 3), np.uint8)) == []


def test_a_face_of_a_face_finder_is_whole(finder, astronaut) -> None:
    (face,) = finder.find(astronaut)
    assert face.face_id == 0
    assert 0.8 < face.score <= 1
    assert face.landmarks.shape == (6, 2)
    assert face.landmarks[0, 0] < face.landmarks[1, 0]  # the person's right eye is on the left of the picture
    np.testing.assert_array_equal(face.crop, align(astronaut, face.landmarks))


@pytest.mark.parametrize(("name", "every"), [("single_face.mp4", 1), ("phone.mp4", 3), ("phone.mp4", 50)])
def test_a_clip_of_one_person_has_one_face_in_every_frame(finder, name, every) -> None:
    tracked = list(FaceTracker().track(finder.watch(frames_of(name, every))))
    assert len(tracked) >= 3
    assert {tuple(f.face_id for f in frame.faces) for frame in tracked} == {(1,)}


def test_a_clip_whose_second_half_shows_no_face(finder) -> None:
    """Frames 0 to 71 show a face, 72 to 168 do not, though a blurred title resembles one."""
    tracked = list(FaceTracker().track(finder.watch(frames_of("face_noface.mov"))))
    assert [frame.index for frame in tracked] == list(range(169))
    wrong = [frame.index for frame in tracked if bool(frame.faces) != (frame.index < 72)]
    assert len(wrong) <= 3, wrong
    assert {f.face_id for frame in tracked for f in frame.faces} == {1}


@pytest.mark.parametrize("corner", [(120, 260), (430, 380)])
def test_a_face_within_a_thing_that_resembles_a_face_is_not_lost(finder, astronaut, corner) -> None:
    """A cat's face, as large as the picture: the detector sees something in it, but not surely."""
    cat = cv2.cvtColor(skimage.data.chelsea(), cv2.COLOR_RGB2BGR)
    picture = cv2.resize(cat, None, fx=1.6, fy=1.6)[:, 40:680].copy()
    x, y = corner
    picture[y : y + 84, x : x + 84] = cv2.resize(astronaut[20:200, 130:310], (84, 84), interpolation=cv2.INTER_AREA)
    found = list(FaceTracker().track(finder.watch(Frame(i, i / 10, picture) for i in range(8))))
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


def test_one_of_two_faces_leaves_and_comes_back_within_a_second(finder, astronaut) -> None:
    gone = range(12, 21)
    tracked = list(FaceTracker().track(finder.watch(two_people(astronaut, 32, 10, gone))))
    assert [[f.face_id for f in frame.faces] for frame in tracked] == [[1] if i in gone else [1, 2] for i in range(32)]


@pytest.mark.parametrize("rate", [25, 30, 60])
def test_a_face_is_where_it_is_in_frames_between_two_looks_too(finder, astronaut, rate) -> None:
    """One of the faces moves by a pixel a frame; the other leaves and comes back."""
    gone = range(18, 41)
    found = list(FaceTracker().track(finder.watch(two_people(astronaut, 60, rate, gone))))
    assert [frame.index for frame in found] == list(range(60))
    at = np.array([frame.faces[0].landmarks - (frame.index, 0) for frame in found])
    assert np.abs(at - np.median(at, axis=0)).max() < 4, "as near as where it is looked at"
    assert [frame.index for frame in found if len(frame.faces) == 1] == list(gone)
    frames = {frame.index: frame.image for frame in two_people(astronaut, 60, rate, gone)}
    for frame in found:
        for face in frame.faces:
            np.testing.assert_array_equal(face.crop, align(frames[frame.index], face.landmarks))


def test_a_small_face_is_found_from_the_very_frame_of_a_cut_on(finder, astronaut) -> None:
    """Of 30 frames a second every other one is looked at: cuts before both kinds."""
    empty = np.full((480, 640, 3), 30, np.uint8)
    shown = np.full((480, 640, 3), 120, np.uint8)
    shown[200:400, 400:600] = portrait(astronaut, 200, face=45)
    for cut in (13, 14):
        clip = (Frame(i, i / 30, empty if i < cut else shown) for i in range(20))
        assert [frame.index for frame in finder.watch(clip) if frame.faces] == list(range(cut, 20))


@pytest.mark.parametrize(("rate", "first"), [(5, 20), (25, 100), (30, 120)])
def test_watching_can_be_taken_up_every_four_seconds(finder, astronaut, rate, first) -> None:
    frames = list(two_people(astronaut, first + 12, rate, range(first - 8, first - 3)))

    def rows(frames: list[Frame]) -> list[tuple]:
        return [
            (frame.index, [(f.bbox, f.score, f.crop.tobytes()) for f in frame.faces]) for frame in finder.watch(frames)
        ]

    assert rows(frames[first:]) == rows(frames)[first:]


def python(program: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[1]
    return subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)


def test_nothing_but_real_errors_reaches_stderr() -> None:
    find = f"""
import os, pathlib, numpy as np
from ferwatch.faces import FaceFinder
with FaceFinder({f"pathlib.Path({str(MODEL)!r})" if MODEL else ""}) as finder:
    finder.find(np.zeros((200, 300, 3), np.uint8))
os.write(2, b"after")
"""
    assert python(find).stderr == "after"


def test_errors_within_a_quiet_stretch_are_told(capfd) -> None:
    from ferwatch.utils.native_logs import suppress_native_logs

    with suppress_native_logs():
        os.write(
            2, b"INFO: all is well\nW0000 00:00:1.2 3 a.cc:1] nearly\nE0000 00:00:1.2 3 a.cc:1] broken\nERROR: too\n"
        )
    os.write(2, b"W0000 after\n")
    assert capfd.readouterr().err == "E0000 00:00:1.2 3 a.cc:1] broken\nERROR: too\nW0000 after\n"


def test_a_file_that_is_no_model_is_named(tmp_path, capfd) -> None:
    wrong = tmp_path / "face.tflite"
    wrong.write_bytes(b"no model" * 100)
    with pytest.raises(WeightsError, match=r"face\.tflite is no face detection model") as raised:
        FaceFinder(wrong)
    assert "\n" not in str(raised.value)
    with pytest.raises(WeightsError, match=r"missing\.tflite cannot be read: No such file"):
        FaceFinder(tmp_path / "missing.tflite")
    assert capfd.readouterr().err == ""


@pytest.fixture
def no_bundled_model(monkeypatch, tmp_path) -> Path:
    monkeypatch.setattr(face_model, "find_spec", lambda _: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ferwatch" / face_model.MODEL_FILE


def test_the_published_model_is_fetched_once(no_bundled_model, monkeypatch) -> None:
    published = MODEL or Path(cv2.__file__).parents[1] / "mediapipe/modules/face_detection" / face_model.MODEL_FILE
    monkeypatch.setattr(face_model, "MODEL_URL", published.as_uri())
    assert face_model.find_face_model() == no_bundled_model
    assert no_bundled_model.read_bytes() == published.read_bytes()
    monkeypatch.setattr(face_model, "MODEL_URL", "http://127.0.0.1:9/")
    assert face_model.find_face_model() == no_bundled_model


@pytest.mark.usefixtures("no_bundled_model")
def test_without_a_network_the_remedy_is_named(monkeypatch) -> None:
    monkeypatch.setattr(face_model, "MODEL_URL", "http://127.0.0.1:9/model.tflite")
    with pytest.raises(WeightsError, match=r"cannot be fetched .*refused.*--face-model FILE"):
        face_model.find_face_model()


def test_another_file_at_the_address_is_refused(no_bundled_model, monkeypatch, tmp_path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"something else")
    monkeypatch.setattr(face_model, "MODEL_URL", other.as_uri())
    with pytest.raises(WeightsError, match="SHA-256"):
        face_model.find_face_model()
    assert not no_bundled_model.exists()
