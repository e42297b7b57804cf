"""Reads image files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ferwatch.errors import DataError
from ferwatch.video.arrays import Image


def read_image(path: Path) -> Image:
    """Return the picture in a file, (H, W, 3) uint8 BGR, upright. Raises DataError where it cannot be read."""
    try:
        if not path.is_file():
            raise DataError(f"{path} cannot be read: there is no such file")
    except OSError as error:  # the name is too long, for example
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    try:
        image = cv2.imread(str(path))
    except cv2.error:  # more pixels than OpenCV reads
        image = None
    if image is None:
        raise DataError(f"{path} cannot be read as an image: it is none that OpenCV knows, damaged, or too large")
    return np.asarray(image, np.uint8)
