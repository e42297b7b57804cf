"""The timeline of a finished run, made again from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ferwatch.errors import DataError
from ferwatch.export.registry import write_timeline
from ferwatch.pipeline.run_folder import RunFolder
from ferwatch.timeline.build import build_timeline
from ferwatch.timeline.smoothing import SMOOTHING_SECONDS
from ferwatch.timeline.table import read_frames_csv
from ferwatch.utils.files import make_folder


def rebuild(run: Path, *, smoothing: float | None, exports: Sequence[str], out: Path | None) -> list[Path]:
    """Writes episodes.csv, timeline.png and the exports of a run folder, or of a frames.csv on its own, again.

    With the run's own smoothing (None) the files are those that the run wrote. Returns their paths.
    Raises DataError where there are no rows to read, OutputError where a file cannot be written.
    """
    folder = RunFolder(run if run.is_dir() else run.parent)
    rows = folder.rows if run.is_dir() else run
    if not rows.exists() and folder.partial_rows.exists():
        raise DataError(
            f"{folder.path} holds an interrupted run; finish it with --resume, or name {folder.partial_rows}"
        )
    table = read_frames_csv(rows)
    source, media, duration, fps = "", "", 0.0, 0.0
    if folder.facts.exists():
        facts = folder.read_facts()
        source = Path(facts["video"]["file"]).name
        media, duration, fps = facts["timeline"]["media"], facts["timeline"]["duration"], facts["video"]["fps"]
        smoothing = facts["timeline"]["smoothing"] if smoothing is None else smoothing
    timeline = build_timeline(
        table,
        smoothing=SMOOTHING_SECONDS if smoothing is None else smoothing,
        source=source,
        video=media,
        duration=duration,
        fps=fps,
    )
    make_folder(out or folder.path)
    return write_timeline(out or folder.path, timeline, exports)
