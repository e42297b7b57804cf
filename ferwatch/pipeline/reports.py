"""Reports of a task that is at work: how many pictures of it are done, and in which time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, Protocol

from ferwatch.video.index import VideoSegment


class Report(NamedTuple):
    """Report of a task that is at work."""

    done: int
    """Number of its pictures that are done."""
    seconds: float
    """Processor time that it has taken so far."""


Receiver = Callable[[Report], None]


def ignore_report(report: Report) -> None:
    """Ignore a report."""


_RECEIVER: ContextVar[tuple[Receiver, float]] = ContextVar("receiver", default=(ignore_report, 0.0))


@contextmanager
def reports_to(receiver: Receiver) -> Iterator[None]:
    """Pass the reports of the task that runs within this context to `receiver`."""
    token = _RECEIVER.set((receiver, time.thread_time()))
    try:
        yield
    finally:
        _RECEIVER.reset(token)


def report(done: int) -> None:
    """Report that so many pictures of the task at work are done."""
    receiver, began = _RECEIVER.get()
    receiver(Report(done, time.thread_time() - began))


class HasSegment(Protocol):
    """A task on one segment of a video."""

    @property
    def segment(self) -> VideoSegment:
        """The segment."""


class PicturesDone:
    """Counts the pictures of segments that are done, and tells the sum whenever it grows."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self._progress = progress
        self._before = self._told = 0
        self._reports: dict[int, Report] = {}
        """The last report of each segment, by its number."""
        self._sum = Report(0, 0.0)
        """Sum of these reports."""

    @property
    def seconds_a_picture(self) -> float:
        """Processor time of a picture; 0 as long as nothing is known."""
        return self._sum.seconds / max(1, self._sum.done)

    def start(self, done: int) -> None:
        """Tell that so many pictures were done before."""
        self._before = self._told = done
        self._progress(done)

    def update(self, task: HasSegment, report: Report) -> None:
        """Take a report of a task; after its worker died, fewer pictures are done than before."""
        last = self._reports.get(task.segment.number, Report(0, 0.0))
        self._reports[task.segment.number] = report
        self._sum = Report(self._sum.done + report.done - last.done, self._sum.seconds + report.seconds - last.seconds)
        done = self._before + self._sum.done
        if done > self._told:
            self._told = done
            self._progress(done)

    def finish(self, task: HasSegment) -> None:
        """Take note that a task has ended."""
        last = self._reports.get(task.segment.number, Report(0, 0.0))
        self.update(task, last._replace(done=task.segment.pictures))
