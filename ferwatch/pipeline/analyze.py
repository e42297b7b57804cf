"""write_run: analyses a video and writes its run folder."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ferwatch.errors import OutputError, VideoError
from ferwatch.export.registry import write_timeline
from ferwatch.faces.model_file import prepare_face_model
from ferwatch.faces.tracker import FaceTracker
from ferwatch.models.classifier import Classifier, labels_notice
from ferwatch.pipeline.executors import Executor, local_executor
from ferwatch.pipeline.film import write_film
from ferwatch.pipeline.forecast import Forecast, RunForecast
from ferwatch.pipeline.found_faces import faces_by_workers, faces_in_one_pass, plan
from ferwatch.pipeline.lock import FolderLock
from ferwatch.pipeline.opening import nothing_in_range, open_reader
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.progress import Progress, no_progress
from ferwatch.pipeline.redraw import overlay_of, video_range
from ferwatch.pipeline.remote import run_folder_at
from ferwatch.pipeline.reports import PicturesDone
from ferwatch.pipeline.resume import Finished, ResumeState, read_resume_state
from ferwatch.pipeline.run_folder import RunFolder, default_run_folder, linked_video, run_facts
from ferwatch.pipeline.segment import FaceLimit, assign_ids
from ferwatch.pipeline.settings import settings_of_outputs, settings_of_rows
from ferwatch.records import FrameFaces
from ferwatch.timeline.build import build_timeline
from ferwatch.timeline.corrections import Corrections
from ferwatch.timeline.model import Summary, Timeline
from ferwatch.timeline.table import FramesWriter, FrameTable
from ferwatch.utils.find_video import check_unchanged, has_content
from ferwatch.utils.stopwatch import Stopwatch
from ferwatch.utils.url import Url, local_copy
from ferwatch.video.container import VideoInfo
from ferwatch.video.file_source import FileSource
from ferwatch.video.index import IndexMismatch
from ferwatch.video.sampling import ROUNDING

LOG = logging.getLogger("ferwatch")


@dataclass(frozen=True)
class RunTask:
    """One video, and how it is analysed."""

    video: Path
    folder: RunFolder
    options: AnalysisOptions
    classifier: Classifier
    executor: Executor | None
    progress: Progress
    url: Url | None
    """Where the video comes from, if it is a temporary copy."""
    has_link: bool
    """Whether the timeline names the path from the run folder to the video; False: its name alone, where the video or
    the folder is a temporary copy."""
    forecast: Forecast | None

    def workers(self) -> AbstractContextManager[Executor]:
        """Return a context with the executor, or with local processes for one stage: those that draw hold no models."""
        return nullcontext(self.executor) if self.executor is not None else local_executor(self.options.threads or 1)


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


def write_run(
    video: Path | Url,
    out: Path | Url | None,
    options: AnalysisOptions,
    classifier: Classifier,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = no_progress,
    command: Sequence[str] = (),
    executor: Executor | None = None,
    forecast: Forecast | None = None,
) -> Run:
    """Analyse a video, write its run folder, and return the Run; see Analyzer.analyze.

    The rows are written as they come, to frames.partial.csv, which becomes frames.csv when the last one is there; all
    else is made from frames.csv, and run.json, written last, marks a finished run. A video at a URL is copied to a
    temporary file. A folder at a URL is written to a temporary folder, which the Run names, and uploaded at the end;
    OutputError is raised where a run in it is to be resumed.

    Args:
        executor: runs the video's segments; None: processes of this machine, as many as the options' threads.
        forecast: told before and during the analysis how the time is spread; None: nothing is measured for it.
    """
    if resume and isinstance(out, Url):
        raise OutputError(
            f"{out}: an interrupted run leaves nothing at a URL that --resume could continue; leave out --resume"
        )
    prepare_face_model(options.face_model)  # before anything is written
    watch = Stopwatch()
    with ExitStack() as stack:
        place = stack.enter_context(run_folder_at(out, overwrite=overwrite))
        path = stack.enter_context(local_copy(video))
        folder = RunFolder(place or default_run_folder(path))
        reader = stack.enter_context(open_reader(path, options))
        stack.enter_context(FolderLock(folder.path, path.name))
        url = video if isinstance(video, Url) else None
        has_link = not (url or isinstance(out, Url))
        task = RunTask(path, folder, options, classifier, executor, progress, url, has_link, forecast)
        settings = settings_of_rows(path, classifier.checkpoint, options)
        stack.enter_context(_cleared_if_changed(folder, path, settings["video"]))
        warnings = [notice] if (notice := labels_notice(classifier, options.labels)) is not None else []
        if resume:
            folder.check_input(path)
            state = replace(read_resume_state(folder.resume, settings), settings=settings)
            folder.remove_outputs()  # those of other options
        else:
            state = ResumeState(settings, warnings=folder.prepare(path, overwrite=overwrite))
        if options.blur_faces:
            folder.clear_segments()  # an interrupted run without blurring left faces in them
        if state.finished is None:
            with watch.time("analysis"), task.workers() as executor:
                finished = _write_rows(task, executor, reader, state)
            if not finished.frames_decoded:
                folder.discard()
                raise nothing_in_range(path, reader, options)
            check_unchanged(path, settings["video"])
            state = replace(state, finished=finished)
            state.save(folder.resume)
        assert state.finished is not None
        folder.complete_rows()
        folder.segments.clear()
        warnings += [*state.warnings, *state.finished.warnings]
        return _write_outputs(task, reader.info, state, watch, warnings, command)


@contextmanager
def _cleared_if_changed(folder: RunFolder, video: Path, recorded: Mapping[str, Any]) -> Iterator[None]:
    """Empty the run folder where an error ends the run and the video is another one than was recorded."""
    try:
        yield
    except VideoError:
        if video.exists() and not has_content(video, recorded):
            folder.clear()
        raise


def _write_outputs(
    task: RunTask,
    info: VideoInfo,
    state: ResumeState,
    watch: Stopwatch,
    warnings: list[str],
    command: Sequence[str],
) -> Run:
    """Write what follows from frames.csv: the timeline, the exports, the annotated video, and run.json at the end."""
    assert state.finished is not None
    folder, options = task.folder, task.options
    measured = folder.read_measured()
    unknown = sorted(set(options.ignore) - set(measured.face_ids))
    if unknown:
        known = ", ".join(map(str, measured.face_ids)) or "none"
        warnings.append(f"--ignore: there is no face {', '.join(map(str, unknown))}; the faces are: {known}")
    table = Corrections().apply(measured, Corrections(ignore=options.ignore))
    folder.write_corrected(measured, table)
    timeline = build_timeline(
        table,
        smoothing=options.smoothing,
        min_episode=options.min_episode,
        source=info.path.name,
        video=linked_video(task.video, folder.path if task.has_link else None, options),
        duration=_duration(info, measured),
        fps=info.fps,
        start=options.start,
        end=options.end,
        has_annotated_video=options.annotate,
    )
    files = [folder.rows]
    with watch.time("timeline"):
        files += write_timeline(folder.path, timeline, options.exports, task.progress)
    film_checksum = None
    if options.annotate:
        check_unchanged(task.video, state.settings["video"])
        frames = state.finished.frames_decoded
        overlay = overlay_of(timeline, measured, options)
        with watch.time("annotation"), task.workers() as executor:
            about_film = write_film(
                video_range(task.video, options),
                overlay,
                folder.film,
                executor,
                lambda done: task.progress("annotating", done, frames),
                task.url,
            )
        warnings += [warning for warning in about_film if warning not in warnings]
        files.append(folder.film)
        film_checksum = overlay.digest
    facts = run_facts(
        info=info,
        options=options,
        frames_decoded=state.finished.frames_decoded,
        checkpoint=task.classifier.checkpoint,
        labels=task.classifier.labels,
        settings={**state.settings, **settings_of_outputs(options)},
        timeline=timeline,
        seconds=watch.seconds,
        warnings=warnings,
        command=command,
        film_checksum=film_checksum,
    )
    files.append(folder.write_facts(facts))
    folder.resume.unlink()
    folder.clear_segments()
    for warning in warnings:
        LOG.warning("%s: %s", task.video, warning)
    return Run(folder.path, tuple(files), timeline, tuple(warnings))


def _duration(info: VideoInfo, table: FrameTable) -> float:
    """Return the length of the video in seconds: its header's, or the end of its last picture if later."""
    declared = info.duration or 0.0
    shown = float((table.timestamp + np.nan_to_num(table.duration)).max()) if len(table) else 0.0
    return shown if shown > declared + ROUNDING else declared


