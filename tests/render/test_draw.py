from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from ferwatch.records import EMOTIONS, FaceResult
from ferwatch.render.draw import bgr, blur, draw
from ferwatch.render.palette import PALETTE
from ferwatch.video.reader import VideoReader

SHARED = Path(__file__).parents[3] / "shared" / "videos"
HAPPY = (0.01, 0.005, 0.015, 0.93, 0.01, 0.01, 0.02)
GREY = 120


def canvas(height: int = 360, width: int = 640) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def face(*box: float, face_id: int = 1, probabilities: tuple[float, ...] = HAPPY) -> FaceResult:
    return FaceResult(face_id, 0.9, box, probabilities)


def touched(image: np.ndarray) -> tuple[int, int, int, int]:
    """left, top, right, bottom of all that differs from the canvas."""
    rows, columns = np.nonzero((image != GREY).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def of_colour(image: np.ndarray, emotion: str) -> np.ndarray:
    return (image == bgr(emotion)).all(axis=2)


def test_the_palette_covers_every_state():
    assert set(PALETTE) == {*EMOTIONS, "uncertain"}


def test_the_palette_tells_any_two_apart_for_every_kind_of_colour_vision():
    colour = pytest.importorskip("skimage.color")
    # Machado, Oliveira and Fernandes 2009, severity 1.0; they act on linear RGB.
    kinds = {
        "normal": np.eye(3),
        "protanopia": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deuteranopia": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ],
        "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
    }
    rgb = np.array([list(bytes.fromhex(value[1:])) for value in PALETTE.values()]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for matrix in kinds.values():
        seen = np.clip(linear @ np.transpose(matrix), 0, 1)
        lab = colour.rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))
        for one, other in itertools.combinations(lab, 2):
            assert colour.deltaE_ciede2000(one, other) >= 10


def test_the_box_stands_where_the_face_is_in_its_colour():
    image = draw(canvas(), [face(200, 100, 120, 140)])
    happy = of_colour(image, "happy")
    for row, column in ((100, 260), (239, 260), (170, 200), (170, 319)):
        assert happy[row, column]
    assert (image[110:230, 210:310] == GREY).all(), "nothing is drawn over the face"


def test_bars_are_as_long_as_the_probabilities():
    def bar(probability: float) -> int:
        rest = (1 - probability) / 6
        image = draw(canvas(), [face(200, 100, 120, 140, probabilities=(rest,) * 3 + (probability,) + (rest,) * 3)])
        return of_colour(image[:, 330:], "happy").any(axis=0).sum()

    assert bar(1.0) == pytest.approx(2 * bar(0.5), abs=1)
    assert bar(1.0) >= 40


@pytest.mark.parametrize("height", [360, 1080, 2160])
def test_text_grows_with_the_frame(height):
    scale = height / 360
    width = round(640 * scale)
    image = draw(canvas(height, width), [face(*(side * scale for side in (200, 100, 120, 140)))])
    left, top, right, bottom = touched(image)
    # The label's strip above the box, and the chart right of it, take the same share of the frame at any size.
    assert (100 * scale - top) / height == pytest.approx(18 / 360, abs=0.006)
    assert (right - 320 * scale) / width == pytest.approx(115 / 640, abs=0.015)
    assert bottom <= 250 * scale
    assert left >= 190 * scale


def test_the_chart_changes_sides_at_the_border_and_is_left_out_without_room():
    assert touched(draw(canvas(), [face(480, 100, 120, 140)]))[0] < 400
    filled = draw(canvas(), [face(5, 50, 630, 300)])
    assert (filled[60:345, 15:625] == GREY).all(), "nothing covers a face that fills the picture"


def test_small_faces_have_no_chart_and_charts_scale_with_the_face():
    small = touched(draw(canvas(), [face(300, 200, 30, 30)]))
    assert small[2] - small[0] < 120, "box and label alone"
    assert small[3] <= 232

    def chart_height(side: int) -> int:
        image = draw(canvas(720, 1280), [face(300, 200, side, side)])
        return (image[:, 310 + side :] != GREY).any(axis=(1, 2)).sum()

    assert chart_height(240) > 1.5 * chart_height(120) > 100


def test_no_chart_touches_a_face_or_another_chart():
    random = np.random.default_rng(3)
    for _ in range(60):
        faces = [
            face(*random.uniform(0, (560, 280)), *[random.uniform(20, 150)] * 2, face_id=i + 1)
            for i in range(random.integers(1, 12))
        ]
        with_charts, without = draw(canvas(), faces), draw(canvas(), faces, charts=False)
        chart = (with_charts != without).any(axis=2)
        for x, y, w, h in (f.bbox for f in faces):
            assert not chart[max(0, round(y)) : round(y + h), max(0, round(x)) : round(x + w)].any()


