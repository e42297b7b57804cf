"""Yields the faces of a video segment by segment, found in this thread or by workers."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import groupby
from math import floor
from pathlib import Path

from ferwatch.errors import FerwatchError
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.stream import FULL_SEARCH_SECONDS
from ferwatch.models.classifier import choose_device
from ferwatch.pipeline.executors import MIN_PARALLEL_SECONDS, Executor, WorkerLost
from ferwatch.pipeline.options import AnalysisOptions, with_absolute_paths
from ferwatch.pipeline.resume import SegmentFolder
from ferwatch.pipeline.segment import Classify, SegmentTask, analyze_segment, run_segment
from ferwatch.records import Frame, FrameFaces
from ferwatch.utils.url import Url
from ferwatch.video.container import VideoInfo
from ferwatch.video.file_source import FileSource
from ferwatch.video.index import VideoSegment, plan_segments, read_index

MAX_WORKER_LOSSES = 3
"""Number of times that a segment is started again after its worker died."""
SEGMENTS_AHEAD = 8
"""Largest number of segments for each worker that are at work, or wait for an earlier one to be finished."""


def plan(video: Path, info: VideoInfo, options: AnalysisOptions) -> list[VideoSegment]:
    """Return the segments in which workers can analyse a video, none where it has to be decoded in one pass.

    Short videos, networks on a GPU and OpenCV's decoder work in one pass too.
    """
    if options.decoder != "ffmpeg" or choose_device(options.device) != "cpu":
        return []
    length = info.duration or 0.0
    if min(length, length if options.end is None else options.end) - options.start < MIN_PARALLEL_SECONDS:
        return []
    index = read_index(video, info)
    if index is None:
        return []
    segments = plan_segments(index, options.sampling, options.start, options.end, FULL_SEARCH_SECONDS)
    return segments if len(segments) > 1 else []


def in_segments(
    video: Path,
    info: VideoInfo,
    segments: list[VideoSegment],
    folder: SegmentFolder,
    options: AnalysisOptions,
    executor: Executor,
    url: Url | None = None,
) -> Generator[tuple[VideoSegment, list[FrameFaces]], None, None]:
    """Yield each segment with its frames, in order, while workers analyse those that are not finished yet.

    At most SEGMENTS_AHEAD segments for each worker are at work or wait for their turn.

    Args:
        url: where workers on other machines read the video; None: at the path that it has here.
    Raises IndexMismatch where the video has to be decoded in one pass, and FerwatchError where workers die again and
    again.
    """
    finished = set(folder.numbers())
    unsaved: dict[int, list[FrameFaces]] = {}
    place = 0
    # Crops show faces: they are not saved where faces are blurred. Workers on other machines do not see the folder.
    keeps_segments = not options.blur_faces
    workers_save = keeps_segments and not executor.is_remote
    source: Path | Url = video
    if executor.is_remote:
        source, options = url or video.absolute(), with_absolute_paths(options)

    def tasks() -> Iterator[SegmentTask | None]:
        for number, segment in enumerate(segments):
            if segment.number not in finished:
                while number >= place + SEGMENTS_AHEAD * executor.workers:
                    yield None
                yield SegmentTask(source, info, segment, folder.path if workers_save else None, options)

    with closing(executor.run(run_segment, tasks(), retries=MAX_WORKER_LOSSES)) as results:
        for place, segment in enumerate(segments):  # noqa: B007  (tasks() reads it)
            while segment.number not in finished:
                task, result = next(results)
                if isinstance(result, WorkerLost):
                    raise FerwatchError(f"{video}: {result.reason}, {1 + MAX_WORKER_LOSSES} times at the same place")
                if result is not None and keeps_segments:
                    folder.save(task.segment.number, result)
                elif result is not None:
                    unsaved[task.segment.number] = result
                finished.add(task.segment.number)
            frames = unsaved.pop(segment.number, None)
            yield segment, folder.load(segment.number) if frames is None else frames


def in_one_pass(
    reader: FileSource, folder: SegmentFolder, options: AnalysisOptions, classify: Classify
) -> Iterator[list[FrameFaces]]:
    """Yield the frames of each segment, in order, analysed in this thread; those that are finished are only loaded."""
    latest = -1
    for number in folder.numbers():
        segment = folder.load(number)
        latest = segment[-1].index
        yield segment
    reader.skip_before = latest + 1
    with MediaPipeDetector(options.face_model) as detector:
        for number, group in groupby(reader, _period):
            segment = analyze_segment(group, detector, classify, options.max_faces, options.region)
            if not options.blur_faces:  # crops show faces
                folder.save(number, segment)
            yield segment


def _period(frame: Frame) -> int:
    return floor(frame.timestamp / FULL_SEARCH_SECONDS)
