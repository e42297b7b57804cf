"""run_segment: detects, aligns and classifies the faces of a segment of a video in one thread.

A segment is one or more whole periods of four seconds. FaceStream depends on nothing that came before a period, so
segments can be analysed in any order, in any process, and a video's faces are those of its segments, in
order. Only the tracker sees them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import OptionError
from ferwatch.faces.detection import FaceDetector
from ferwatch.faces.search import MAX_FACES
from ferwatch.faces.similarity import gradient_descriptors
from ferwatch.faces.stream import FaceStream, period_of
from ferwatch.models import classifier
from ferwatch.models.classifier import Classifier
from ferwatch.pipeline.options import AnalysisOptions, loading_options
from ferwatch.pipeline.reports import report
from ferwatch.pipeline.resume import SegmentFolder
from ferwatch.records import FaceResult, Frame, FrameFaces, FrameResult, Region
from ferwatch.utils.threads import use_single_threaded_libraries
from ferwatch.utils.url import Url
from ferwatch.video.container import VideoInfo
from ferwatch.video.index import VideoSegment
from ferwatch.video.segment_reader import SegmentReader, kept_reader

if TYPE_CHECKING:
    from ferwatch.faces.mediapipe import MediaPipeDetector
    from ferwatch.faces.tracker import FaceTracker

FACES_PER_PASS = 16
"""Number of faces, across frames, after which the classifier is called."""
MAX_FRAMES_PER_PASS = 64
"""Largest number of frames before the classifier is called, so that frames without faces do not wait for ever."""

Classify = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""(N, 48, 48) uint8 gray -> (N, 7) probabilities."""


@dataclass(frozen=True)
class SegmentTask:
    """One segment of one video, for a worker."""

    video: Path | Url
    info: VideoInfo
    segment: VideoSegment
    folder: Path | None
    """Folder in which the finished segment is saved; None: nothing is saved, and the frames are returned."""
    options: AnalysisOptions
    classify: bool = True
    """False: its faces are only detected and aligned, and the frames are returned."""


@dataclass(frozen=True)
class ClassifyTask:
    """Faces of a few frames, for a worker to classify."""

    number: int
    frames: tuple[FrameFaces, ...]
    options: AnalysisOptions


@dataclass(frozen=True)
class SegmentTools:
    """What a segment is read, searched and classified with."""

    reader: SegmentReader
    detector: FaceDetector
    classify: Classify


def run_segment(task: SegmentTask, tools: SegmentTools | None = None) -> list[FrameFaces] | None:
    """Analyse a segment and save it to its folder, or return its frames; workers run this.

    Raises IndexMismatch where the segment does not hold the frames that the index promises.

    Args:
        tools: None: those of a worker, which it keeps for its next task.
    """
    tools = tools or _tools_of_worker(task)
    frames = _with_reports(tools.reader.read(task.segment), task.segment)
    if not task.classify:
        return list(FaceStream(tools.detector, task.options.max_faces, task.options.region).follow(frames))
    segment = list(analyze_frames(frames, tools.detector, tools.classify, task.options.max_faces, task.options.region))
    if task.folder is None:
        return segment
    SegmentFolder(task.folder).save(task.segment.number, segment)
    return None


def run_classification(task: ClassifyTask) -> list[FrameFaces]:
    """Classify and describe the faces of a few frames; workers run this."""
    return describe_faces(classify_faces(task.frames, kept_classifier(loading_options(task.options))))


def _with_reports(frames: Iterable[Frame], segment: VideoSegment) -> Iterator[Frame]:
    """Yield the frames, and report each when the next one is asked for: it has been searched by then."""
    first = segment.samples[0].number
    for frame in frames:
        yield frame
        report(frame.index - first + 1)


def analyze_frames(
    frames: Iterable[Frame],
    detector: FaceDetector,
    classify: Classify,
    max_faces: int = MAX_FACES,
    region: Region | None = None,
    max_wait: float = inf,
) -> Iterator[FrameFaces]:
    """Yield the faces of each frame, and detections that may be faces, classified and described, a few frames late."""
    for group in grouped(FaceStream(detector, max_faces, region).follow(frames), max_wait):
        yield from describe_faces(classify_faces(group, classify))


def classify_faces(frames: Sequence[FrameFaces], classify: Classify) -> list[FrameFaces]:
    """Return the frames with the probabilities of all their faces, from one call of the classifier."""
    crops = [face.crop for frame in frames for face in frame.faces]
    if not crops:
        return list(frames)
    rows = iter(classify(np.stack(crops)).tolist())
    return [
        replace(frame, faces=tuple(replace(face, probabilities=tuple(next(rows))) for face in frame.faces))
        for frame in frames
    ]


