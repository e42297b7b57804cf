"""Registry of the export formats: name, file, and writer, which is imported when it is used.

Nothing heavy is imported here, so that the command line can list the formats at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ferwatch.errors import OutputError, shown
from ferwatch.utils.files import atomic_write

if TYPE_CHECKING:
    from ferwatch.timeline.model import Timeline

Writer = Callable[[Path, "Timeline"], None]
"""Writes one file. Raises OutputError where a library that it needs is missing."""


@dataclass(frozen=True)
class ExportFormat:
    """An export format: one file that is written from a timeline."""

    file: str
    """File name within the run folder."""
    writer: Writer | str
    """The function that writes the file, or "module:function" to import it when it is used."""

    def write(self, path: Path, timeline: Timeline) -> None:
        """Write the file to `path`. Raises OutputError where a library that it needs is missing."""
        writer = self.writer
        if isinstance(writer, str):
            module, function = writer.split(":")
            writer = getattr(import_module(module), function)
        writer(path, timeline)


REQUIRED_EXPORTS = (
    ExportFormat("episodes.csv", "ferwatch.export.tables:write_episodes_csv"),
    ExportFormat("timeline.png", "ferwatch.export.timeline_plot:write_png"),
)
"""Files that every run writes after its rows."""

EXPORTS: dict[str, ExportFormat] = {
    "json": ExportFormat("timeline.json", "ferwatch.export.tables:write_json"),
    "parquet": ExportFormat("frames.parquet", "ferwatch.export.tables:write_parquet"),
    "vtt": ExportFormat("annotated.vtt", "ferwatch.export.subtitles:write_vtt"),
    "srt": ExportFormat("annotated.srt", "ferwatch.export.subtitles:write_srt"),
    "eaf": ExportFormat("episodes.eaf", "ferwatch.export.annotation_tools:write_eaf"),
    "tsv": ExportFormat("episodes.tsv", "ferwatch.export.annotation_tools:write_tsv"),
    "boris": ExportFormat("episodes.boris", "ferwatch.export.annotation_tools:write_boris"),
    "html": ExportFormat("timeline.html", "ferwatch.export.html_page:write_html"),
}
"""Format of --export -> its file and writer. Subtitles are named so that players find them beside annotated.mp4."""


def register(name: str, file: str, writer: Writer | str) -> None:
    """Add an export format, which `exports=[name]` then writes.

    Args:
        name: what `exports` calls the format.
        file: its file name within the run folder.
        writer: called with the path to write and the Timeline; or "module:function", imported when it is used.
    Raises OutputError where the name or the file is taken.
    """
    taken = {export.file for export in (*REQUIRED_EXPORTS, *EXPORTS.values())}
    if name in EXPORTS or file in taken or Path(file).name != file:
        raise OutputError(f"cannot register the export {name} ({file}): the name or the file is taken or not allowed")
    EXPORTS[name] = ExportFormat(file, writer)


def run_files() -> list[str]:
    """Return the names of all files that `write_timeline` may write into a run folder."""
    return [export.file for export in (*REQUIRED_EXPORTS, *EXPORTS.values())]


def write_timeline(
    folder: Path,
    timeline: Timeline,
    exports: Iterable[str] = (),
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> list[Path]:
    """Write episodes.csv, timeline.png and these exports into a run folder; each appears whole or not at all.

    Returns their paths. Raises OutputError where a format is unknown or a file cannot be written.
    """
    names = list(dict.fromkeys(exports))
    unknown = [name for name in names if name not in EXPORTS]
    if unknown:
        raise OutputError(f"there is no export {shown(unknown[0])}; there are {', '.join(EXPORTS)}")
    formats = (*REQUIRED_EXPORTS, *(EXPORTS[name] for name in names))
    for number, export in enumerate(formats, 1):
        with atomic_write(folder / export.file) as temp_path:
            export.write(temp_path, timeline)
        progress("timeline", number, len(formats))
    return [folder / export.file for export in formats]
