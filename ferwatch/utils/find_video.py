"""find_video: finds the video that a run analysed, by its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ferwatch.errors import VideoError
from ferwatch.utils.files import fingerprint

FILM = "annotated.mp4"
"""Name of the annotated video in a run folder."""


def find_video(folder: Path, facts: Mapping[str, Any]) -> Path | None:
    """Return the video that a run analysed, known by its content; None where it is not found.

    It is looked for where run.json links to it, in the folder that holds the run folder, and in the working directory:
    under its own name first, then under any other. A run that does not record the content of its video has only the
    file that it links to.

    Args:
        folder: the run folder.
        facts: contents of run.json.
    """
    recorded = recorded_content(facts)
    linked = folder / str((facts.get("timeline") or {}).get("media") or "")
    if recorded is None:
        return linked if linked.is_file() and linked.name != FILM else None
    name = Path(str((facts.get("video") or {}).get("file", ""))).name
    return next(
        (file for file in _candidates(linked, folder.resolve().parent, name) if has_content(file, recorded)), None
    )


def recorded_content(facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what run.json records of the video's content; None: nothing, as in runs of early versions."""
    recorded = (facts.get("settings") or {}).get("video")
    return recorded if isinstance(recorded, Mapping) and "sha256_of_parts" in recorded else None


def has_content(file: Path, recorded: Mapping[str, Any]) -> bool:
    """Return whether a file has the size and the checksum that are recorded, in run.json for instance."""
    try:
        return file.stat().st_size == recorded.get("bytes") and all(
            recorded.get(name) == value for name, value in fingerprint(file).items()
        )
    except OSError:
        return False


def check_unchanged(file: Path, recorded: Mapping[str, Any]) -> None:
    """Raise VideoError where a file does not have the content that was recorded before it was read.

    Args:
        recorded: as `fingerprint` returns it.
    """
    if not has_content(file, recorded):
        raise VideoError(f"{file} changed while it was read; run the command again once it is complete")


def _candidates(linked: Path, beside: Path, name: str) -> Iterator[Path]:
    """Yield the files that may be the video, those of its name first."""
    yield from (linked, beside / name, Path(name))
    for folder in dict.fromkeys((linked.parent, beside, Path())):
        with suppress(OSError):
            yield from sorted(file for file in folder.iterdir() if file.is_file())