def describe_faces(frames: Sequence[FrameFaces]) -> list[FrameFaces]:
    """Return the frames with the descriptors of all their faces."""
    crops = [face.crop for frame in frames for face in frame.faces]
    if not crops:
        return list(frames)
    rows = iter(gradient_descriptors(np.stack(crops)))
    return [replace(f, faces=tuple(replace(face, descriptor=next(rows)) for face in f.faces)) for f in frames]


class FaceLimit:
    """Passes frames on, and keeps a warning if more faces were found in a frame than are analysed.

    Raises OptionError instead where faces are to be blurred in a video: those left out would stay recognisable.
    """

    def __init__(self, options: AnalysisOptions) -> None:
        self._max_faces = options.max_faces
        self._must_blur = options.blur_faces and options.annotate
        self.warnings: tuple[str, ...] = ()

    def check(self, frames: Iterable[FrameFaces]) -> Iterator[FrameFaces]:
        """Yield the same frames."""
        for frame in frames:
            if frame.left_out and not self.warnings:
                found = f"{len(frame.faces) + frame.left_out} faces were found at {frame.timestamp:.1f} s"
                if self._must_blur:
                    raise OptionError(
                        f"{found}, more than the {self._max_faces} that are analysed: the others would stay "
                        "recognisable in annotated.mp4; raise --max-faces, or leave the video out with --no-video"
                    )
                self.warnings = (f"{found}, of which {self._max_faces} are analysed; --max-faces raises the limit",)
            yield frame


def track(
    frames: Iterable[Frame],
    detector: FaceDetector,
    tracker: FaceTracker,
    classify: Classify,
    options: AnalysisOptions | None = None,
    limit: FaceLimit | None = None,
    max_wait: float = inf,
) -> Iterator[FrameResult]:
    """Yield the result of each frame of a source, in order, a few frames late.

    Args:
        options: the region and the limit on faces; None: the defaults.
        limit: keeps the warning about the limit; None: nobody asks for it.
        max_wait: seconds of video for which a frame waits for others that are classified with it.
    """
    options = options or AnalysisOptions()
    found = analyze_frames(frames, detector, classify, options.max_faces, options.region, max_wait)
    return assign_ids(found, tracker, limit or FaceLimit(options))


def assign_ids(found: Iterable[FrameFaces], tracker: FaceTracker, limit: FaceLimit) -> Iterator[FrameResult]:
    """Yield the results of frames whose faces are classified, with their ids."""
    return map(frame_result, tracker.track(limit.check(found)))


def frame_result(frame: FrameFaces) -> FrameResult:
    """Return the result of a frame whose faces are classified and have their ids."""
    faces = [FaceResult(face.face_id, face.score, face.bbox, face.probabilities) for face in frame.faces]
    return FrameResult(
        frame.index, frame.timestamp, tuple(sorted(faces, key=lambda face: face.face_id)), frame.duration
    )


def without_ignored(frame: FrameResult, options: AnalysisOptions) -> FrameResult:
    """Return the result of a frame without the faces that the options ignore."""
    return replace(frame, faces=tuple(face for face in frame.faces if face.face_id not in options.ignore))


def load_classifier(options: AnalysisOptions) -> Classifier:
    """Load the classifier that the options name, on its device."""
    return classifier.load_classifier(
        options.model,
        weights=options.weights,
        network=options.network,
        labels=options.labels,
        device=options.device,
    )


def grouped(frames: Iterable[FrameFaces], max_wait: float = inf) -> Iterator[list[FrameFaces]]:
    """Yield frames in groups that hold about as many faces as one pass of the classifier takes, for classify_faces.

    A group ends with its period of four seconds, so that groups do not depend on where a video is cut into segments.

    Args:
        max_wait: a group ends when its first frame has waited for this long, in seconds of video.
    """
    for _, period in groupby(frames, lambda frame: period_of(frame.timestamp)):
        group: list[FrameFaces] = []
        faces = 0
        for frame in period:
            group.append(frame)
            faces += len(frame.faces)
            has_waited = frame.timestamp - group[0].timestamp >= max_wait
            if faces >= FACES_PER_PASS or len(group) >= MAX_FRAMES_PER_PASS or has_waited:
                yield group
                group, faces = [], 0
        if group:
            yield group


def _tools_of_worker(task: SegmentTask) -> SegmentTools:
    detector, classify = _kept_detector(task.options.face_model), kept_classifier(loading_options(task.options))
    return SegmentTools(kept_reader(task.video, task.info), detector, classify)


@lru_cache(maxsize=1)
def _kept_detector(face_model: Path | None) -> MediaPipeDetector:
    from ferwatch.faces.mediapipe import MediaPipeDetector  # here: where workers detect, the main process never does

    return MediaPipeDetector(face_model)


@lru_cache(maxsize=1)
def kept_classifier(options: AnalysisOptions) -> Classifier:
    """Return the classifier of a worker process, which it keeps for its next task.

    OpenCV and torch then compute in the thread that calls them, in the whole process.

    Args:
        options: what loading_options() returns.
    """
    use_single_threaded_libraries()
    return load_classifier(options)
