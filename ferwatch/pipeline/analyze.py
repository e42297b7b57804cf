"""A whole run: a video in, a run folder out."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ferwatch.export.registry import write_timeline
from ferwatch.faces.tracker import FaceTracker
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.pipeline.candidates import in_one_pass, in_segments, plan
from ferwatch.pipeline.executors import Executor, InProcess, LocalProcesses
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.resume import Finished, ResumeState, read_resume_state
from ferwatch.pipeline.run_folder import RunFolder, run_facts
from ferwatch.pipeline.segment import frame_result
from ferwatch.records import FrameFaces
from ferwatch.render.annotated_video import annotate_video
from ferwatch.timeline.build import build_timeline
from ferwatch.timeline.model import Summary, Timeline
from ferwatch.timeline.table import FramesWriter, FrameTable, read_frames_csv
from ferwatch.utils.version import __version__
from ferwatch.video.file_source import FileSource
from ferwatch.video.index import IndexMismatch, VideoSegment
from ferwatch.video.sampling import ROUNDING
from ferwatch.video.source import open_source

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and about how much there is; 0: unknown."""
LOG = logging.getLogger("ferwatch")


@dataclass(frozen=True)
class Run:
    """Result of a finished run."""

    folder: Path
    files: tuple[Path, ...]
    timeline: Timeline
    warnings: tuple[str, ...]

    @property
    def summary(self) -> Summary:
        return self.timeline.summary


@dataclass
class Stopwatch:
    """Seconds spent in each stage of a run."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = round(time.monotonic() - started, 3)


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore progress."""


def open_reader(video: Path, options: AnalysisOptions) -> FileSource:
    """The frames of a video that the options ask for. Raises VideoError."""
    return open_source(
        video,
        decoder=options.decoder,
        sampling=options.sampling,
        start=options.start,
        end=options.end,
        stream=options.stream,
        fps=options.fps,
    )


def write_run(
    video: Path,
    out: Path | None,
    options: AnalysisOptions,
    classifier: Classifier,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = no_progress,
    command: Sequence[str] = (),
    executor: Executor | None = None,
) -> Run:
    """Analyses a video, writes its run folder, and returns what it found; see Analyzer.analyze.

    The rows are written as they come, to frames.partial.csv, which becomes frames.csv when the last one is there; all
    else is made from frames.csv, and run.json, written last, marks a finished run.

    Args:
        executor: runs the video's segments; None: processes of this machine, as many as the options' threads.
    """
    watch = Stopwatch()
    folder = RunFolder(out or Path(f"{video.stem}-ferwatch"))
    with open_reader(video, options) as reader:
        settings = settings_of_rows(video, classifier.checkpoint, options)
        if resume:
            state = read_resume_state(folder.resume, settings)
        else:
            folder.prepare(overwrite=overwrite)
            state = ResumeState(settings)
        if state.finished is None:
            with watch.time("analysis"):
                finished = _write_rows(video, reader, options, classifier, folder, state, executor, progress)
            state = replace(state, finished=finished)
            state.save(folder.resume)
    assert state.finished is not None
    frames_decoded, warnings = state.finished.frames_decoded, list(state.finished.warnings)
    folder.complete_rows()
    folder.segments.clear()

    table = read_frames_csv(folder.rows)
    duration = _duration(reader, table)
    # What players open beside the timeline has to have its times: of the annotated video, time 0 is `start`.
    plays_alike = options.annotate and options.start == 0
    media = "annotated.mp4" if plays_alike else os.path.relpath(video.absolute(), folder.path.absolute())
    timeline = build_timeline(
        table,
        smoothing=options.smoothing,
        min_episode=options.min_episode,
        source=reader.info.path.name,
        video=media,
        duration=duration,
        fps=reader.info.fps,
        start=options.start,
        end=options.end,
        has_annotated_video=options.annotate,
    )
    files = [folder.rows]
    with watch.time("timeline"):
        files += write_timeline(folder.path, timeline, options.exports, progress)
    if options.annotate:
        with watch.time("annotation"):
            files.append(folder.path / "annotated.mp4")
            warnings += _annotate(video, table, files[-1], options, frames_decoded, progress)
    facts = run_facts(
        reader=reader,
        frames_decoded=frames_decoded,
        checkpoint=classifier.checkpoint,
        settings={**settings, **settings_of_outputs(options)},
        table=table,
        timeline=timeline,
        seconds=watch.seconds,
        warnings=warnings,
        command=command,
    )
    files.append(folder.write_facts(facts))
    folder.resume.unlink()
    for warning in warnings:
        LOG.warning("%s: %s", video, warning)
    return Run(folder.path, tuple(files), timeline, tuple(warnings))


