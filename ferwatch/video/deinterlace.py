"""Deinterlacing: a picture of the first of the two fields that an interlaced frame holds."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

COMB_LEVEL = 9
"""Difference, of 255 levels, between neighbouring lines that shows movement between the fields."""


def deinterlace(image: NDArray[np.uint8], first_line: int = 0) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) BGR in which what moved between the two fields is shown as it was in the first.

    The second field was recorded 1/50 or 1/60 s later. Where its lines differ from both of their neighbours like the
    teeth of a comb, something has moved, and they are replaced by the mean of the lines above and below; all else keeps
    its full resolution. (The measure of five lines is that of the Decomb and TFM filters.)

    Args:
        first_line: 0 where the upper line belongs to the field that was recorded first, else 1.
    """
    height = image.shape[0]
    if height < 6:
        return image
    luma = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.int16)
    near = luma[1:-3] + luma[3:-1]
    comb = np.zeros(luma.shape, np.uint8)
    comb[2:-2] = np.abs(luma[:-4] + 4 * luma[2:-2] + luma[4:] - 3 * near) > 6 * COMB_LEVEL
    # One line alone may be a line of the scene; neighbours of combed places move as well.
    comb = cv2.morphologyEx(comb, cv2.MORPH_OPEN, np.ones((2, 1), np.uint8))  # type: ignore[assignment]
    comb = cv2.dilate(comb, np.ones((3, 9), np.uint8))  # type: ignore[assignment]
    result = image.copy()
    begin = 1 - first_line
    lines = np.arange(begin, height, 2)
    above, below = np.abs(lines - 1), np.where(lines + 1 < height, lines + 1, lines - 1)
    mean = cv2.addWeighted(image[above], 0.5, image[below], 0.5, 0)
    result[begin::2] = np.where(comb[begin::2, :, None] > 0, mean, image[begin::2])
    return result
