"""Alignment: a face's eyes and mouth brought to where FER2013's images have them."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.records import FACE_SIZE

FER2013_EYES_AND_MOUTH = np.array([[0.328, 0.391], [0.679, 0.388], [0.508, 0.770]])
"""(3, 2) right eye, left eye, mouth in units of the crop's side: the mean of MediaPipe's landmarks on 3,000 images."""
_RIGHT_EYE, _LEFT_EYE, _MOUTH = 0, 1, 3


def similarity(landmarks: NDArray[np.floating], size: int = FACE_SIZE) -> NDArray[np.float64]:
    """The similarity transform (turn, scale, shift) that brings eyes and mouth nearest to FER2013's, by least squares.

    landmarks: (6, 2) as in records.Face. Returns (2, 3), from pixels of the picture to pixels of a crop of `size`; in
    both, (0, 0) is the corner of the first pixel, not its centre. Umeyama (1991) in closed form: in the plane a turn
    with a scale is one complex factor. In profile, where the eyes fall together, the distance from eyes to mouth alone
    sets the scale.
    """
    # Python's complex numbers: for three points numpy takes ten times as long.
    source = [complex(*landmarks[i]) for i in (_RIGHT_EYE, _LEFT_EYE, _MOUTH)]
    target = [size * complex(*place) for place in FER2013_EYES_AND_MOUTH]
    middle, target_middle = sum(source) / 3, sum(target) / 3
    spread = [point - middle for point in source]
    turn = sum(s.conjugate() * t for s, t in zip(spread, target, strict=True)) / sum(abs(s) ** 2 for s in spread)
    shift = target_middle - turn * middle
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def align(image: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The face as FER2013 would show it.

    image: (H, W, 3) BGR or (H, W) gray. Returns (48, 48) gray (Rec. 601). A large face is averaged down; what lies
    outside the picture repeats its edge.
    """
    matrix = similarity(landmarks)
    shrink = 1 / np.hypot(*matrix[:, 0])  # picture pixels in a crop pixel
    image, corner = _around(image, matrix)
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    # Averaging by a whole number is quick and does most of the work; turned sampling on a finer grid and its average
    # do the rest.
    block = max(1, int(shrink / 2))
    if block > 1:
        height, width = (side // block * block for side in gray.shape)
        gray = cv2.resize(gray[:height, :width], None, fx=1 / block, fy=1 / block, interpolation=cv2.INTER_AREA)
    finer = max(1, ceil(shrink / block))
    # OpenCV counts from the centre of the first pixel: half a pixel off on both sides.
    warp = np.empty((2, 3))
    warp[:, :2] = matrix[:, :2] * finer * block
    warp[:, 2] = (matrix[:, :2] @ corner + matrix[:, 2]) * finer + warp[:, :2] @ (0.5, 0.5) - 0.5
    side = FACE_SIZE * finer
    crop: NDArray[Any] = cv2.warpAffine(
        gray, warp, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if finer > 1:
        crop = cv2.resize(crop, (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA)
    return crop


def _around(image: NDArray[np.uint8], matrix: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of the picture that the crop shows, with a margin, and where its corner lies."""
    turn, shift = complex(*matrix[:, 0]), complex(*matrix[:, 2])
    corners = [(corner - shift) / turn for corner in (0, FACE_SIZE, FACE_SIZE * 1j, FACE_SIZE * (1 + 1j))]
    across, down = [z.real for z in corners], [z.imag for z in corners]
    margin = 2 + max(max(across) - min(across), max(down) - min(down)) / FACE_SIZE
    height, width = image.shape[:2]
    left, top = (min(max(floor(min(at) - margin), 0), side - 1) for at, side in ((across, width), (down, height)))
    right, bottom = (
        min(max(ceil(max(across) + margin), left + 1), width),
        min(max(ceil(max(down) + margin), top + 1), height),
    )
    return image[top:bottom, left:right], np.array([left, top], dtype=np.float64)