def _duration(reader: FileSource, table: FrameTable) -> float:
    """The length of the video in seconds: what its header says, or the end of its last picture where that is later."""
    declared = reader.info.duration or 0.0
    shown = float((table.timestamp + np.nan_to_num(table.duration)).max()) if len(table) else 0.0
    return shown if shown > declared + ROUNDING else declared


def _annotate(
    video: Path, table: FrameTable, out: Path, options: AnalysisOptions, total: int, progress: Progress
) -> list[str]:
    """Writes annotated.mp4; returns what could not be kept of the source."""
    done = 0

    def count(frames: int) -> None:
        nonlocal done
        done += frames
        progress("annotating", done, total)

    return annotate_video(
        video,
        table,
        out,
        start=options.start,
        end=options.end,
        blur_faces=options.blur_faces,
        decoder=options.decoder,
        stream=options.stream,
        fps=options.fps,
        progress=count,
    )


def _write_rows(
    video: Path,
    reader: FileSource,
    options: AnalysisOptions,
    classifier: Classifier,
    folder: RunFolder,
    state: ResumeState,
    executor: Executor | None,
    progress: Progress,
) -> Finished:
    """Write the partial table; segments that the folder holds from an interrupted run are not analysed again."""
    workers = executor.workers if executor is not None else options.threads or 1
    is_resumed = bool(folder.segments.numbers())
    segments: list[VideoSegment] = []
    if not state.in_one_pass and (workers > 1 or is_resumed):
        segments = plan(video, reader.info, options)
    state = replace(state, in_one_pass=not segments)
    state.save(folder.resume)
    if segments:
        try:
            with ExitStack() as stack:
                if executor is None:
                    executor = stack.enter_context(LocalProcesses(workers)) if workers > 1 else InProcess()
                found = stack.enter_context(
                    closing(in_segments(video, reader.info, segments, folder.segments, options, executor))
                )
                return _write_segments(found, reader, folder, progress)
        except IndexMismatch as mismatch:
            LOG.info("%s is decoded in one pass: %s", video, mismatch)
            folder.segments.clear()
            replace(state, in_one_pass=True).save(folder.resume)
    tracker = FaceTracker()
    found_here = in_one_pass(reader, folder.segments, options.face_model, classifier)
    with FramesWriter(folder.rows) as rows:
        for frame in tracker.track(chain.from_iterable(found_here)):
            rows.write(frame_result(frame))
            progress("analysing", reader.frames_decoded, reader.frames_expected)
    return Finished(reader.frames_decoded, tuple(reader.warnings))


def _write_segments(
    found: Iterable[tuple[VideoSegment, list[FrameFaces]]], reader: FileSource, folder: RunFolder, progress: Progress
) -> Finished:
    """Write the partial table from segments that workers analyse."""
    done = 0

    def frames() -> Iterator[FrameFaces]:
        nonlocal done
        for segment, faces in found:
            done += segment.pictures
            progress("analysing", done, reader.frames_expected)
            yield from faces

    with FramesWriter(folder.rows) as rows:
        for frame in FaceTracker().track(frames()):
            rows.write(frame_result(frame))
    return Finished(done, tuple(reader.warnings))


def settings_of_rows(video: Path, checkpoint: Checkpoint, options: AnalysisOptions) -> dict[str, Any]:
    """Return what the rows depend on; a run is resumed only with the same. Raises OSError if the video is missing."""
    file = video.stat()
    return {
        "version": __version__,
        "video": [str(video.absolute()), file.st_size, file.st_mtime_ns],
        "model": checkpoint.model,
        "weights": checkpoint.checksum,
        "face model": str(options.face_model),
        "sampling": asdict(options.sampling),
        "start": options.start,
        "end": options.end,
        "decoder": options.decoder,
        "stream": options.stream,
        "fps": options.fps,
    }


def settings_of_outputs(options: AnalysisOptions) -> dict[str, Any]:
    """Return what the other files of a run folder depend on, besides its rows."""
    return {
        "exports": sorted(set(options.exports)),
        "annotated video": options.annotate,
        "blurred faces": options.annotate and options.blur_faces,
        "smoothing": options.smoothing,
    }
