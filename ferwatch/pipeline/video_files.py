"""Finds the videos of a batch in folders, lists and patterns."""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from ferwatch.errors import DataError
from ferwatch.pipeline.lock import LOCK_FILE
from ferwatch.utils.files import absolute_path
from ferwatch.utils.url import Url, parse_place
from ferwatch.video.container import is_video

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".ogv", ".3gp", ".mxf", ".dv", ".gif"),
)
"""A file that ends so counts as a video unopened, so that a damaged one is reported; others are opened to see."""
PATH_COLUMNS = ("file", "path", "video", "filename", "recording")
"""Names of the column with the videos in a list that is a CSV table."""
BATCH_FILES = ("batch.json", "all-frames.csv", "all-frames.parquet")
"""Files that a batch writes beside its run folders."""
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class VideoFile:
    """A video of a batch."""

    path: Path | Url
    """Absolute path of the file, or its URL."""
    name: str
    """Path relative to the folder, list or pattern that named it, with "/" between its parts."""


@dataclass(frozen=True)
class FoundVideos:
    """The videos and other files that were found for a batch."""

    videos: tuple[VideoFile, ...]
    passed_over: tuple[Path | Url, ...]
    """Files in folders that are no videos."""


def find_videos(sources: Iterable[str]) -> FoundVideos:
    """Return the videos that folders, lists and patterns name; all but lists may be URLs, and lists may hold URLs.

    Folders are searched with their subfolders. A list is a text file with one path a line, or a CSV table with a
    column of paths; paths are relative to the list.

    Each video is returned once, in alphabetical order or that of the list. In a folder every file that FFmpeg opens is
    a video, except hidden files and what ferwatch wrote; at a URL, every file with one of VIDEO_SUFFIXES.

    Raises DataError where a source names none or is no text.
    """
    videos: dict[Path | Url, VideoFile] = {}
    passed_over: dict[Path | Url, None] = {}
    for source in sources:
        path = parse_place(source)
        found: Sequence[Path | Url]
        if isinstance(path, Url):
            at_url, no_videos = _at_url(path)
            videos |= {video.path: video for video in at_url if video.path not in videos}
            passed_over |= dict.fromkeys(no_videos)
            continue
        if path.is_dir():
            base, (found, others) = path, _in_folder(path)
            passed_over |= dict.fromkeys(others)
        elif path.is_file() and (path.suffix.lower() in VIDEO_SUFFIXES or is_video(path)):
            base, found = path.parent, [path]
        elif path.is_file():
            base, found = path.parent, _read_list(path)
        else:
            base = _fixed_part(source)
            found = sorted(Path(f) for f in glob(source, recursive=True) if Path(f).is_file())  # noqa: PTH207  (absolute)
        if not found and "://" in source:
            raise DataError(
                f"{source} is an address: ferwatch fetches nothing from there; download the videos and name the folder"
            )
        if not found:
            raise DataError(f"{source}: no videos there; name a folder, a list of paths or a pattern")
        for file in found:
            if isinstance(file, Url):
                videos.setdefault(file, VideoFile(file, file.name))
                continue
            absolute = absolute_path(file)
            videos.setdefault(absolute, VideoFile(absolute, relative_name(absolute, base)))
    return FoundVideos(tuple(videos.values()), tuple(passed_over))


def _at_url(url: Url) -> tuple[list[VideoFile], list[Url]]:
    """Return the videos that a URL names: in a folder or by a pattern, and the folder's other files."""
    if has_magic(url.text):
        found, others = [VideoFile(match, match.name) for match in url.matches()], []
    elif url.is_folder():
        names = url.files()
        folders: dict[str, list[str]] = {}
        for name in names:
            folder, _, file = name.rpartition("/")
            folders.setdefault(folder, []).append(file)
        runs = [folder for folder, files in folders.items() if _is_run_folder(files)]
        own = {f"{folder}/{file}".lstrip("/") for folder, files in folders.items() for file in _batch_files(files)}
        shown = [
            name
            for name in names
            if name not in own
            and not any(part.startswith(".") for part in name.split("/"))
            and not any(name.startswith(f"{run}/") for run in runs)
        ]
        found = [VideoFile(url / name, name) for name in shown if _ends_like_video(name)]
        others = [url / name for name in shown if not _ends_like_video(name)]
    else:
        found, others = [VideoFile(url, url.name)] if _ends_like_video(url.name) and url.exists() else [], []
    if not found:
        raise DataError(
            f"{url}: no videos there; name a folder, a video or a pattern (at a URL a video is known by the end of its "
            "name, such as .mp4)"
        )
    return found, others


def _ends_like_video(name: str) -> bool:
    return name.lower().endswith(VIDEO_SUFFIXES)


def relative_name(file: Path, base: Path) -> str:
    """Return the path of a file below a folder, with "/" between its parts; its name where it lies elsewhere."""
    base = absolute_path(base)
    name = file.relative_to(base).as_posix() if file.is_relative_to(base) else file.name
    return name.encode("utf-8", "backslashreplace").decode()  # bytes of a file name that are no UTF-8 are spelt out


def _fixed_part(pattern: str) -> Path:
    """Return the folder in front of the first wildcard."""
    parts = Path(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _in_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the videos of a folder and its subfolders, and the other files."""
    videos: list[Path] = []
    others: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place)
        if _is_run_folder(files):
            continue
        own = _batch_files(files)
        for name in files:
            file = here / name
            if name.startswith(".") or name in own or not file.is_file():
                continue
            is_one = file.suffix.lower() in VIDEO_SUFFIXES or is_video(file)
            (videos if is_one else others).append(file)
    return sorted(videos), sorted(others)


def _batch_files(files: Sequence[str]) -> set[str]:
    """Return those of a folder's files that a batch wrote."""
    return set(BATCH_FILES).intersection(files) if "batch.json" in files else set()


def _is_run_folder(files: Sequence[str]) -> bool:
    return any(name in files for name in ("frames.csv", "frames.partial.csv", "resume.json", LOCK_FILE))


def _read_list(path: Path) -> list[Path | Url]:
    """Return the paths in a text file, one a line, or in a column of a CSV table."""
    lines = [line for line in _read_text(path).splitlines() if line.strip()]
    if not lines:
        return []
    delimiter = max(",;\t", key=lines[0].count)
    header = [cell.strip().strip('"').lower() for cell in lines[0].split(delimiter)]
    column = next((header.index(name) for name in PATH_COLUMNS if name in header), None)
    if column is not None:
        rows = csv.reader(lines[1:], delimiter=delimiter)
        names = [row[column] for row in rows if len(row) > column]
    elif path.suffix.lower() in (".csv", ".tsv") and len(header) > 1:
        raise DataError(
            f"{path}: none of its columns ({', '.join(header)}) is called {', '.join(PATH_COLUMNS[:-1])} or "
            f"{PATH_COLUMNS[-1]}: name the one with the videos so"
        )
    else:
        names = [line.strip().strip('"') for line in lines]
    places = [parse_place(name.strip()) for name in names if name.strip()]
    return [place if isinstance(place, Url) else path.parent / place for place in places]


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise DataError(
            f"{path} is neither a video nor a list of videos, one path a line ({error}); save a list as UTF-8"
        ) from None
