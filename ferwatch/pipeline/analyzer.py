"""The Python API: Analyzer, and functions that create one and call it."""

from __future__ import annotations

import atexit
import logging
import math
import threading
import time
import weakref
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, closing, suppress
from functools import lru_cache
from inspect import GEN_CLOSED, getgeneratorstate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from ferwatch.errors import OptionError
from ferwatch.faces.detection import FaceDetector
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.search import is_in_region, keep_surest, search_image
from ferwatch.faces.tracker import FaceTracker
from ferwatch.pipeline.analyze import Run, write_run
from ferwatch.pipeline.arguments import check_detector, check_progress, to_path, to_video
from ferwatch.pipeline.opening import nothing_in_range, open_reader
from ferwatch.pipeline.options import (
    LOADING_OPTIONS,
    USES,
    AnalysisOptions,
    change_options,
    check_region_in_picture,
    loading_options,
    refuse_unused,
)
from ferwatch.pipeline.pictures import read_image
from ferwatch.pipeline.progress import Progress, no_progress
from ferwatch.pipeline.segment import FaceLimit, assign_ids, classify_faces, load_classifier, without_ignored
from ferwatch.pipeline.segment import track as track_faces
from ferwatch.pipeline.worker import exit_if_starting
from ferwatch.records import Frame, FrameFaces, FrameResult
from ferwatch.video.arrays import AnyImage, ArraySource, Images, check_image
from ferwatch.video.file_source import FileSource
from ferwatch.video.source import FrameSource

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ferwatch.pipeline.options import AnalysisKeywords

MAX_LIVE_WAIT = 0.5
"""Seconds of video for which a picture that comes from no file waits for others that are classified with it."""
LOG = logging.getLogger("ferwatch")
Pictures: TypeAlias = FrameSource | Images


