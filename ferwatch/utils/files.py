"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ferwatch.errors import OutputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a place beside `path` to write to; it is renamed to `path` at the end, or removed if an error comes first.

    Raises OutputError, naming `path`, where the disk or its permissions refuse.
    """
    # The suffix stays last: writers such as matplotlib and FFmpeg choose their format by it.
    temp_path = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield temp_path
        temp_path.replace(path)
    except OSError as cause:
        raise OutputError(f"cannot write {path}: {cause.strerror or cause}") from cause
    finally:
        temp_path.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Makes a folder for outputs where there is none yet; raises OutputError, naming it, where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise OutputError(f"cannot make the folder {path}: {cause.strerror or cause}") from cause
