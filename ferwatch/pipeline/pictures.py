"""Images that do not come from a video: files on disk, and arrays of a caller's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferwatch.errors import DataError
from ferwatch.video.source import Image


def read_image(path: Path) -> Image:
    """The picture in a file, (H, W, 3) uint8 BGR, upright. Raises DataError where it cannot be read."""
    if not path.is_file():
        raise DataError(f"{path} cannot be read: there is no such file")
    image = cv2.imread(str(path))
    if image is None:
        raise DataError(f"{path} cannot be read as an image: it is none that OpenCV knows, or damaged")
    return np.asarray(image, np.uint8)


def check_image(image: Any) -> Image:
    """The image itself, once it is sure to be (H, W, 3) uint8; raises DataError where it is not."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
        raise DataError(f"the image has to be an array of shape (H, W, 3), uint8, BGR; it is {found}")
    if not image.size:
        raise DataError(f"the image is empty: its shape is {image.shape}")
    return image
