"""Similarity of two aligned faces."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.records import FACE_SIZE

SMOOTHING_SIGMA = 1.5
"""Pixels of the crop: standard deviation of the Gaussian blur before gradients are taken."""
BORDER = 4
"""Pixels at each edge of the crop that the descriptor leaves out: hair and background."""
GRADIENT_SOFTNESS = 20.0
"""Gradient at which compression halves its weight, so that one strong edge does not outweigh the rest."""


def similarity(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Cosine of the gradient descriptors of two aligned (48, 48) crops, -1 to 1; changes of light affect it little."""
    return float(gradient_descriptor(a) @ gradient_descriptor(b))


def gradient_descriptor(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compressed image gradients of an aligned (48, 48) uint8 gray crop, as a vector of length 1."""
    return _descriptor(crop.tobytes())


@lru_cache(maxsize=128)  # Each crop is compared with several others.
def _descriptor(pixels: bytes) -> NDArray[np.float32]:
    crop = np.frombuffer(pixels, np.uint8).reshape(FACE_SIZE, FACE_SIZE)
    smooth = cv2.GaussianBlur(crop.astype(np.float32), (0, 0), SMOOTHING_SIGMA)
    inner = slice(BORDER, -BORDER)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order)[inner, inner] for order in ((1, 0), (0, 1)))
    gradients = np.concatenate([across.ravel(), down.ravel()]).astype(np.float32)
    gradients = gradients / (GRADIENT_SOFTNESS + np.abs(gradients))
    return gradients / max(float(np.linalg.norm(gradients)), 1e-6)
