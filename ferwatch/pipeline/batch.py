"""run_batch: analyses many videos into run folders, a combined table and batch.json."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ferwatch.errors import DataError, FerwatchError, OutputError
from ferwatch.export.combined import write_all_frames
from ferwatch.faces.model_file import prepare_face_model
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.executors import Executor, WorkerLost
from ferwatch.pipeline.found_faces import plan
from ferwatch.pipeline.lock import FolderLock
from ferwatch.pipeline.manifest import ManifestEntry, match_entries, read_manifest, save_manifest
from ferwatch.pipeline.opening import open_reader
from ferwatch.pipeline.options import AnalysisOptions, loading_options, with_absolute_paths
from ferwatch.pipeline.rebuild import rebuild
from ferwatch.pipeline.remote import run_folder_at
from ferwatch.pipeline.resume import ResumeState, read_resume_state
from ferwatch.pipeline.run_folder import RunFolder
from ferwatch.pipeline.segment import SegmentTask, kept_classifier, load_classifier, run_segment
from ferwatch.pipeline.settings import find_difference, settings_of_outputs, settings_of_rows
from ferwatch.pipeline.video_files import FoundVideos
from ferwatch.utils.files import make_folder
from ferwatch.utils.url import Url

SECONDS_BETWEEN_SAVES = 2.0
"""Shortest time between two writes of batch.json while a batch runs."""


@dataclass(frozen=True)
class Job:
    """One video and the folder that its run goes to."""

    video: Path | Url
    folder: Path | Url
    missing_exports: tuple[str, ...] = ()
    """Exports that a finished run lacks, and that are all that is to be done; empty: the video is to be analysed."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of one video."""

    cause: str | None = None
    """Reason why it failed; None: it is done."""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    """Seconds of wall time that the video took."""


MIN_SPLIT_SECONDS = 300.0
"""Videos at least this long are analysed by several workers, a segment each."""


@dataclass(frozen=True)
class BatchResult:
    """Result of a batch."""

    entries: list[ManifestEntry]
    """Entry of each video of this call, in the order of the videos."""
    absent: list[ManifestEntry]
    """Videos of earlier calls that are not among those of this one; their run folders stay."""


