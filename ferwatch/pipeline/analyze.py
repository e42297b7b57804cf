"""A whole run: a video in, a run folder out."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ferwatch.export.registry import write_timeline
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.tracker import FaceTracker
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.classifier import Classifier, choose_labels, labels_notice
from ferwatch.pipeline import segment as pipeline
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.resume import Bookmark, Bookmarks, Finished, read_bookmark
from ferwatch.pipeline.run_folder import RunFolder, run_facts
from ferwatch.render.annotated_video import annotate_video
from ferwatch.timeline.build import build_timeline
from ferwatch.timeline.model import Summary, Timeline
from ferwatch.timeline.table import FramesWriter, FrameTable, read_frames_csv
from ferwatch.utils.version import __version__
from ferwatch.video.file_source import FileSource
from ferwatch.video.sampling import ROUNDING
from ferwatch.video.source import open_source

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and about how much there is; 0: unknown."""
LOG = logging.getLogger("ferwatch")


@dataclass(frozen=True)
class Run:
    """What a finished run leaves behind."""

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
) -> Run:
    """Analyses a video, writes its run folder, and returns what it found; see Analyzer.analyze.

    The rows are written as they come, to frames.partial.csv, which becomes frames.csv when the last one is there; all
    else is made from frames.csv, and run.json, written last, marks a finished run.
    """
    watch = Stopwatch()
    folder = RunFolder(out or Path(f"{video.stem}-ferwatch"))
    with open_reader(video, options) as reader:
        settings = settings_of_rows(video, classifier.checkpoint, options)
        bookmark = Bookmark(settings)
        if resume:
            bookmark = read_bookmark(folder.resume, bookmark.settings)
        else:
            folder.prepare(overwrite=overwrite)
        if bookmark.finished is None:
            with watch.time("analysis"), MediaPipeDetector(options.face_model) as detector:
                _write_rows(reader, detector, classifier, folder, bookmark, progress)
            bookmark = replace(bookmark, finished=Finished(reader.frames_decoded, tuple(reader.warnings)))
            bookmark.save(folder.resume)
    assert bookmark.finished is not None
    frames_decoded, warnings = bookmark.finished.frames_decoded, list(bookmark.finished.warnings)
    if (notice := labels_notice(classifier, options.labels)) is not None:
        warnings.insert(0, notice)
    folder.complete_rows()

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
        labels=classifier.labels,
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
    reader: FileSource,
    detector: MediaPipeDetector,
    classifier: Classifier,
    folder: RunFolder,
    begin: Bookmark,
    progress: Progress,
) -> None:
    """The partial table, from the bookmark on."""
    tracker = FaceTracker.from_state(begin.tracker) if begin.tracker else FaceTracker()
    bookmarks = Bookmarks(folder.resume, begin, tracker)
    begin.save(folder.resume)
    reader.skip_before = begin.frame
    with FramesWriter(folder.rows, resume_at=begin.offset) as rows:
        results = pipeline.track(
            reader, detector, tracker, classifier, bookmarks.before, passes_at_once=classifier.passes_at_once
        )
        for frames, result in enumerate(results, start=begin.frames_written + 1):
            rows.write(result)
            bookmarks.written(frames, rows.offset)
            progress("analysing", reader.frames_decoded, reader.frames_expected)


def settings_of_rows(video: Path, checkpoint: Checkpoint, options: AnalysisOptions) -> dict[str, Any]:
    """What the rows depend on; a run is only resumed with the same. Raises OSError where the video is missing."""
    file = video.stat()
    return {
        "version": __version__,
        "video": [str(video.absolute()), file.st_size, file.st_mtime_ns],
        "model": checkpoint.model,
        "weights": checkpoint.checksum,
        "labels": choose_labels(checkpoint, options.labels),
        "face model": str(options.face_model),
        "sampling": asdict(options.sampling),
        "start": options.start,
        "end": options.end,
        "decoder": options.decoder,
        "stream": options.stream,
        "fps": options.fps,
    }


def settings_of_outputs(options: AnalysisOptions) -> dict[str, Any]:
    """What the other files of a run folder depend on, besides its rows."""
    return {
        "exports": sorted(set(options.exports)),
        "annotated video": options.annotate,
        "blurred faces": options.annotate and options.blur_faces,
        "smoothing": options.smoothing,
    }
