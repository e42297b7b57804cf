"""Finds the runs of a study's recordings, and analyses the videos that have none."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ferwatch.study.plan import Plan
from ferwatch.study.runs import FinishedRun, is_run, read_run
from ferwatch.utils.files import absolute_path

if TYPE_CHECKING:
    from ferwatch.pipeline.options import AnalysisOptions

StudyProgress = Callable[[int, int, str | None], None]
"""Progress callback: number of videos done, number of all videos, and why the last one failed (None: it did not)."""


def find_runs(
    plan: Plan, out: Path, options: AnalysisOptions | None, jobs: int | None, overwrite: bool, report: StudyProgress
) -> tuple[dict[Path, FinishedRun], list[str]]:
    """Returns the run of every path in the plan, and one line for each that failed.

    A path that is a run folder is read. A video is analysed into `out`/runs as `ferwatch batch` does it: a run with the
    same options is kept. options: None for the defaults.
    Raises OutputError where another study or batch is at work in `out`/runs, or it holds runs with other options and
    `overwrite` is not set.
    """
    paths = list(dict.fromkeys(recording.path for recording in plan.recordings))
    runs = {path: read_run(path) for path in paths if path.is_dir()}
    videos = [path for path in paths if path not in runs]
    failures: list[str] = []
    if videos:
        from ferwatch.pipeline.executors import LocalProcesses, cores
        from ferwatch.pipeline.options import AnalysisOptions
        from ferwatch.pipeline.remote_batch import run_batch_at
        from ferwatch.pipeline.video_files import FoundVideos, VideoFile, relative_name

        chosen = options or AnalysisOptions()
        chosen = replace(chosen, exports=tuple(dict.fromkeys((*chosen.exports, "html"))))  # study.html leads there
        absolute = [absolute_path(path) for path in videos]
        base = Path(os.path.commonpath([path.parent for path in absolute]))
        found = FoundVideos(tuple(VideoFile(path, relative_name(path, base)) for path in absolute), ())
        with LocalProcesses(jobs or cores()) as executor:
            result = run_batch_at(
                found,
                out / "runs",
                chosen,
                executor,
                overwrite=overwrite,
                report=lambda entry, finished: report(finished, len(videos), entry.cause),
            )
        for path, entry in zip(videos, result.entries, strict=True):
            folder = out / "runs" / entry.run
            if entry.cause is None and is_run(folder):
                runs[path] = read_run(folder)
            else:
                cause = entry.cause or f"{path.name} was not analysed"
                failures.append(cause if path.name in cause else f"{path.name}: {cause}")
    return runs, failures
