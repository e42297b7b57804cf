"""Reads and writes batch.json: the videos of a batch and their states."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ferwatch.errors import FerwatchError, OutputError
from ferwatch.pipeline.video_files import BATCH_FILES, VideoFile
from ferwatch.utils.files import atomic_write
from ferwatch.utils.url import fingerprint_of


@dataclass
class ManifestEntry:
    """One video in batch.json."""

    video: str
    """Path relative to the folder, list or pattern that named it."""
    run: str
    """Name of the video's run folder, and of the video in the combined table."""
    content: Mapping[str, Any] | None = None
    """Fingerprint of the video's content (utils.files.fingerprint); None: it could not be read."""
    state: str = "pending"
    """pending, done, failed, or absent: not among the videos of the last call."""
    cause: str | None = None
    """Reason why the video failed; None in every other state."""
    warnings: Sequence[str] = ()
    seconds: float = 0.0


def match_entries(videos: Sequence[VideoFile], entries: list[ManifestEntry]) -> list[ManifestEntry]:
    """Return the entry of each video, in the order of the videos; new ones are added to `entries`.

    A video is known by name and content, else by content, wherever it lies now, else by its name.
    """
    contents = []
    for video in videos:
        content = None
        with suppress(OSError, FerwatchError):
            content = fingerprint_of(video.path)
        contents.append(content)
    matched: dict[int, ManifestEntry] = {}
    free = list(entries)

    def match(number: int, wanted: ManifestEntry | None) -> None:
        if wanted is not None:
            matched[number] = wanted
            free.remove(wanted)

    names = {video.name for video in videos}
    for number, (video, content) in enumerate(zip(videos, contents, strict=True)):
        match(number, next((e for e in free if e.video == video.name and e.content == content), None))
    for number, content in enumerate(contents):
        if number not in matched and content is not None:
            match(number, next((e for e in free if e.content == content and e.video not in names), None))
    for number, video in enumerate(videos):
        if number not in matched:
            match(number, next((e for e in free if e.video == video.name), None))
    # Some file systems take Talk and talk for the same name.
    taken = {entry.run.casefold() for entry in entries}.union(BATCH_FILES)
    for number, video in enumerate(videos):
        if number not in matched:
            matched[number] = ManifestEntry(video.name, _free_name(Path(video.name).stem, taken))
            taken.add(matched[number].run.casefold())
            entries.append(matched[number])
        matched[number].video, matched[number].content = video.name, contents[number]
    return [matched[number] for number in range(len(videos))]


def read_manifest(file: Path) -> list[ManifestEntry]:
    """Return the entries of a batch.json; none where there is no such file. Raises OutputError where it is damaged."""
    if not file.exists():
        return []
    try:
        return [ManifestEntry(**values) for values in json.loads(file.read_text(encoding="utf-8"))["videos"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise OutputError(f"{file} cannot be read ({error}); remove it, or name another folder with --out") from None


def save_manifest(entries: Sequence[ManifestEntry], passed_over: Sequence[str], file: Path) -> None:
    """Write batch.json. Raises OutputError where that cannot be done."""
    states = ("done", "failed", "pending", "absent")
    counts = {state: sum(entry.state == state for entry in entries) for state in states}
    content = {
        "counts": counts,
        "videos": [asdict(entry) for entry in entries],
        "passed_over": list(passed_over),
    }
    with atomic_write(file) as temp_path:
        temp_path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8", "backslashreplace")


def _free_name(stem: str, taken: set[str]) -> str:
    """Return the stem, with -2, -3 and so on where it is among the names `taken`, in small letters."""
    name, number = stem, 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
