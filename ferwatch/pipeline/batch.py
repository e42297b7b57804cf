"""Many videos: a run folder for each, one table of them all, and a file that says how each went."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from glob import glob
from pathlib import Path
from typing import Any

from ferwatch.errors import DataError, FerwatchError, OutputError
from ferwatch.export.combined import write_all_frames
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.pipeline.analyze import open_reader, settings_of_outputs, settings_of_rows, write_run
from ferwatch.pipeline.candidates import plan
from ferwatch.pipeline.executors import Executor, WorkerLost
from ferwatch.pipeline.manifest import ManifestEntry, read_manifest, save_manifest
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.resume import ResumeState, read_resume_state
from ferwatch.pipeline.run_folder import RunFolder
from ferwatch.pipeline.segment import SegmentTask, load_classifier, run_segment
from ferwatch.utils.files import make_folder
from ferwatch.utils.threads import use_single_threaded_libraries

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".ogv", ".3gp", ".mxf", ".dv", ".gif"),
)
"""Suffixes of videos in a folder; a list or a pattern may name others."""
SECONDS_BETWEEN = 2.0
"""Shortest time in seconds between two writings of batch.json while a batch is running."""


@dataclass(frozen=True)
class Job:
    """One video and the folder that its run goes to."""

    video: Path
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """Outcome of one video."""

    cause: str | None = None
    """Reason why it failed; None: it is done."""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


MIN_SPLIT_SECONDS = 300.0
"""Videos at least this long are analysed by several workers, a segment each."""


def find_videos(sources: Iterable[str]) -> list[Path]:
    """The videos that folders (searched to their depths), lists (a text file with a path a line, relative to the list)
    and patterns name: absolute, without repeats, each source's in alphabetical order or that of the list.

    Raises DataError where a source names none or is no text.
    """
    videos: dict[Path, None] = {}
    for source in sources:
        path = Path(source)
        if path.is_dir():
            found = sorted(f for f in path.rglob("*") if f.suffix.lower() in VIDEO_SUFFIXES and f.is_file())
            found = [f for f in found if not _is_output(f)]
        elif path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
            found = [path]
        elif path.is_file():
            try:
                lines = path.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as cause:
                raise DataError(f"{path} is no list of videos, one path a line: {cause}") from None
            found = [path.parent / line.strip() for line in lines if line.strip()]
        else:
            found = sorted(Path(f) for f in glob(source, recursive=True) if Path(f).is_file())  # noqa: PTH207  (absolute)
        if not found:
            raise DataError(f"{source}: no videos there; name a folder, a list of paths or a pattern")
        videos |= dict.fromkeys(Path(os.path.abspath(f)) for f in found)  # noqa: PTH100  (Path.absolute keeps "..")
    return list(videos)


def _is_output(video: Path) -> bool:
    """Return whether a file belongs to a run or is hidden, and so is no recording."""
    return video.name.startswith(".") or (video.name == "annotated.mp4" and (video.parent / "frames.csv").exists())


def run_batch(
    videos: Sequence[Path],
    out: Path,
    options: AnalysisOptions,
    executor: Executor,
    *,
    overwrite: bool = False,
    report: Callable[[ManifestEntry, int], None] = lambda entry, finished: None,
) -> list[ManifestEntry]:
    """Analyses what is missing of these videos, and writes all-frames.csv and batch.json.

    A video is not missing where its folder holds a finished run with the same settings; an interrupted one is
    continued. A video that fails is recorded, and the others go on. Returns an entry for each of `videos`.

    Args:
        out: the batch's folder. Videos given earlier to the same one stay in it.
        overwrite: replace runs that were made with other settings.
        report: called with each entry as it is done or has failed, and how many of `videos` are by then.
    Raises WeightsError, OutputError where the folder cannot be written or holds runs with other settings, and what the
    executor raises where it cannot work at all.
    """
    # Loaded once here too, so that what no video could be analysed with stops the batch before it begins.
    checkpoint = load_classifier(options).checkpoint
    make_folder(out)
    file = out / "batch.json"
    everything = read_manifest(file)
    by_video = {entry.video: entry for entry in everything}
    taken = {entry.run for entry in everything}
    entries = []
    for video in videos:
        if (entry := by_video.get(str(video))) is None:
            entry = ManifestEntry(str(video), _free_name(video.stem, taken))
            taken.add(entry.run)
            everything.append(entry)
        entries.append(entry)

    others = []
    for entry in entries:
        state = _state(out / entry.run, Path(entry.video), options, checkpoint)
        if state == "other":
            others.append(entry.run)
        entry.state, entry.cause = ("done", None) if state == "done" else ("pending", None)
    if others and not overwrite:
        raise OutputError(
            f"{out / others[0]} and {len(others) - 1} more in {out} hold runs with other settings, or of videos that "
            "have changed since; give --overwrite to replace them, or another folder with --out"
        )
    save_manifest(everything, file)
    todo = {Job(Path(e.video), out / e.run): e for e in entries if e.state == "pending"}
    finished = len(entries) - len(todo)
    saved_at = time.monotonic()
    try:
        with closing(_run_jobs(list(todo), replace(options, threads=1), checkpoint, executor)) as outcomes:
            for job, outcome in outcomes:
                entry = todo[job]
                entry.state = "failed" if outcome.cause else "done"
                entry.cause, entry.warnings, entry.seconds = outcome.cause, outcome.warnings, outcome.seconds
                finished += 1
                report(entry, finished)
                if time.monotonic() - saved_at > SECONDS_BETWEEN:
                    save_manifest(everything, file)
                    saved_at = time.monotonic()
    finally:
        save_manifest(everything, file)
    tables = {e.run: out / e.run / "frames.csv" for e in everything if e.state == "done"}
    write_all_frames(out, {name: rows for name, rows in tables.items() if rows.exists()})
    return entries


def _run_jobs(
    jobs: Sequence[Job], options: AnalysisOptions, checkpoint: Checkpoint, executor: Executor
) -> Generator[tuple[Job, Outcome], None, None]:
    """Yield each job with its outcome as it ends: first short videos, and the segments of long ones, side by side;
    then the long videos, whose faces are found by then."""
    split = {job: _split(job, options, checkpoint) for job in jobs} if executor.workers > 1 else {}
    segments = [task for tasks in split.values() for task in tasks]
    short = [job for job in jobs if not split.get(job)]
    first: list[Job | SegmentTask] = [*segments, *short]
    last: list[Job | SegmentTask] = [job for job in jobs if split.get(job)]
    for tasks in (first, last):
        for task, outcome in executor.run(partial(_run_task, options=options), tasks):
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
    """The segments of a long video that are still to be analysed; none of one that has to be analysed as a whole."""
    try:
        with open_reader(job.video, options) as reader:
            info = reader.info
        if (info.duration or 0.0) < MIN_SPLIT_SECONDS:
            return []
        segments = plan(job.video, info, options)
        folder = RunFolder(job.folder)
        settings = settings_of_rows(job.video, checkpoint, options)
        if not _interrupted(job.folder, settings):
            folder.prepare(overwrite=True)
            ResumeState(settings).save(folder.resume)
        elif read_resume_state(folder.resume, settings).in_one_pass:
            return []
        finished = set(folder.segments.numbers())
        return [
            SegmentTask(job.video, info, segment, folder.segments.path, options)
            for segment in segments
            if segment.number not in finished
        ]
    except (FerwatchError, OSError):
        return []  # the job itself reports it


def run_job(job: Job, options: AnalysisOptions) -> Outcome:
    """Analyses one video in this process, a worker of a batch. Never raises an Exception."""
    started = time.monotonic()
    try:
        warnings, error_line = _run_job(job, options), None
    except FerwatchError as error:
        error_line, warnings = str(error), ()
    except Exception as error:  # whatever it is, the other videos go on
        error_line, warnings = f"{job.video}: unexpected {type(error).__name__}: {error}", ()
    return Outcome(error_line, warnings, round(time.monotonic() - started, 3))


def _run_job(job: Job, options: AnalysisOptions) -> tuple[str, ...]:
    classifier = _classifier(replace(options, exports=()))
    resume = job.video.exists() and _interrupted(
        job.folder, settings_of_rows(job.video, classifier.checkpoint, options)
    )
    return write_run(job.video, job.folder, options, classifier, resume=resume, overwrite=not resume).warnings


@lru_cache(maxsize=1)
def _classifier(options: AnalysisOptions) -> Classifier:
    """The classifier, loaded once in each worker."""
    use_single_threaded_libraries()
    return load_classifier(options)


def _interrupted(folder: Path, settings: dict[str, Any]) -> bool:
    """Return whether the folder holds a run that can be continued with these settings."""
    try:
        read_resume_state(RunFolder(folder).resume, settings)
    except OutputError:
        return False
    return True


def _state(path: Path, video: Path, options: AnalysisOptions, checkpoint: Checkpoint) -> str:
    """ "done", "missing" (or interrupted), or "other": a run that these settings must not replace unasked."""
    folder = RunFolder(path)
    if not video.exists() or not (folder.facts.exists() or folder.resume.exists()):
        return "missing"
    rows = settings_of_rows(video, checkpoint, options)
    if folder.facts.exists():
        same = folder.read_facts().get("settings") == {**rows, **settings_of_outputs(options)}
        return "done" if same and folder.rows.exists() else "other"
    return "missing" if _interrupted(path, rows) else "other"


def _free_name(stem: str, taken: set[str]) -> str:
    """The stem, or with -2, -3 and so on; bytes of a file name that are no UTF-8 are spelt out."""
    name = stem = stem.encode("utf-8", "backslashreplace").decode()
    number = 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
