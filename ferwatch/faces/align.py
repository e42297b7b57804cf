"""Alignment: faces cut out of a picture with eyes and mouth where FER2013's images have them."""

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


def similarity_transform(landmarks: NDArray[np.floating], size: int = FACE_SIZE) -> NDArray[np.float64]:
    """Return the similarity transform (rotation, scale, shift) from a picture to an aligned crop, by least squares.

    Umeyama (1991) in closed form: in the plane, rotation and scale together are one complex factor. In profile, where
    the eyes coincide, the distance from eyes to mouth alone determines the scale.

    Args:
        landmarks: (6, 2) pixels, as in records.Face.
        size: side of the crop in pixels.
    Returns (2, 3), from pixels of the picture to pixels of the crop. In both, (0, 0) is the corner of the first pixel,
    not its center.
    """
    # Python's complex numbers: for three points numpy takes ten times as long.
    source = [complex(*landmarks[i]) for i in (_RIGHT_EYE, _LEFT_EYE, _MOUTH)]
    target = [size * complex(*point) for point in FER2013_EYES_AND_MOUTH]
    mean, target_mean = sum(source) / 3, sum(target) / 3
    centered = [point - mean for point in source]
    factor = sum(s.conjugate() * t for s, t in zip(centered, target, strict=True)) / sum(abs(s) ** 2 for s in centered)
    shift = target_mean - factor * mean
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def align(image: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the aligned crop of a face, (48, 48) uint8 gray (Rec. 601), framed as in FER2013.

    A large face is averaged down. Beyond the edge of the picture its outermost pixels are repeated.

    Args:
        image: (H, W, 3) BGR or (H, W) gray, uint8.
        landmarks: (6, 2) pixels, as in records.Face.
    """
    matrix = similarity_transform(landmarks)
    shrink = 1 / np.hypot(*matrix[:, 0])  # side of a crop pixel in pixels of the picture
    image, corner = _region_of_crop(image, matrix)
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    # Averaging whole blocks of pixels is fast and does most of the work. Sampling along the rotated grid, at a finer
    # resolution that is then averaged, does the rest.
    block = max(1, int(shrink / 2))
    if block > 1:
        height, width = (side // block * block for side in gray.shape)
        gray = cv2.resize(gray[:height, :width], None, fx=1 / block, fy=1 / block, interpolation=cv2.INTER_AREA)
    oversampling = max(1, ceil(shrink / block))
    # OpenCV counts from the center of the first pixel: half a pixel off on both sides.
    warp = np.empty((2, 3))
    warp[:, :2] = matrix[:, :2] * oversampling * block
    warp[:, 2] = (matrix[:, :2] @ corner + matrix[:, 2]) * oversampling + warp[:, :2] @ (0.5, 0.5) - 0.5
    side = FACE_SIZE * oversampling
    crop: NDArray[Any] = cv2.warpAffine(
        gray, warp, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if oversampling > 1:
        crop = cv2.resize(crop, (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA)
    return crop


def _region_of_crop(
    image: NDArray[np.uint8], matrix: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of the picture that the crop shows, with a margin, and the (x, y) of its top left corner."""
    factor, shift = complex(*matrix[:, 0]), complex(*matrix[:, 2])
    corners = [(corner - shift) / factor for corner in (0, FACE_SIZE, FACE_SIZE * 1j, FACE_SIZE * (1 + 1j))]
    xs, ys = [z.real for z in corners], [z.imag for z in corners]
    margin = 2 + max(max(xs) - min(xs), max(ys) - min(ys)) / FACE_SIZE
    height, width = image.shape[:2]
    left, top = (min(max(floor(min(at) - margin), 0), side - 1) for at, side in ((xs, width), (ys, height)))
    right = min(max(ceil(max(xs) + margin), left + 1), width)
    bottom = min(max(ceil(max(ys) + margin), top + 1), height)
    return image[top:bottom, left:right], np.array([left, top], dtype=np.float64)