def test_the_label_is_the_episodes():
    calm = draw(canvas(), [face(200, 100, 120, 140)], labels={1: "neutral"}, charts=False)
    assert of_colour(calm, "neutral").sum() > 500
    assert of_colour(calm, "happy").sum() == 0
    unsure = draw(canvas(), [face(200, 100, 120, 140)], labels={1: "uncertain"}, charts=False)
    assert of_colour(unsure, "uncertain").sum() > 500


def test_no_number_stands_beside_a_label_that_another_emotion_exceeds():
    """Else a label could say "surprise 0%" in a moment in which the episode goes on."""

    def label_width(shown: FaceResult) -> int:
        drawn = draw(canvas(), [shown], labels={1: "neutral"}, charts=False)[:115]
        return int((drawn != GREY).any(axis=(0, 2)).sum())

    neutral = (0.02, 0.005, 0.015, 0.01, 0.01, 0.01, 0.93)
    box = (200.0, 120.0, 60.0, 140.0)
    with_number, without = label_width(face(*box, probabilities=neutral)), label_width(face(*box))
    assert with_number > without + 20


def test_a_chart_that_would_meet_another_stands_below_the_box():
    """Two faces side by side, the second at the border: right of it there is no room, left of it the first's chart."""
    alone = draw(canvas(), [face(75, 118, 172, 170)])
    both = draw(canvas(), [face(75, 118, 172, 170), face(412, 88, 140, 140, face_id=2)])
    np.testing.assert_array_equal(both[:, :400], alone[:, :400])
    assert of_colour(both[92:224, 416:548], "happy").sum() == 0, "nothing covers the face"
    assert of_colour(both[235:320, 412:520], "happy").sum() > 50


def test_a_chart_stays_on_its_side_while_there_is_room():
    places: dict[int, int] = {}
    draw(canvas(), [face(480, 100, 120, 140)], places)
    after = draw(canvas(), [face(380, 100, 120, 140)], places)
    assert touched(after)[0] < 370, "it stays on the left, where it went at the border"
    fresh = draw(canvas(), [face(380, 100, 120, 140)])
    assert touched(fresh)[0] > 370, "though there would be room on the right"


def test_faces_anywhere_in_frames_of_any_size_draw_without_error():
    random = np.random.default_rng(5)
    for _ in range(300):
        height, width = random.integers(1, 200, 2)
        faces = [
            face(*random.uniform(-150, 250, 2), *random.uniform(0, 300, 2), face_id=i + 1)
            for i in range(random.integers(0, 20))
        ]
        image = draw(canvas(height, width), faces)
        assert image.shape == (height, width, 3)
        blur(image, [f.bbox for f in faces])


def test_twenty_faces_all_keep_their_label():
    random = np.random.default_rng(1)
    faces = [
        face(
            20 + 125 * (i % 5),
            25 + 85 * (i // 5),
            45,
            45,
            face_id=i + 1,
            probabilities=tuple(random.dirichlet([0.4] * 7)),
        )
        for i in range(20)
    ]
    image = draw(canvas(), faces)
    for f in faces:
        x, y = int(f.bbox[0]), int(f.bbox[1])
        assert of_colour(image[y - 15 : y - 3, x : x + 70], f.emotion).mean() > 0.4


def test_blur_leaves_no_face_to_find():
    mediapipe = pytest.importorskip("mediapipe")
    if not (SHARED / "single_face.mp4").exists():
        pytest.skip("the shared clips are not on this machine")
    with VideoReader(SHARED / "single_face.mp4") as reader:
        image = next(iter(reader)).image
    with mediapipe.solutions.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.2) as detector:
        found = detector.process(image[:, :, ::-1]).detections
        assert len(found) == 1
        box = found[0].location_data.relative_bounding_box
        height, width = image.shape[:2]
        hidden = blur(image.copy(), [(box.xmin * width, box.ymin * height, box.width * width, box.height * height)])
        assert not detector.process(hidden[:, :, ::-1]).detections


def test_blur_keeps_no_detail_and_touches_nothing_else():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (200, 200, 3), np.uint8)
    hidden = blur(image.copy(), [(60, 60, 80, 80)])
    assert hidden[60:140, 60:140].std() < 8, "noise, which is all detail, becomes flat"
    assert (hidden[:, :20] == image[:, :20]).all()
    assert (hidden[:5] == image[:5]).all()
