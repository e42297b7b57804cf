"""search_image on real pictures, with the MediaPipe that is installed."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data
from conftest import shared
from portraits import portrait

from ferwatch.faces.align import align
from ferwatch.faces.search import search_image

FER2013 = 48 * np.array([(0.328, 0.391), (0.679, 0.388), (0.507, 0.600), (0.508, 0.770)])
"""Right eye, left eye, nose and mouth of the mean FER2013 face."""


@pytest.mark.parametrize("face", [60, 150, 600])
def test_keypoints_of_an_aligned_crop_are_where_fer2013_has_them(detector, astronaut, face) -> None:
    """Seen again by the detector in the enlarged crop, whatever the face's turn and size were."""
    for turn in (-30, -15, 0, 15, 30):
        found = search_image(portrait(astronaut, max(400, int(1.7 * face)), turn, face), detector)
        assert len(found) == 1, (face, turn)
        crop = cv2.resize(found[0].crop, (192, 192), interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(crop, 48, 48, 48, 48, cv2.BORDER_REPLICATE)
        (again,) = search_image(cv2.cvtColor(framed, cv2.COLOR_GRAY2BGR), detector)
        error = np.linalg.norm((again.landmarks[:4] - 48) / 4 - FER2013, axis=1)
        assert error.max() < 2, (face, turn, error)


def test_faces_are_found_in_any_place_and_size_of_a_large_picture(detector, astronaut) -> None:
    picture = np.full((720, 1280, 3), 90, np.uint8)
    places = [(60, 70, 60), (300, 40, 100), (700, 30, 250), (80, 400, 80), (400, 420, 120), (1010, 440, 160)]
    for x, y, face in places:
        side = int(face * 1.6)
        picture[y : y + side, x : x + side] = portrait(astronaut, side, 0, face)
    found = search_image(picture, detector)
    middles = sorted((x + 0.8 * face, y + 0.8 * face, face) for x, y, face in places)
    assert len(found) == len(places)
    for (x, y, size), face in zip(middles, found, strict=True):
        left, top, width, height = face.bbox
        assert abs(left + width / 2 - x) < 0.2 * size
        assert abs(top + height / 2 - y) < 0.2 * size
        assert 0.75 * size < width < 1.3 * size


def test_twenty_faces(detector, astronaut) -> None:
    row = np.hstack([portrait(astronaut, 150, turn, 90) for turn in (-20, -10, 0, 10, 20)])
    found = search_image(np.vstack([row] * 4), detector)
    assert len(found) == 20
    assert len({(round(f.bbox[0] / 150), round(f.bbox[1] / 150)) for f in found}) == 20


def test_detections_may_come_in_any_order(detector, astronaut) -> None:
    """Each face is preceded by a weak detection of the same face."""

    class WeakFirst:
        thresholds = detector.thresholds

        def detect(self, image):
            return [d for found in detector.detect(image) for d in (replace(found, score=0.2), found)]

    row = np.hstack([portrait(astronaut, 150, turn, 90) for turn in (-20, 0, 20)])
    assert len(search_image(row, WeakFirst())) == len(search_image(row, detector)) == 3


def test_the_report_s_pair(detector) -> None:
    found = search_image(cv2.imread(str(shared("report/pair.jpg"))), detector)
    assert [round(f.bbox[0] + f.bbox[2] / 2) // 400 for f in found] == [0, 1]


def test_no_face_where_there_is_none(detector) -> None:
    for name in ("coffee", "rocket"):
        assert search_image(cv2.cvtColor(getattr(skimage.data, name)(), cv2.COLOR_RGB2BGR), detector) == []
    for shape in ((1, 1), (2, 300), (1200, 5)):
        assert search_image(np.zeros((*shape, 3), np.uint8), detector) == []


def test_a_face_of_a_face_finder_is_whole(detector, astronaut) -> None:
    (face,) = search_image(astronaut, detector)
    assert face.face_id == 0
    assert 0.8 < face.score <= 1
    assert face.landmarks.shape == (6, 2)
    assert face.landmarks[0, 0] < face.landmarks[1, 0]  # the person's right eye is on the left of the picture
    np.testing.assert_array_equal(face.crop, align(astronaut, face.landmarks))
