"""Reports of a task that is at work: how many pictures of it are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from ferwatch.video.index import VideoSegment

Report = Callable[[int], None]
"""Function that is called with the number of pictures of the task at work that are done."""


def no_report(done: int) -> None:
    """Ignore a report."""


_RECEIVER: ContextVar[Report] = ContextVar("receiver", default=no_report)


@contextmanager
def reports_to(receiver: Report) -> Iterator[None]:
    """Within this context, pass the reports of tasks to `receiver`."""
    token = _RECEIVER.set(receiver)
    try:
        yield
    finally:
        _RECEIVER.reset(token)


def report(done: int) -> None:
    """Report that so many pictures of the task at work are done."""
    _RECEIVER.get()(done)


class HasSegment(Protocol):
    """A task on one segment of a video."""

    @property
    def segment(self) -> VideoSegment:
        """The segment."""


class PicturesDone:
    """Counts the pictures of segments that are done, and passes the sum on whenever it grows.

    Args:
        done: number of pictures that were done before.
    """

    def __init__(self, progress: Report, done: int) -> None:
        self._progress = progress
        self._before = self._told = done
        self._by_segment: dict[int, int] = {}
        progress(done)

    def update(self, task: HasSegment, done: int) -> None:
        """Take note that `done` pictures of a task's segment are done: fewer than before where its worker died."""
        self._by_segment[task.segment.number] = done
        total = self._before + sum(self._by_segment.values())
        if total > self._told:
            self._told = total
            self._progress(total)

    def finish(self, task: HasSegment) -> None:
        """Take note that a task has ended."""
        self.update(task, task.segment.pictures)