class Analyzer:
    """Labels the faces of images and videos with one model, which it loads once.

    An Analyzer may be used in any thread, by several at a time. It changes nothing outside itself: no setting of OpenCV
    or torch, no environment variable. close() it, use it in a `with` statement, or leave that to Python.

    Args:
        detector: a face detector of your own for `image` and `track`; None: MediaPipe's. Where several threads use the
            Analyzer at a time, it has to allow that.
        options: the fields of AnalysisOptions by name.
    Raises OptionError where an option is unknown or cannot be, WeightsError where a model or its weights are missing or
    damaged, FerwatchError where the device is not there.
    """

    def __init__(self, *, detector: FaceDetector | None = None, **options: Unpack[AnalysisKeywords]) -> None:
        check_detector(detector)
        self.options = change_options(AnalysisOptions(), dict(options))
        self._classifier = load_classifier(self.options)
        self._detector = detector
        self._image_detector: MediaPipeDetector | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_options(cls, options: AnalysisOptions) -> Analyzer:
        """Return an Analyzer with these options."""
        return cls(**vars(options))

    def __enter__(self) -> Analyzer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Release the face detector that images need; the next image loads it again."""
        with self._lock:
            if self._image_detector is not None:
                self._image_detector.close()
                self._image_detector = None

    def image(self, image: AnyImage | Path | str, **changes: Unpack[AnalysisKeywords]) -> FrameResult:
        """Return the faces of one picture from left to right, with ids from 1.

        Args:
            image: (H, W, 3) uint8 BGR, as OpenCV reads it, or the path of an image file.
            changes: options that differ from the Analyzer's for this picture.
        Raises DataError where it is neither, OptionError where an option cannot be or is for videos alone, or where the
        region has no part in it.
        """
        options = self._options_with(changes)
        refuse_unused(options, changes, USES)
        path = to_path("image", image) if isinstance(image, Path | str) else None
        picture = check_image(image) if path is None else read_image(path)
        check_region_in_picture(path or Path("image"), options.region, picture.shape[1], picture.shape[0])
        with self._lock:
            if self._detector is None and self._image_detector is None:
                self._image_detector = MediaPipeDetector(options.face_model)
            detector = self._detector or self._image_detector
            assert detector is not None
            found = search_image(picture, detector)
        inside = [face for face in found if is_in_region(face.bbox, options.region)]
        kept, left_out = keep_surest(inside, options.max_faces, detector.thresholds.face_score)
        if left_out:
            LOG.warning(
                "%d faces were found, of which %d are analysed; max_faces raises the limit", len(inside), len(kept)
            )
        faces = classify_faces([FrameFaces(0, 0.0, tuple(kept))], self._classifier)
        (result,) = assign_ids(faces, FaceTracker(), FaceLimit(options))
        return without_ignored(result, options)

    def track(
        self,
        video: Path | str | Pictures,
        *,
        progress: Progress = no_progress,
        **changes: Unpack[AnalysisKeywords],
    ) -> Generator[FrameResult, None, None]:
        """Yield the result of every sampled frame of a video, in order, without writing anything.

        Args:
            video: a file, a FrameSource, or any iterable of (timestamp in seconds, image) or of images, (H, W, 3) uint8
                BGR. Every image is analysed: sampling, start and end are for files.
            progress: called in the calling thread with "analysing", the frames decoded and about how many there are;
                0: unknown. An exception that it raises ends the analysis and reaches the caller.
            changes: options that differ from the Analyzer's for this video.
        Raises OptionError where an argument cannot be; VideoError, DataError, and OptionError for a region that has no
        part in the pictures, when the first result is asked for, or later.
        """
        options = self._options_with(changes)
        source = to_video(video)
        check_progress(progress)
        refuse_unused(options, changes, ("analyze",) if isinstance(source, Path) else ("analyze", "video files"))
        results = self._track(source, progress, options)
        _OPEN.add(results)
        return results

    def _track(
        self, video: Path | Pictures, progress: Progress, options: AnalysisOptions
    ) -> Generator[FrameResult, None, None]:
        with self._open(video, options) as source:
            if options.region is not None:
                check_region_in_picture(source.info.path, options.region, source.info.width, source.info.height)
            total = source.frames_expected if isinstance(source, FileSource) else 0
            seen = 0
            with closing(self._results(source, options)) as results:
                for seen, result in enumerate(results, 1):  # noqa: B007
                    if _PYTHON_ENDS.is_set():
                        return
                    yield result
                    progress("analysing", source.frames_decoded, total)
            if not seen:
                raise nothing_in_range(source.info.path, source, options)
            for warning in source.warnings:
                LOG.warning("%s: %s", source.info.path, warning)

    def _open(self, video: Path | Pictures, options: AnalysisOptions) -> FrameSource:
        if isinstance(video, Path):
            return open_reader(video, options)
        return video if isinstance(video, FrameSource) else ArraySource(video, fps=options.fps)

    def _results(self, frames: Iterable[Frame], options: AnalysisOptions) -> Generator[FrameResult, None, None]:
        limit = FaceLimit(options)
        with ExitStack() as stack:
            detector = self._detector or stack.enter_context(MediaPipeDetector(options.face_model))
            max_wait = math.inf if isinstance(frames, FileSource) else MAX_LIVE_WAIT
            for result in track_faces(frames, detector, FaceTracker(), self._classifier, options, limit, max_wait):
                yield without_ignored(result, options)
        for warning in limit.warnings:
            LOG.warning("%s", warning)

    def analyze(
        self,
        video: Path | str,
        out: Path | str | None = None,
        *,
        overwrite: bool = False,
        resume: bool = False,
        progress: Progress = no_progress,
        command: Sequence[str] = (),
        **changes: Unpack[AnalysisKeywords],
    ) -> Run:
        """Write a run folder for a video, and return the Run.

        Args:
            out: the run folder; None: VIDEO-STEM-ferwatch in the working directory.
            overwrite: replace the run that the folder holds.
            resume: continue the interrupted run that the folder holds.
            progress: called in the calling thread with the stage ("analysing", "timeline" or "annotating"), how much of
                it is done, and about how much there is; 0: unknown. An exception that it raises ends the run and
                reaches the caller; the run can be resumed.
            command: how the program was called, for run.json.
            changes: options that differ from the Analyzer's for this video.
        Raises OptionError; VideoError; OutputError where the folder cannot be written, or holds a run and neither
        `overwrite` nor `resume` allows to touch it.
        """
        exit_if_starting()
        if self._detector is not None:
            raise OptionError(
                "a detector of your own is for image and track; analyze starts MediaPipe's in each process"
            )
        path = to_path("video", video, "give the path of a video; pictures and cameras are for track")
        folder = None if out is None else to_path("out", out)
        options = self._options_with(changes)
        check_progress(progress)
        return write_run(
            path, folder, options, self._classifier,
            overwrite=overwrite, resume=resume, progress=progress, command=command,
        )  # fmt: skip

    def _options_with(self, changes: AnalysisKeywords) -> AnalysisOptions:
        options = change_options(self.options, dict(changes))
        for name in LOADING_OPTIONS:
            if getattr(options, name) != getattr(self.options, name):
                raise OptionError(f"{name} is chosen when the Analyzer is made; make another one")
        return options


def analyze_image(image: AnyImage | Path | str, **options: Unpack[AnalysisKeywords]) -> FrameResult:
    """Return Analyzer(**options).image(image); the Analyzer is kept for the next call with the same options."""
    return _shared(options).image(image, **options)


def track(
    video: Path | str | Pictures, *, progress: Progress = no_progress, **options: Unpack[AnalysisKeywords]
) -> Generator[FrameResult, None, None]:
    """Return Analyzer(**options).track(video); the Analyzer is kept for the next call with the same options."""
    return _shared(options).track(video, progress=progress, **options)


def analyze(
    video: Path | str,
    out: Path | str | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = no_progress,
    **options: Unpack[AnalysisKeywords],
) -> Run:
    """Return Analyzer(**options).analyze(video, out); the Analyzer is kept for the next call with the same options."""
    return _shared(options).analyze(video, out, overwrite=overwrite, resume=resume, progress=progress, **options)


def _shared(keywords: AnalysisKeywords) -> Analyzer:
    options = change_options(AnalysisOptions(), dict(keywords))
    return _load_once(loading_options(options), tuple(_stamp(path) for path in (options.weights, options.face_model)))


@lru_cache(maxsize=2)
def _load_once(options: AnalysisOptions, _files: tuple[object, ...]) -> Analyzer:
    return Analyzer.from_options(options)


def _stamp(path: Path | None) -> object:
    """Return size and modification time of a file, which change when it is written again; None: there is no file."""
    with suppress(OSError):
        if path is not None:
            return (stat := path.stat()).st_size, stat.st_mtime_ns
    return None


_OPEN: weakref.WeakSet[Generator[FrameResult, None, None]] = weakref.WeakSet()
_PYTHON_ENDS = threading.Event()
WAIT_AT_EXIT_SECONDS = 10.0
"""Longest time for which Python's exit waits for a track() iterator that a daemon thread is using."""


@atexit.register
def _close_tracks() -> None:
    """Close the iterators of track() that are still open, before Python's modules are torn down."""
    _PYTHON_ENDS.set()
    deadline = time.monotonic() + WAIT_AT_EXIT_SECONDS
    for results in list(_OPEN):
        try:
            results.close()
        except ValueError:  # a daemon thread is using it; it ends at its next result
            while getgeneratorstate(results) != GEN_CLOSED and time.monotonic() < deadline:
                time.sleep(0.01)
