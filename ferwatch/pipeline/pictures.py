"""Pictures that do not come from a video file: images on disk, and arrays of a caller's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from ferwatch.errors import DataError
from ferwatch.records import Frame
from ferwatch.video.arrays import ArraySource, Image

Pictures: TypeAlias = Iterable[Frame] | Iterable[tuple[float, Image]] | Iterable[Image]
"""A FrameSource, or any other iterable of Frames, of (timestamp in seconds, image), or of images alone."""


def read_image(path: Path) -> Image:
    """The picture in a file, (H, W, 3) uint8 BGR, upright. Raises DataError where it cannot be read."""
    if not path.is_file():
        raise DataError(f"{path} cannot be read: there is no such file")
    image = cv2.imread(str(path))
    if image is None:
        raise DataError(f"{path} cannot be read as an image: it is none that OpenCV knows, or damaged")
    return np.asarray(image, np.uint8)


def frames_of(pictures: Pictures, fps: float | None = None) -> Iterator[Frame]:
    """Yields a Frame for every picture; images are copied, so that a caller may use its array again.

    Args:
        fps: pictures a second, for images without times; None: 25, which a warning says.
    Raises DataError where an item is no picture, or a time is not a number or goes backwards.
    """
    items: Iterator[Any] = iter(pictures)
    for first in items:
        everything = chain([first], items)
        yield from _in_order(everything) if isinstance(first, Frame) else ArraySource(everything, fps=fps)


def _in_order(frames: Iterable[Frame]) -> Iterator[Frame]:
    before = -math.inf
    for number, frame in enumerate(frames):
        if frame.timestamp < before:
            raise DataError(f"picture {number} is at {frame.timestamp:g} s, before the picture before it, {before:g} s")
        before = frame.timestamp
        yield frame
