"""How much two aligned faces look alike."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.records import FACE_SIZE


def likeness(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """How alike two aligned crops (48, 48) are, -1 to 1: the correlation of their slopes, strong ones held down, which
    light changes little."""
    return float(_slopes(a.tobytes()) @ _slopes(b.tobytes()))


@lru_cache(maxsize=128)  # a crop is compared with several others
def _slopes(pixels: bytes) -> NDArray[np.float32]:
    crop = np.frombuffer(pixels, np.uint8).reshape(FACE_SIZE, FACE_SIZE)
    smooth = cv2.GaussianBlur(crop.astype(np.float32), (0, 0), 1.5)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order)[4:-4, 4:-4] for order in ((1, 0), (0, 1)))
    slopes = np.concatenate([across.ravel(), down.ravel()]).astype(np.float32)
    slopes = slopes / (20 + np.abs(slopes))
    return slopes / max(float(np.linalg.norm(slopes)), 1e-6)
