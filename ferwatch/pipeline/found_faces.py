"""Yields the faces of a video segment by segment, found by an executor or in one pass over the file."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain, groupby, islice
from pathlib import Path

from ferwatch.faces.stream import period_of
from ferwatch.models.classifier import choose_device
from ferwatch.pipeline.cuts import cut, results_in_order, results_of
from ferwatch.pipeline.executors import Executor, InProcess
from ferwatch.pipeline.options import AnalysisOptions, with_absolute_paths
from ferwatch.pipeline.reports import PicturesDone
from ferwatch.pipeline.resume import SegmentFolder
from ferwatch.pipeline.segment import (
    Classify,
    ClassifyTask,
    SegmentTask,
    SegmentTools,
    analyze_frames,
    grouped,
    run_classification,
    run_segment,
)
from ferwatch.records import Frame, FrameFaces
from ferwatch.utils.url import Url
from ferwatch.video.container import VideoInfo
from ferwatch.video.file_source import FileSource
from ferwatch.video.index import VideoSegment
from ferwatch.video.segment_reader import SegmentReader


def plan(video: Path, info: VideoInfo, options: AnalysisOptions) -> list[VideoSegment]:
    """Return the segments in which workers can analyse a video, none where it has to be decoded in one pass.

    There are none either for short videos, for networks on a GPU and for OpenCV's decoder.
    """
    if options.decoder != "ffmpeg" or choose_device(options.device) != "cpu":
        return []
    return cut(video, info, options.sampling, options.start, options.end)


def faces_by_workers(
    video: Path,
    info: VideoInfo,
    segments: list[VideoSegment],
    folder: SegmentFolder,
    options: AnalysisOptions,
    executor: Executor,
    classify: Classify,
    done: PicturesDone,
    url: Url | None = None,
) -> Generator[list[FrameFaces], None, None]:
    """Yield the frames of each segment, in order, while workers analyse those that are not finished yet.

    At most SEGMENTS_AHEAD segments for each worker are at work or wait for their turn. The faces of the last segments,
    one for each local worker, are classified by all workers together, so that they end at about the same time.

    Args:
        classify: the classifier of this process, for an executor that works in it; workers load their own.
        done: takes note of the pictures that are done.
        url: where workers on other machines read the video; None: at the path that it has here.
    Raises IndexMismatch where the video has to be decoded in one pass, and FerwatchError where workers die again and
    again.
    """
    finished = set(folder.finished())
    # Crops show faces: they are not saved where faces are blurred. Workers on other machines do not see the folder.
    keeps_segments = not options.blur_faces
    source: Path | Url = video
    if executor.is_remote:
        source, options = url or video.absolute(), with_absolute_paths(options)
    workers_save = folder.path if keeps_segments and not executor.is_remote else None
    is_local_pool = executor.workers > 1 and not executor.is_remote
    first_shared = max(0, len(segments) - executor.workers) if is_local_pool else len(segments)
    tasks = [
        SegmentTask(source, info, segment, workers_save, options, classify=place < first_shared)
        for place, segment in enumerate(segments)
        if segment.number not in finished
    ]
    done.start(sum(segment.pictures for segment in segments if segment.number in finished))

    def save_or_load(segment: VideoSegment, frames: list[FrameFaces] | None) -> list[FrameFaces]:
        """Save the frames of a segment and return them; None: they have been saved, and are loaded."""
        if frames is None:
            return folder.load(segment.number)
        if keeps_segments:
            folder.save(segment.number, frames)
        return frames

    with ExitStack() as stack:
        work = run_segment
        if isinstance(executor, InProcess):
            from ferwatch.faces.mediapipe import MediaPipeDetector  # here: a run whose workers detect does without it

            reader = stack.enter_context(closing(SegmentReader(source, info)))
            detector = stack.enter_context(MediaPipeDetector(options.face_model))
            work = partial(run_segment, tools=SegmentTools(reader, detector, classify))
        results = stack.enter_context(closing(results_in_order(executor, work, tasks, video, done)))
        for segment in segments[:first_shared]:
            yield save_or_load(segment, None if segment.number in finished else next(results))
        detected: dict[int, list[FrameFaces]] = {}
        for segment in segments[first_shared:]:
            if segment.number not in finished:
                frames = next(results)
                assert frames is not None, "a segment that is not classified is not saved"
                detected[segment.number] = frames
        classified = dict(zip(detected, _classify_together(detected.values(), options, executor, video), strict=True))
        for segment in segments[first_shared:]:
            yield save_or_load(segment, classified.get(segment.number))


def _classify_together(
    segments: Iterable[Sequence[FrameFaces]], options: AnalysisOptions, executor: Executor, video: Path
) -> list[list[FrameFaces]]:
    """Return segments whose faces are classified and described by all workers together."""
    groups = [list(grouped(frames)) for frames in segments]
    tasks = [ClassifyTask(number, tuple(group), options) for number, group in enumerate(chain.from_iterable(groups))]
    results = {task.number: frames for task, frames in results_of(executor, run_classification, tasks, video)}
    parts = iter([results[task.number] for task in tasks])
    return [[frame for part in islice(parts, len(of_segment)) for frame in part] for of_segment in groups]


def faces_in_one_pass(
    reader: FileSource,
    folder: SegmentFolder,
    options: AnalysisOptions,
    classify: Classify,
    progress: Callable[[float, float], None],
) -> Iterator[list[FrameFaces]]:
    """Yield the frames of each segment, in order, analysed in this thread; those that are finished are only loaded.

    Args:
        progress: called after each frame with the seconds and the processor time that it has taken: those of detection,
            and at times of classification and saving.
    """
    from ferwatch.faces.mediapipe import MediaPipeDetector

    latest = -1
    for number in folder.finished_from_start():
        segment = folder.load(number)
        latest = segment[-1].index
        yield segment
    reader.first_yielded = latest + 1
    with MediaPipeDetector(options.face_model) as detector:
        for number, group in groupby(_with_times(reader, progress), lambda frame: period_of(frame.timestamp)):
            segment = list(analyze_frames(group, detector, classify, options.max_faces, options.region))
            if not options.blur_faces:  # crops show faces
                folder.save(number, segment)
            yield segment


def _with_times(reader: FileSource, progress: Callable[[float, float], None]) -> Iterator[Frame]:
    """Yield the frames, and tell the time of each when the next one is asked for: it has been searched by then."""
    for frame in reader:
        began, processor = time.monotonic(), time.thread_time()
        yield frame
        progress(time.monotonic() - began, time.thread_time() - processor)
