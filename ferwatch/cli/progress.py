"""Progress bars on a terminal; nothing is shown where stderr is not one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from tqdm import tqdm

UNITS = {"timeline": "files"}
"""Stage -> unit of its progress bar; frames for all others."""

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt}{unit}{postfix}"

TIMELINE_SECONDS = 1.0
"""Time that the files of the timeline of a video of some minutes take, with the imports that they need."""
TRUSTED_PART = 0.2
"""Part of the film after which its own speed says how long the rest takes, and no longer the forecast."""


class TimeLeft:
    """Estimates the seconds until a run ends, from its progress and what is expected of the stages to come."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._moves = False
        self._began = 0.0
        self._first = self._done = self._total = 0
        self._film_ratio = 0.0
        self._stretch = 1.0
        self._film_seconds = 0.0

    def expect(self, film_ratio: float, stretch: float) -> None:
        """Take note of a forecast; see ferwatch.pipeline.forecast."""
        self._film_ratio, self._stretch = film_ratio, stretch

    def update(self, stage: str, done: int, total: int) -> None:
        """Take note of progress; see ferwatch.pipeline.progress."""
        if stage != self._stage:
            self._stage, self._moves = stage, False
            self._began, self._first = self._clock(), done
        elif not self._moves and done > self._first:
            # The clock starts with the first picture that is done: before it, workers start and load their models.
            self._moves = True
            self._began, self._first = self._clock(), done
        self._done, self._total = done, total
        if stage == "analysing" and total:
            self._film_seconds = self._film_ratio * self._whole_stage()

    @property
    def seconds(self) -> float | None:
        """Seconds until the run ends; None as long as nothing is known."""
        if not self._total or (self._stage != "annotating" and self._done == self._first):
            return None
        left = max(0, self._total - self._done) / self._total
        if self._stage == "analysing":
            return self._whole_stage() * left + TIMELINE_SECONDS + self._film_seconds
        if self._stage == "timeline":
            return TIMELINE_SECONDS * left + self._film_seconds
        weight = min(1.0, (1 - left) / TRUSTED_PART) if self._film_seconds else 1.0
        return (weight * self._whole_stage() + (1 - weight) * self._film_seconds) * left

    def _whole_stage(self) -> float:
        """Seconds that all pictures of this stage take; the nearer its end, the less workers without work count."""
        a_picture = (self._clock() - self._began) / max(1, self._done - self._first)
        left = max(0, self._total - self._done) / self._total
        return a_picture * self._total * (1 + (self._stretch - 1) * left)


class ProgressBars:
    """One bar for each stage, with the time left of the run; the next stage's bar takes the place of the one before."""

    def __init__(self, hidden: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.are_shown = not hidden and sys.stderr is not None and sys.stderr.isatty()
        self._stage = ""
        self._bar: tqdm | None = None
        self._time_left = TimeLeft(clock)
        self.expect = self._time_left.expect

    def __enter__(self) -> ProgressBars:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of about `total` are done in this stage; 0: the total is unknown."""
        if not self.are_shown:
            return
        self._time_left.update(stage, done, total)
        if stage != self._stage:
            if self._bar is not None:
                self._bar.close()
            self._stage = stage
            self._bar = tqdm(
                desc=stage,
                total=total or None,
                initial=done,
                unit=f" {UNITS.get(stage, 'frames')}",
                leave=False,
                bar_format=BAR if total else None,
            )
        assert self._bar is not None
        if total and self._bar.total != total:
            self._bar.total = total
        left = self._time_left.seconds
        if left is not None:
            self._bar.set_postfix_str(f"{tqdm.format_interval(round(left))} left", refresh=False)
        self._bar.update(done - self._bar.n)
