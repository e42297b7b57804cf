"""The geometry of alignment, on pictures whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferwatch.faces.align import FER2013_EYES_AND_MOUTH, align, similarity_transform

RNG = np.random.default_rng(7)


def landmarks(eyes_and_mouth: np.ndarray) -> np.ndarray:
    """Six landmarks; the nose and the ears lie anywhere, alignment must not heed them."""
    points = RNG.uniform(0, 100, (6, 2)).astype(np.float32)
    points[[0, 1, 3]] = eyes_and_mouth
    return points


def moved(turn: float, scale: float, x: float, y: float) -> np.ndarray:
    angle = np.deg2rad(turn)
    return scale * np.array([[np.cos(angle), -np.sin(angle), x / scale], [np.sin(angle), np.cos(angle), y / scale]])


@pytest.mark.parametrize("turn", [-30, 0, 17, 180])
@pytest.mark.parametrize("scale", [60, 600])
def test_similarity_undoes_turn_scale_and_shift(turn: float, scale: float) -> None:
    move = moved(turn, scale, 40, -300)
    matrix = similarity_transform(landmarks(FER2013_EYES_AND_MOUTH @ move[:, :2].T + move[:, 2]))
    points = RNG.uniform(0, 1, (5, 2))
    np.testing.assert_allclose(
        (points @ move[:, :2].T + move[:, 2]) @ matrix[:, :2].T + matrix[:, 2], 48 * points, atol=1e-3
    )


def test_similarity_is_the_best_of_all() -> None:
    face = np.array([[100, 100], [171, 90], [140, 190]], dtype=float)
    matrix = similarity_transform(landmarks(face))

    def error(m: np.ndarray) -> float:
        return float(((face @ m[:, :2].T + m[:, 2] - 48 * FER2013_EYES_AND_MOUTH) ** 2).sum())

    for a, b, x, y in RNG.normal(0, [1e-3, 1e-3, 0.2, 0.2], (200, 4)):
        assert error(matrix + np.array([[a, -b, x], [b, a, y]])) > error(matrix)


def test_profile_keeps_its_size() -> None:
    """Eyes in one place: the crop is upright, and eyes and mouth are as far apart as in a face seen from the front."""
    matrix = similarity_transform(landmarks(np.array([[200, 150], [202, 150], [195, 250]])))
    eyes, mouth = np.array([[201, 150], [195, 250]]) @ matrix[:, :2].T + matrix[:, 2]
    assert 12 < mouth[1] - eyes[1] < 20
    assert abs(mouth[0] - eyes[0]) < 4


@pytest.mark.parametrize("times", [1, 2, 5, 12])
def test_an_enlarged_crop_comes_back(times: int) -> None:
    """A 48x48 picture enlarged into the middle of a larger one: alignment gives the picture back."""
    picture = cv2.GaussianBlur(RNG.integers(0, 256, (48, 48)).astype(np.uint8), (0, 0), 1.0)
    frame = np.zeros((48 * times + 70, 48 * times + 90, 3), np.uint8)
    large = cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    frame[30 : 30 + 48 * times, 50 : 50 + 48 * times] = large[..., None]
    crop = align(frame, landmarks(48 * times * FER2013_EYES_AND_MOUTH + (50, 30)))
    assert crop.shape == (48, 48)
    assert crop.dtype == np.uint8
    error = np.abs(crop.astype(int) - picture)[1:-1, 1:-1]
    assert error.max() <= 10
    assert error.mean() < 2


@pytest.mark.parametrize("turn", [0, 25])
def test_a_large_face_is_averaged_down(turn: float) -> None:
    """A fine chequerboard becomes an even gray; sampled by points it would be black and white."""
    board = (np.indices((900, 900)).sum(axis=0) % 2 * 255).astype(np.uint8)
    move = moved(turn, 600, 200, 60)
    crop = align(board, landmarks(FER2013_EYES_AND_MOUTH @ move[:, :2].T + move[:, 2]))
    assert abs(crop.astype(int) - 127).max() <= 12


def test_gray_is_rec_601() -> None:
    for bgr, gray in (((255, 0, 0), 29), ((0, 255, 0), 150), ((0, 0, 255), 76)):
        frame = np.full((100, 100, 3), bgr, np.uint8)
        crop = align(frame, landmarks(100 * FER2013_EYES_AND_MOUTH))
        assert set(np.unique(crop)) <= {gray - 1, gray, gray + 1}


def test_beyond_the_picture_its_edge_goes_on() -> None:
    frame = np.full((100, 100), 200, np.uint8)
    crop = align(frame, landmarks(100 * FER2013_EYES_AND_MOUTH + (60, -70)))
    assert crop.min() == crop.max() == 200
