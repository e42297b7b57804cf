"""A whole run: a video in, a run folder out. The command line and Python callers both use it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ferwatch.export.registry import write_timeline
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.tracker import FaceTracker
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.classifier import Classifier, labels_notice, load_classifier
from ferwatch.pipeline import segment as pipeline
from ferwatch.pipeline.options import TEN_A_SECOND
from ferwatch.pipeline.resume import Bookmark, Bookmarks, Finished, read_bookmark
from ferwatch.pipeline.run_folder import RunFolder, run_facts
from ferwatch.records import FrameResult
from ferwatch.render.annotated_video import annotate_video
from ferwatch.timeline.build import build_timeline
from ferwatch.timeline.model import Summary, Timeline
from ferwatch.timeline.smoothing import SMOOTHING_SECONDS
from ferwatch.timeline.table import FramesWriter, read_frames_csv
from ferwatch.utils.version import __version__
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling

Progress = Callable[[str, int, int], None]
"""Called with the stage ("analysing" or "annotating"), the frames done, and about how many there are; 0: unknown."""


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


def track(
    video: Path | str,
    model: str = "cnn",
    *,
    sampling: Sampling = TEN_A_SECOND,
    start: float = 0.0,
    end: float | None = None,
    weights: Path | None = None,
    network: str | None = None,
    labels: str | None = None,
    face_model: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Iterator[FrameResult]:
    """Yields what every sampled frame of a video shows, in order, and writes nothing.

    Args:
        sampling: which frames are looked at; Sampling(every=1) takes all.
        start, end: seconds.
        weights: other weights of this model than the shipped ones.
        network: a network of one's own, "file.py:Class", in place of `model`; needs `weights`.
        labels: "crowd", what people see; "fer2013", the data set's label; None: crowd where the weights have that head.
    Raises VideoError or WeightsError.
    """
    with VideoReader(video, sampling, start, end) as reader, MediaPipeDetector(face_model) as detector:
        classifier = load_classifier(
            model, weights=weights, network=network, labels=labels, device=device, threads=threads
        )
        yield from pipeline.track(reader, detector, FaceTracker(), classifier, passes_at_once=classifier.passes_at_once)


def analyze(
    video: Path | str,
    out: Path | str | None = None,
    model: str = "cnn",
    *,
    sampling: Sampling = TEN_A_SECOND,
    start: float = 0.0,
    end: float | None = None,
    exports: Sequence[str] = (),
    annotate: bool = True,
    blur_faces: bool = False,
    smoothing: float = SMOOTHING_SECONDS,
    weights: Path | None = None,
    network: str | None = None,
    labels: str | None = None,
    face_model: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    classifier: Classifier | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Run:
    """Does the main job: writes a run folder for a video, and returns what it found.

    The rows are written as they come, to frames.partial.csv, which becomes frames.csv when the last one is there; all
    else is made from frames.csv, and run.json, written last, marks a finished run.

    Args:
        out: the run folder; VIDEO-STEM-ferwatch in the working directory where it is not given.
        exports: names of outputs.EXPORTS.
        annotate: also write annotated.mp4; `blur_faces` makes the faces in it unrecognisable.
        smoothing: seconds; 0 turns it off.
        resume: continue the interrupted run that the folder holds.
        network, labels: as in `track`.
        classifier: one loaded before, for the next of many videos; in place of `model`, `weights` and `device`.
    Raises VideoError, WeightsError, or OutputError where the folder holds a run already and neither `overwrite` nor
    `resume` allows to touch it.
    """
    video = Path(video)
    watch = Stopwatch()
    folder = RunFolder(Path(out) if out else Path(f"{video.stem}-ferwatch"))
    with VideoReader(video, sampling, start, end) as reader:
        if classifier is None:
            classifier = load_classifier(
                model, weights=weights, network=network, labels=labels, device=device, threads=threads
            )
        settings = settings_of_rows(video, classifier.checkpoint, classifier.labels, face_model, sampling, start, end)
        bookmark = Bookmark(settings)
        if resume:
            bookmark = read_bookmark(folder.resume, bookmark.settings)
        else:
            folder.prepare(overwrite=overwrite)
        if bookmark.finished is None:
            with watch.time("analysis"), MediaPipeDetector(face_model) as detector:
                _write_rows(reader, detector, classifier, folder, bookmark, progress)
            bookmark = replace(bookmark, finished=Finished(reader.frames_decoded, tuple(reader.warnings)))
            bookmark.save(folder.resume)
    assert bookmark.finished is not None
    frames_decoded, warnings = bookmark.finished.frames_decoded, list(bookmark.finished.warnings)
    if (notice := labels_notice(classifier, labels)) is not None:
        warnings.insert(0, notice)
    folder.complete_rows()

    table = read_frames_csv(folder.rows)
    duration = reader.info.duration or (float(table.timestamp[-1]) if len(table) else 0.0)
    # What players open beside the timeline has to have its times: of the annotated video, time 0 is `start`.
    plays_alike = annotate and start == 0
    media = "annotated.mp4" if plays_alike else os.path.relpath(video.absolute(), folder.path.absolute())
    timeline = build_timeline(
        table,
        smoothing=smoothing,
        source=reader.info.path.name,
        video=media,
        duration=duration,
        fps=reader.info.fps,
    )
    files = [folder.rows]
    with watch.time("timeline"):
        files += write_timeline(folder.path, timeline, exports)
    if annotate:
        with watch.time("annotation"):
            files.append(folder.path / "annotated.mp4")
            warnings += annotate_video(
                video,
                table,
                files[-1],
                start=start,
                end=end,
                blur_faces=blur_faces,
                progress=lambda done: progress("annotating", done, frames_decoded),
            )
    facts = run_facts(
        reader=reader,
        frames_decoded=frames_decoded,
        checkpoint=classifier.checkpoint,
        labels=classifier.labels,
        settings={**settings, **settings_of_outputs(exports, annotate, blur_faces, smoothing)},
        table=table,
        timeline=timeline,
        smoothing=smoothing,
        seconds=watch.seconds,
        warnings=warnings,
    )
    files.append(folder.write_facts(facts))
    folder.resume.unlink()
    return Run(folder.path, tuple(files), timeline, tuple(warnings))


def _write_rows(
    reader: VideoReader,
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
    total = _frames_ahead(reader)
    with FramesWriter(folder.rows, resume_at=begin.offset) as rows:
        results = pipeline.track(
            reader, detector, tracker, classifier, bookmarks.before, passes_at_once=classifier.passes_at_once
        )
        for frames, result in enumerate(results, start=begin.frames_written + 1):
            rows.write(result)
            bookmarks.written(frames, rows.offset)
            progress("analysing", reader.frames_decoded, total)


def settings_of_rows(
    video: Path,
    checkpoint: Checkpoint,
    labels: str,
    face_model: Path | None,
    sampling: Sampling,
    start: float,
    end: float | None,
) -> dict[str, Any]:
    """What the rows depend on; a run is only resumed with the same. Raises OSError where the video is missing."""
    file = video.stat()
    return {
        "version": __version__,
        "video": [str(video.absolute()), file.st_size, file.st_mtime_ns],
        "model": checkpoint.model,
        "weights": checkpoint.checksum,
        "labels": labels,
        "face model": str(face_model),
        "sampling": asdict(sampling),
        "start": start,
        "end": end,
    }


def settings_of_outputs(exports: Sequence[str], annotate: bool, blur_faces: bool, smoothing: float) -> dict[str, Any]:
    """What the other files of a run folder depend on, besides its rows."""
    return {
        "exports": sorted(set(exports)),
        "annotated video": annotate,
        "blurred faces": annotate and blur_faces,
        "smoothing": smoothing,
    }


def _frames_ahead(reader: VideoReader) -> int:
    """About how many frames the range holds, for the progress bar alone."""
    info = reader.info
    if info.duration is None:
        return info.frames_declared or 0
    end = info.duration if reader.end is None else min(reader.end, info.duration)
    return max(1, round((end - reader.start) * info.fps))