def run_batch(
    found: FoundVideos,
    out: Path,
    options: AnalysisOptions,
    executor: Executor,
    *,
    overwrite: bool = False,
    report: Callable[[ManifestEntry, int], None] = lambda entry, finished: None,
    url: Url | None = None,
) -> BatchResult:
    """Analyse those videos that are not done yet, and write all-frames.csv and batch.json.

    A video is done where its folder holds a finished run with the same settings; an interrupted one is
    continued, and where only exports are missing they are added. A video that fails is recorded, and the others go on.
    The combined table holds the videos of this call alone.

    Args:
        out: the batch's folder.
        overwrite: replace runs that were made with other settings.
        report: called with each entry as it is done or has failed, and how many of the videos are by then.
        url: where runs are written to and batch.json is kept, if `out` is a temporary copy of what the batch needs.
    Raises WeightsError, OutputError where the folder cannot be written or holds runs with other settings, and what the
    executor raises where it cannot work at all.
    """
    # Loaded here too, so that a missing or damaged checkpoint stops the batch before it begins.
    checkpoint = load_classifier(options).checkpoint
    prepare_face_model(options.face_model)
    if executor.is_remote:
        out, options = out.absolute(), with_absolute_paths(options)
    make_folder(out)
    file, table = out / "batch.json", out / "all-frames.csv"
    if table.exists() and not file.exists() and not overwrite:
        raise OutputError(f"{table} is there, but no batch: name another folder with --out, or give --overwrite")
    place: Path | Url = url or out
    everything = read_manifest(file)
    entries = match_entries(found.videos, everything)
    absent = [entry for entry in everything if not any(entry is other for other in entries)]
    for entry in absent:
        entry.state, entry.cause = "absent", None
    todo: dict[Job, ManifestEntry] = {}
    different: list[tuple[Path | Url, str]] = []
    unreadable: list[ManifestEntry] = []
    for entry, video in zip(entries, found.videos, strict=True):
        try:
            state, missing_exports, difference = _state(out / entry.run, video.path, options, checkpoint)
        except OSError as error:
            entry.state, entry.cause = "failed", f"{entry.video} cannot be read: {error.strerror}"
            unreadable.append(entry)
            continue
        if state == "different":
            different.append((place / entry.run, difference))
        entry.state, entry.cause = ("done", None) if state == "done" else ("pending", None)
        if state != "done":
            todo[Job(video.path, place / entry.run, missing_exports)] = entry
    if different and not overwrite:
        folder, difference = different[0]
        others = f" (and so do {len(different) - 1} more in {place})" if len(different) > 1 else ""
        raise OutputError(
            f"{folder} holds another run{others}: {difference}; give --overwrite to replace it and its corrections, "
            "the options that it was made with, or another folder with --out"
        )
    passed_over = [path.name for path in found.passed_over]

    def save() -> None:
        save_manifest(everything, passed_over, file)
        if url is not None:
            (url / file.name).upload(file)

    save()
    finished = len(entries) - len(todo)
    for entry in unreadable:
        report(entry, finished)
    saved_at = time.monotonic()
    try:
        with closing(_run_jobs(list(todo), replace(options, threads=1), checkpoint, executor)) as outcomes:
            for job, outcome in outcomes:
                entry = todo[job]
                entry.state = "failed" if outcome.cause else "done"
                entry.warnings, entry.seconds = outcome.warnings, outcome.seconds
                if url is not None and not outcome.cause:
                    make_folder(out / entry.run)
                    (url / entry.run / "frames.csv").download(out / entry.run / "frames.csv")
                # A batch's folder does not tell where on the disk the videos lay.
                entry.cause = outcome.cause and outcome.cause.replace(str(job.video), entry.video)
                finished += 1
                report(entry, finished)
                if time.monotonic() - saved_at > SECONDS_BETWEEN_SAVES:
                    save()
                    saved_at = time.monotonic()
    finally:
        save()
    done = [entry for entry in entries if entry.state == "done" and (out / entry.run / "frames.csv").exists()]
    damaged = write_all_frames(out, {entry.run: (out / entry.run / "frames.csv", entry.video) for entry in done})
    for entry in done:
        if entry.run in damaged:
            remedy = f"remove the folder {out / entry.run} and call batch again"
            entry.state, entry.cause = "failed", f"{entry.video}: {damaged[entry.run]}; {remedy}"
            report(entry, finished)
            save()
    return BatchResult(entries, absent)


def _run_jobs(
    jobs: Sequence[Job], options: AnalysisOptions, checkpoint: Checkpoint, executor: Executor
) -> Generator[tuple[Job, Outcome], None, None]:
    """Yield each job with its outcome as it ends: first short videos and the segments of long ones in
    parallel, then the long videos, whose segments are finished by then."""
    split = {job: _split(job, options, checkpoint) for job in jobs} if executor.workers > 1 else {}
    segments = [task for tasks in split.values() for task in tasks]
    short = [job for job in jobs if not split.get(job)]
    first: list[Job | SegmentTask] = [*segments, *short]
    last: list[Job | SegmentTask] = [job for job in jobs if split.get(job)]
    for tasks in (first, last):
        outcomes: Iterator[tuple[Job | SegmentTask, Outcome | WorkerLost | None]]
        outcomes = executor.run(partial(_run_task, options=options), tasks)
        for task, outcome in outcomes:
            if isinstance(task, SegmentTask):
                continue  # a segment that failed is tried again, and reported, with its video
            if isinstance(outcome, WorkerLost):
                outcome = Outcome(f"{task.video}: {outcome.reason}")
            assert outcome is not None
            yield task, outcome


def _run_task(task: Job | SegmentTask, options: AnalysisOptions) -> Outcome | None:
    if isinstance(task, Job):
        return run_job(task, options)
    with suppress(Exception):
        run_segment(task)
    return None


