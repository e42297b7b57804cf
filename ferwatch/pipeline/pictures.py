"""Pictures that do not come from a video file: images on disk, and arrays of a caller's own."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import DataError
from ferwatch.records import Frame

Image: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8 BGR, as OpenCV reads it."""
Pictures: TypeAlias = Iterable[Frame] | Iterable[tuple[float, Image]] | Iterable[Image]
"""A FrameSource, or any other iterable of Frames, of (timestamp in seconds, image), or of images alone."""

DEFAULT_FPS = 25.0
"""Pictures a second of images that come without times."""
LOG = logging.getLogger("ferwatch")


def read_image(path: Path) -> Image:
    """The picture in a file, (H, W, 3) uint8 BGR, upright. Raises DataError where it cannot be read."""
    if not path.is_file():
        raise DataError(f"{path} cannot be read: there is no such file")
    image = cv2.imread(str(path))
    if image is None:
        raise DataError(f"{path} cannot be read as an image: it is none that OpenCV knows, or damaged")
    return np.asarray(image, np.uint8)


def check_image(image: Any, name: str = "the image") -> Image:
    """The image itself, once it is sure to be (H, W, 3) uint8; raises DataError where it is not."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
        raise DataError(f"{name} has to be an array of shape (H, W, 3), uint8, BGR; it is {found}")
    if not image.size:
        raise DataError(f"{name} is empty: its shape is {image.shape}")
    return image


def frames_of(pictures: Pictures, fps: float | None = None) -> Iterator[Frame]:
    """Yields a Frame for every picture; images are copied, so that a caller may use its array again.

    Args:
        fps: pictures a second, for images without times; None: 25, which a warning says.
    Raises DataError where an item is no picture, or a time is not a number or goes backwards.
    """
    before = -math.inf
    for index, item in enumerate(pictures):
        if isinstance(item, Frame):
            frame = item
        elif isinstance(item, tuple) and len(item) == 2:
            frame = Frame(index, _seconds(item[0], index), check_image(item[1], f"picture {index}").copy())
        else:
            if index == 0 and fps is None:
                LOG.warning("pictures without times: %g a second is assumed; give fps, or times with them", DEFAULT_FPS)
            image = check_image(item, f"picture {index}")
            frame = Frame(index, index / (fps or DEFAULT_FPS), image.copy())
        if frame.timestamp < before:
            raise DataError(f"picture {index} is at {frame.timestamp:g} s, before the picture before it, {before:g} s")
        before = frame.timestamp
        yield frame


def _seconds(value: Any, index: int) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise DataError(f"picture {index}: its time has to be a number of seconds; it is {value!r}")
    return seconds
