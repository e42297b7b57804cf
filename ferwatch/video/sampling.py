"""Selects the frames of a video that are analysed, and computes how long each is shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Generic, TypeVar

from ferwatch.errors import OptionError, shown

ROUNDING = 0.0005
"""Tolerance in seconds for start and end, so that a time from frames.csv (three decimals) means that frame."""

Picture = TypeVar("Picture")


@dataclass(frozen=True, slots=True)
class Sampling:
    """Selection of the frames to analyse: every Nth, or, with `fps`, that many per second by their timestamps.

    Raises OptionError where a number cannot be, or both are given.
    """

    every: int = 1
    fps: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.every, Integral) or isinstance(self.every, bool) or self.every < 1:
            raise OptionError(f"Sampling(every={shown(self.every)}): give a whole number of frames, 1 or more")
        object.__setattr__(self, "every", int(self.every))  # not a number of NumPy, which JSON does not know
        if self.fps is None:
            return
        if not isinstance(self.fps, Real) or isinstance(self.fps, bool) or not 0 < self.fps < math.inf:
            raise OptionError(f"Sampling(fps={shown(self.fps)}): give a number of samples a second above 0")
        if not isinstance(self.fps, int | float):
            object.__setattr__(self, "fps", float(self.fps))
        if self.every != 1:
            raise OptionError(f"Sampling(fps={self.fps:g}, every={self.every}): give one of the two")

    def cell(self, number: int, time: float) -> int:
        """Return the sampling interval that a frame falls in; the first frame of each is a sample.

        `number` and `time` (seconds) count from the start of the range. A frame up to 1 ms before a tick of the grid
        belongs to the tick: some containers round their times to milliseconds.
        """
        if self.fps is None:
            return number // self.every
        return math.floor((time + min(0.001, 0.1 / self.fps)) * self.fps)

    def is_long(self, duration: float) -> bool:
        """Return whether a frame that is shown for `duration` seconds is a sample wherever it lies on the grid.

        Otherwise a picture that is shown for a whole sampling interval would be missed if another came just before it.
        """
        return self.fps is not None and duration >= 1 / self.fps


@dataclass(frozen=True, slots=True)
class TimedPicture(Generic[Picture]):
    """A picture that is not converted yet."""

    number: int
    """Position in presentation order, from 0, counted from the file's first picture."""
    timestamp: float
    """Seconds."""
    length: float
    """Seconds for which the picture is shown: the time to the next picture, or what the container says of the last."""
    picture: Picture


class Sampler:
    """Picks the samples of a range of time out of all pictures of a video."""

    def __init__(self, sampling: Sampling, start: float = 0.0, end: float | None = None) -> None:
        self.sampling = sampling
        self.start = start
        """Seconds: pictures before it are left out."""
        self.end = end
        """Seconds: pictures from it on are left out; None: to the end."""
        self.frames_in_range = 0
        """Pictures in the range so far, sampled or not."""

    def select(self, pictures: Iterable[TimedPicture[Picture]]) -> Iterator[TimedPicture[Picture]]:
        """Yield the samples. The length of each is the time for which its own picture is shown, within the range."""
        taken = -1
        for picture in with_lengths(pictures):
            if picture.timestamp + ROUNDING < self.start:
                continue
            if self.end is not None and picture.timestamp + ROUNDING >= self.end:
                break
            cell = self.sampling.cell(self.frames_in_range, max(picture.timestamp - self.start, 0.0))
            self.frames_in_range += 1
            if cell > taken or self.sampling.is_long(picture.length):
                taken = cell
                left = math.inf if self.end is None else max(self.end - picture.timestamp, 0.0)
                yield replace(picture, length=min(picture.length, left))


def with_lengths(pictures: Iterable[TimedPicture[Picture]]) -> Iterator[TimedPicture[Picture]]:
    """Yield each picture with the time until the next one as its length; the last one keeps its own."""
    before: TimedPicture[Picture] | None = None
    for picture in pictures:
        if before is not None:
            yield replace(before, length=max(picture.timestamp - before.timestamp, 0.0))
        before = picture
    if before is not None:
        yield before
