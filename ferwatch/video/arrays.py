"""ArraySource: images from memory, a camera or any other program as a source of frames."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import DataError, VideoError, shown
from ferwatch.records import Frame
from ferwatch.video.container import VideoInfo
from ferwatch.video.picture import placement
from ferwatch.video.sampling import TimedPicture, with_lengths

Image: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8 BGR, as OpenCV reads it."""
AnyImage: TypeAlias = NDArray[np.number[Any]]
"""An image as OpenCV's functions declare it, without its type; check_image checks that it is an Image."""
Images: TypeAlias = Iterable[tuple[float, AnyImage]] | Iterable[AnyImage]
"""Images in a row, with or without their times in seconds."""
DEFAULT_FPS = 25.0
"""Images per second that are assumed where they come without times."""
LOG = logging.getLogger("ferwatch")


def check_image(image: Any, name: str = "the image") -> Image:
    """Return the image after checking that it is (H, W, 3) uint8. Raises DataError where it is not."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
        raise DataError(f"{name} has to be an array of shape (H, W, 3), uint8, BGR; it is {found}")
    if not image.size:
        raise DataError(f"{name} is empty: its shape is {image.shape}")
    return image


class ArraySource:
    """Images from memory as a FrameSource. Every image is a frame; they are read one ahead, and only once.

    Images are copied, so that a caller may use its array again. An image is shown until the next one is.

    Args:
        images: images (H, W, 3) uint8 BGR, as OpenCV reads them, or pairs of a time in seconds and an image.
        fps: images per second where they come without times; None: 25, which a warning says.
    Iterating raises DataError where an item is no image, or where a time is no number or lies before the one before it.
    """

    def __init__(self, images: Images, *, fps: float | None = None) -> None:
        self.warnings: list[str] = []
        self.frames_decoded = 0
        self._rate = fps or DEFAULT_FPS
        self._is_rate_known = fps is not None
        self._has_times = False
        self._images = self._timed(images)
        self._first: list[TimedPicture[Image]] = []
        self._size: tuple[int, int] | None = None

    @property
    def info(self) -> VideoInfo:
        """What the first image shows; raises VideoError where there is none."""
        if self._size is None:
            self._first = list(islice(self._images, 1))
            if not self._first:
                raise VideoError("there is no image to analyse: the iterable is empty, or was read before")
            self._size = _size_of(self._first[0].picture)
        width, height = self._size
        return VideoInfo(
            path=Path("images"),
            width=width,
            height=height,
            fps=self._rate,
            frames_declared=None,
            duration=None,
            rotation=0,
            codec="none",
            start_time=0.0,
            has_audio=False,
            timestamp_source="given" if self._has_times else "index/fps",
        )

    def __enter__(self) -> ArraySource:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Discard the images that were not read."""
        self._images, self._first = iter(()), []

    def __iter__(self) -> Iterator[Frame]:
        first, self._first = self._first, []
        for timed in with_lengths(chain(first, self._images)):
            self.frames_decoded += 1
            size = _size_of(timed.picture)
            self._size = self._size or size
            yield Frame(timed.number, timed.timestamp, timed.picture, timed.length, placement(size, self._size))

    def _timed(self, images: Images) -> Iterator[TimedPicture[Image]]:
        before, interval = -math.inf, 1 / self._rate
        for number, item in enumerate(images):
            if isinstance(item, tuple) and len(item) == 2:
                self._has_times = True
                time, image = _seconds(item[0], number), item[1]
                if time < before:
                    raise DataError(f"picture {number} is at {time:g} s, before the picture before it, {before:g} s")
                interval = time - before if number and time > before else interval
            else:
                if number == 0 and not self._is_rate_known:
                    LOG.warning(
                        "pictures without times: %g a second is assumed; give fps, or times with them", DEFAULT_FPS
                    )
                time, image = number / self._rate, item
            before = time
            yield TimedPicture(number, time, interval, check_image(image, f"picture {number}").copy())


def _size_of(image: Image) -> tuple[int, int]:
    """Return width and height of an image (H, W, 3)."""
    return image.shape[1], image.shape[0]


def _seconds(value: Any, number: int) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise DataError(f"picture {number}: its time has to be a number of seconds; it is {shown(value)}")
    return seconds
