"""Writes runs whose video or folder lies at a URL: copies the video here, writes the folder here and uploads it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from ferwatch.errors import FerwatchError, OutputError
from ferwatch.export.registry import run_files
from ferwatch.models.classifier import Classifier
from ferwatch.pipeline.analyze import Run, write_run
from ferwatch.pipeline.executors import Executor
from ferwatch.pipeline.forecast import Forecast
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.progress import Progress, no_progress
from ferwatch.pipeline.run_folder import RUN_FILES
from ferwatch.utils.url import Url, local_copy

FACTS = "run.json"
"""Uploaded last: a folder at a URL that holds it is whole."""


def write_run_at(
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
    """Analyse a video, write its run folder, and return the Run; see write_run.

    A video at a URL is copied to a temporary file. A folder at a URL is written to a temporary folder, which the Run
    names, and uploaded at the end. Raises OutputError where such a folder holds a run and `overwrite` is not given, and
    where a run in it is to be resumed.
    """
    if resume and isinstance(out, Url):
        raise OutputError(
            f"{out}: an interrupted run leaves nothing at a URL that --resume could continue; leave out --resume"
        )
    with run_folder_at(out, overwrite=overwrite) as folder, local_copy(video) as path:
        return write_run(
            path,
            folder,
            options,
            classifier,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
            command=command,
            executor=executor,
            url=video if isinstance(video, Url) else None,
            has_link=not isinstance(video, Url) and not isinstance(out, Url),
            forecast=forecast,
        )


@contextmanager
def run_folder_at(out: Path | Url | None, *, overwrite: bool, fetch: bool = False) -> Iterator[Path | None]:
    """Yield a run folder; one at a URL is a temporary folder, which is uploaded at the end and removed.

    If the upload fails, the temporary folder stays, and the error names it.

    Args:
        fetch: the temporary folder begins with the files of the run that is at the URL.
    """
    if not isinstance(out, Url):
        yield out
        return
    if not overwrite and (out / FACTS).exists():
        raise OutputError(f"{out} holds a run; give --overwrite to replace it, or another folder with --out")
    base = Path(mkdtemp(prefix="ferwatch-"))
    folder = base / (out.name or "run")
    try:
        folder.mkdir()
        for name in own_files(out) if fetch else ():
            (out / name).download(folder / name)
        yield folder
    except BaseException as error:
        shutil.rmtree(base, ignore_errors=True)
        if isinstance(error, FerwatchError):
            raise type(error)(str(error).replace(str(folder), str(out))) from error
        raise
    try:
        upload_run(folder, out)
    except FerwatchError as error:
        raise OutputError(f"{error}; the whole run is in {folder}: upload it from there, {FACTS} last") from error
    shutil.rmtree(base, ignore_errors=True)


def upload_run(folder: Path, out: Url) -> None:
    """Upload the files of a run folder in place of a run that is there; run.json goes first and comes last."""
    before = own_files(out)
    out.remove(before & {FACTS})
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    for name in files:
        if name != FACTS:
            (out / name).upload(folder / name)
    out.remove(sorted(before - {*files, FACTS}))
    (out / FACTS).upload(folder / FACTS)


def own_files(out: Url) -> set[str]:
    """Return the names of those files in a folder at a URL that a run may have written."""
    return {name for name in out.files() if name in {*RUN_FILES, *run_files()}}
