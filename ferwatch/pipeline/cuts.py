"""Cuts a video into the segments that workers take, and puts what they return in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from ferwatch.errors import FerwatchError
from ferwatch.faces.stream import FULL_SEARCH_SECONDS
from ferwatch.pipeline.executors import MIN_PARALLEL_SECONDS, Executor, WorkerLost
from ferwatch.pipeline.reports import HasSegment, PicturesDone, Report
from ferwatch.video.container import VideoInfo
from ferwatch.video.index import VideoSegment, plan_segments, read_index
from ferwatch.video.sampling import Sampling
from ferwatch.video.source import VideoRange

MAX_WORKER_LOSSES = 3
"""Number of times that a segment is started again after its worker died."""
SEGMENTS_AHEAD = 8
"""Largest number of segments for each worker that are at work, or wait for an earlier one to be finished."""

S = TypeVar("S", bound=HasSegment)
T = TypeVar("T")
R = TypeVar("R")


def cut(
    video: Path,
    info: VideoInfo,
    sampling: Sampling,
    start: float,
    end: float | None,
    *,
    at_keyframes: bool = False,
) -> list[VideoSegment]:
    """Return the segments of a range of a video, none where it has to be decoded in one pass, or is short.

    Args:
        start, end: seconds; an `end` of None: to the end of the video.
        at_keyframes: cut at key frames rather than at multiples of four seconds.
    """
    length = info.duration or 0.0
    if min(length, length if end is None else end) - start < MIN_PARALLEL_SECONDS:
        return []
    index = read_index(video, info)
    if index is None:
        return []
    segments = plan_segments(index, sampling, start, end, FULL_SEARCH_SECONDS, at_keyframes=at_keyframes)
    return segments if len(segments) > 1 else []


def cut_film(source: VideoRange, info: VideoInfo) -> list[VideoSegment]:
    """Return the segments in which every frame of a range is drawn, none where it has to be drawn in one pass."""
    if source.decoder != "ffmpeg":
        return []
    return cut(source.path, info, Sampling(), source.start, source.end, at_keyframes=True)


def results_of(
    executor: Executor,
    work: Callable[[T], R],
    tasks: Iterable[T | None],
    video: Path,
    on_report: Callable[[T, Report], None] | None = None,
) -> Generator[tuple[T, R], None, None]:
    """Yield each task of a video with its result as it ends; a task whose worker died is started again.

    Raises FerwatchError, which names the video, where that happens again and again.
    """
    with closing(executor.run(work, tasks, retries=MAX_WORKER_LOSSES, on_report=on_report)) as results:
        for task, result in results:
            if isinstance(result, WorkerLost):
                raise FerwatchError(f"{video}: {result.reason}, {1 + MAX_WORKER_LOSSES} times at the same place")
            yield task, result


def results_in_order(
    executor: Executor, work: Callable[[S], R], tasks: Sequence[S], video: Path, done: PicturesDone
) -> Generator[R, None, None]:
    """Yield the results of segments in the order of their tasks; those that end early wait.

    Args:
        done: takes note of what the tasks report, and of those that have ended.
    Raises FerwatchError, which names the video, where workers die again and again.
    """
    ended: dict[int, R] = {}
    yielded = 0

    def bounded() -> Iterator[S | None]:
        for number, task in enumerate(tasks):
            # The number of workers is asked for each time: a cluster's autoscaler adds nodes while segments wait.
            while number >= yielded + SEGMENTS_AHEAD * executor.workers:
                yield None
            yield task

    with closing(results_of(executor, work, bounded(), video, done.update)) as results:
        for task in tasks:
            while id(task) not in ended:
                other, result = next(results)
                done.finish(other)
                ended[id(other)] = result
            yield ended.pop(id(task))
            yielded += 1