def _split(job: Job, options: AnalysisOptions, checkpoint: Checkpoint) -> list[SegmentTask]:
    """Return the segments of a long video that are still to be analysed; none if it has to be analysed as a whole."""
    if job.missing_exports or options.blur_faces:  # segments that are saved show faces
        return []
    if isinstance(job.video, Url) or isinstance(job.folder, Url):  # one worker copies it and uploads the run
        return []
    try:
        with open_reader(job.video, options) as reader:
            info = reader.info
        if (info.duration or 0.0) < MIN_SPLIT_SECONDS:
            return []
        segments = plan(job.video, info, options)
        folder = RunFolder(job.folder)
        settings = settings_of_rows(job.video, checkpoint, options)
        if not _interrupted(job.folder, settings):
            with FolderLock(job.folder, job.video.name):
                ResumeState(settings, warnings=folder.prepare(job.video, overwrite=True)).save(folder.resume)
        elif read_resume_state(folder.resume, settings).in_one_pass:
            return []
        finished = set(folder.segments.finished())
        return [
            SegmentTask(job.video, info, segment, folder.segments.path, options)
            for segment in segments
            if segment.number not in finished
        ]
    except (FerwatchError, OSError):
        return []  # the job itself reports it


def run_job(job: Job, options: AnalysisOptions) -> Outcome:
    """Analyse one video in this process, a worker of a batch. Never raises an Exception."""
    started = time.monotonic()
    try:
        warnings, cause = _run_job(job, options), None
    except FerwatchError as error:
        cause, warnings = str(error), ()
    except Exception as error:  # an error of any kind must not stop the other videos
        cause, warnings = f"{job.video}: unexpected {type(error).__name__}: {error}", ()
    return Outcome(cause, warnings, round(time.monotonic() - started, 3))


def _run_job(job: Job, options: AnalysisOptions) -> tuple[str, ...]:
    if job.missing_exports:
        with run_folder_at(job.folder, overwrite=True, fetch=True) as path:
            assert path is not None
            rebuilt = rebuild(path, exports=job.missing_exports, threads=1)  # a worker has no workers of its own
            return (*RunFolder(path).read_facts()["warnings"], *rebuilt.notes)
    classifier = kept_classifier(loading_options(options))
    resume = (
        isinstance(job.folder, Path)
        and job.video.exists()
        and _interrupted(job.folder, settings_of_rows(job.video, classifier.checkpoint, options))
    )
    return write_run(job.video, job.folder, options, classifier, resume=resume, overwrite=not resume).warnings


def _interrupted(folder: Path, settings: dict[str, object]) -> bool:
    """Return whether the folder holds a run that can be continued with these settings."""
    try:
        read_resume_state(RunFolder(folder).resume, settings)
    except OutputError:
        return False
    return True


def _state(
    path: Path, video: Path | Url, options: AnalysisOptions, checkpoint: Checkpoint
) -> tuple[str, tuple[str, ...], str]:
    """Return the state of a run folder, the exports that it lacks if they are all that is missing, and the difference.

    The states are "done"; "lacks exports"; "missing", also for an interrupted run that can be continued; and
    "different", for a run with other settings or a damaged run.json, which is replaced only with `overwrite`. Raises
    OSError where the video cannot be read.
    """
    folder = RunFolder(path)
    if not video.exists() or not (folder.facts.exists() or folder.resume.exists()):
        return "missing", (), ""
    rows = settings_of_rows(video, checkpoint, options)
    if not folder.facts.exists():
        if _interrupted(path, rows):
            return "missing", (), ""
        return "different", (), "it was interrupted, and made with other options"
    try:
        before = folder.read_facts().get("settings")
    except DataError:
        before = None
    if not isinstance(before, dict):
        return "different", (), "its run.json is damaged"
    outputs = settings_of_outputs(options)
    exports = outputs.pop("exports")
    if difference := find_difference(before, {**rows, **outputs}):
        return "different", (), difference
    if not folder.rows.exists():
        return "different", (), "its frames.csv is missing"
    lacking = tuple(name for name in exports if name not in before.get("exports", ()))
    return ("lacks exports" if lacking else "done"), lacking, ""
