"""What a run writes after its rows: episodes.csv, timeline.png, and the exports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ferwatch.export.annotation_tools import write_boris, write_eaf, write_tsv
from ferwatch.export.html_page import write as write_page
from ferwatch.export.subtitles import write_srt, write_vtt
from ferwatch.export.tables import write_episodes_csv, write_json, write_parquet
from ferwatch.export.timeline_plot import write_png
from ferwatch.timeline.model import Timeline
from ferwatch.utils.files import atomic_write

Writer = Callable[[Path, Timeline], None]
"""Writes one file. Raises OutputError where a library that it needs is missing."""

ALWAYS: dict[str, Writer] = {"episodes.csv": write_episodes_csv, "timeline.png": write_png}
"""File name -> how it is written, of what every run writes."""

EXPORTS: dict[str, tuple[str, Writer]] = {
    "json": ("timeline.json", write_json),
    "parquet": ("frames.parquet", write_parquet),
    "vtt": ("annotated.vtt", write_vtt),
    "srt": ("annotated.srt", write_srt),
    "eaf": ("episodes.eaf", write_eaf),
    "tsv": ("episodes.tsv", write_tsv),
    "boris": ("episodes.boris", write_boris),
    "html": ("timeline.html", write_page),
}
"""Format of --export -> its file name and how it is written. Subtitles are named so that players find them."""


def write_timeline(folder: Path, timeline: Timeline, exports: Iterable[str] = ()) -> list[Path]:
    """Writes episodes.csv, timeline.png and these exports into a run folder; each appears whole or not at all.

    Returns their paths. Raises OutputError where one cannot be written.
    """
    files = {**ALWAYS, **dict(EXPORTS[name] for name in exports)}
    for name, write in files.items():
        with atomic_write(folder / name) as temp_path:
            write(temp_path, timeline)
    return [folder / name for name in files]
