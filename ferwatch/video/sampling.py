"""Which frames of a video are analysed."""

from __future__ import annotations

import math
from dataclasses import dataclass

ROUNDING = 0.0005
"""Seconds. A time read from frames.csv, which has three decimals, and given as start or end means that frame."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames are looked at: every Nth, or, where `fps` is given, so many a second by their timestamps."""

    every: int = 1
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every {self.every}th frame: the number must be 1 or more")
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ValueError(f"{self.fps} samples a second: the rate must be a positive number")

    def cell(self, number: int, time: float) -> int:
        """The sampling interval that a frame falls in; the first frame of each is the sample.

        `number` and `time` (seconds) count from the start of the range. A frame up to 1 ms before a tick of the grid
        belongs to the tick: some containers round their times to milliseconds.
        """
        if self.fps is None:
            return number // self.every
        return math.floor((time + min(0.001, 0.1 / self.fps)) * self.fps)
