"""Pictures of a face at any size and turn, for tests of faces."""

from __future__ import annotations

import cv2
import numpy as np


def portrait(astronaut: np.ndarray, side: int, turn: float = 0, face: float = 101) -> np.ndarray:
    """The astronaut's face in the middle of a square picture, `face` pixels large and turned."""
    middle = (225.0, 125.0)
    scale = face / 101
    move = cv2.getRotationMatrix2D(middle, turn, scale)
    move[:, 2] += side / 2 - np.array(middle)
    smooth = astronaut if scale > 0.7 else cv2.GaussianBlur(astronaut, (0, 0), 0.4 / scale)
    return cv2.warpAffine(smooth, move, (side, side), borderMode=cv2.BORDER_REFLECT)
