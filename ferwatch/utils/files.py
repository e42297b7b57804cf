"""Atomic writing, folders for outputs, and fingerprints of files."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ferwatch.errors import OutputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it is renamed to `path` at the end, or removed if an error comes first.

    Raises OutputError, naming `path`, where the disk or its permissions refuse.
    """
    temp_path = partial_of(path)
    try:
        yield temp_path
        temp_path.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temp_path.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """Return the path that a file has while atomic_write writes it."""
    # The suffix stays last: writers such as matplotlib and FFmpeg choose their format by it.
    return path.with_name(f".{path.stem}.partial{path.suffix}")


def absolute_path(path: Path) -> Path:
    """Return a path from the root on, without ".."; links are not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (Path.absolute keeps "..")


def make_folder(path: Path) -> None:
    """Make a folder for outputs unless it exists. Raises OutputError where it cannot be made."""
    try:
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; name another folder with --out")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {path}: {error.strerror or error}; name another with --out"
        ) from error


def remove_folder(path: Path) -> None:
    """Remove a folder and everything in it, if it exists. Raises OutputError where that cannot be done."""
    try:
        if path.exists():
            shutil.rmtree(path)
    except OSError as error:
        raise OutputError(f"cannot remove {path}: {error.strerror}") from None


def remove_files(files: Iterable[Path]) -> None:
    """Remove files, some of which may be missing. Raises OutputError."""
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot replace {file}: {error.strerror}") from None


PART_BYTES = 65_536
"""Length of each part of a file that its fingerprint reads."""
PARTS = 16
"""Number of parts that a fingerprint reads, spread over the file."""


def fingerprint(path: Path) -> dict[str, int | str]:
    """Return what identifies a file by content: its size in bytes, and the SHA-256 of 16 parts spread over it.

    Files of up to one mebibyte are read whole. Raises OSError.
    """
    with open(path, "rb") as f:
        size = f.seek(0, os.SEEK_END)
        parts = []
        for start, end in part_places(size):
            f.seek(start)
            parts.append(f.read(end - start))
    return digest_of_parts(size, parts)


def part_places(size: int) -> list[tuple[int, int]]:
    """Return beginning and end of each part of a file of this size; some lie behind its end if it is short."""
    step = max(PART_BYTES, (size - PART_BYTES) // (PARTS - 1))
    return [(part * step, part * step + PART_BYTES) for part in range(PARTS)]


def digest_of_parts(size: int, parts: Iterable[bytes]) -> dict[str, int | str]:
    """Return the fingerprint of a file of this size that has these parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return {"bytes": size, "sha256_of_parts": digest.hexdigest()}


def weights_folder() -> Path:
    """Return the folder of the shipped weights: inside an installed package, or at the top of a checkout."""
    installed = Path(__file__).parents[1] / "weights_data"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "weights"