def _write_rows(task: RunTask, executor: Executor, reader: FileSource, state: ResumeState) -> Finished:
    """Write frames.partial.csv; segments that an interrupted run has finished are not analysed again."""
    video, folder, options = task.video, task.folder, task.options
    segments = [] if state.in_one_pass else plan(video, reader.info, options)
    if not segments and not state.in_one_pass:
        folder.segments.clear()  # workers finish segments in any order: one pass cannot go on after the last one
    replace(state, in_one_pass=not segments).save(folder.resume)
    forecast = RunForecast(
        video_range(video, options), reader.info, segments, executor.workers, options.annotate, task.forecast
    )
    if segments:
        try:
            total = sum(segment.pictures for segment in segments)

            def report_sum(pictures: int) -> None:
                task.progress("analysing", pictures, total)
                forecast.update(done.seconds_a_picture)

            done = PicturesDone(report_sum)
            parts = faces_by_workers(
                video, reader.info, segments, folder.segments, options, executor, task.classifier, done, task.url
            )
            with closing(parts) as found:
                warnings = _write_tracked(task, found)
            return Finished(total, (*reader.warnings, *warnings))
        except IndexMismatch as mismatch:
            LOG.info("%s is decoded in one pass: %s", video, mismatch)
            folder.segments.clear()
            replace(state, in_one_pass=True).save(folder.resume)

    def report(seconds: float = 0.0, processor: float = 0.0) -> None:
        task.progress("analysing", reader.frames_decoded, reader.frames_expected)
        forecast.update_in_one_pass(reader.frames_decoded, seconds, processor)

    warnings = _write_tracked(task, faces_in_one_pass(reader, folder.segments, options, task.classifier, report))
    report()
    return Finished(reader.frames_decoded, (*reader.warnings, *warnings))


def _write_tracked(task: RunTask, parts: Iterable[list[FrameFaces]]) -> tuple[str, ...]:
    """Write frames.partial.csv from the faces of a video's segments, in order; return warnings."""
    limit = FaceLimit(task.options)
    with FramesWriter(task.folder.rows) as rows:  # to frames.partial.csv, which is renamed when the run is complete
        for result in assign_ids(chain.from_iterable(parts), FaceTracker(), limit):
            rows.write(result)
    return limit.warnings
