"""Url: a file or folder that fsspec reads and writes, such as s3://bucket/film.mp4, beside Path for local ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from ferwatch.errors import FerwatchError
from ferwatch.utils.files import digest_of_parts, fingerprint, part_places

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://.+", re.DOTALL)
NOT_FETCHED = ("http", "https", "ftp", "rtsp", "rtmp")
"""Protocols of the open network: ferwatch fetches nothing from there, also where fsspec could."""


@dataclass(frozen=True)
class Url:
    """The URL of a file or folder in one of fsspec's file systems.

    Its methods raise FerwatchError, in one line, where fsspec or the file system's package is missing, and where the
    file system refuses.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> Url:
        return Url(f"{self.text.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        return PurePosixPath(self.text).name

    @property
    def stem(self) -> str:
        return PurePosixPath(self.text).stem

    def exists(self) -> bool:
        """Return whether there is a file or folder."""
        with self._use("read") as (system, path):
            system.invalidate_cache()
            return bool(system.exists(path))

    def is_folder(self) -> bool:
        """Return whether there is a folder, which in object storage has to hold something."""
        with self._use("read") as (system, path):
            system.invalidate_cache()
            return bool(system.isdir(path))

    def open(self) -> BinaryIO:
        """Open the file for reading; parts of it are read when they are asked for."""
        with self._use("read") as (system, path):
            file: BinaryIO = system.open(path, "rb")
            return file

    def size(self) -> int:
        """Return the file's length in bytes."""
        with self._use("read") as (system, path):
            return int(system.info(path)["size"])

    def fingerprint(self) -> dict[str, int | str]:
        """Return what utils.files.fingerprint returns for a local file of this content."""
        size = self.size()
        places = [(start, min(end, size)) for start, end in part_places(size) if start < size]
        with self._use("read") as (system, path):
            parts = system.cat_ranges([path] * len(places), *map(list, zip(*places, strict=True))) if places else []
            return digest_of_parts(size, parts)

    def files(self) -> list[str]:
        """Return the paths of all files below the folder, relative to it, with "/" between their parts."""
        with self._use("read") as (system, path):
            system.invalidate_cache()
            base = path.rstrip("/") + "/"
            return sorted(file[len(base) :] for file in system.find(path) if file.startswith(base))

    def matches(self) -> list[Url]:
        """Return the files that match the URL, a pattern."""
        with self._use("read") as (system, path):
            system.invalidate_cache()
            found = system.glob(path, detail=True)
            return [Url(system.unstrip_protocol(p)) for p, facts in sorted(found.items()) if facts["type"] == "file"]

    def download(self, path: Path) -> None:
        """Copy the file to a local one."""
        with self._use("read") as (system, source):
            system.get_file(source, str(path))

    def upload(self, path: Path) -> None:
        """Replace the file by a copy of a local one."""
        with self._use("written") as (system, target):
            system.put_file(str(path), target)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files of the folder."""
        for name in names:
            with (self / name)._use("removed") as (system, path):
                system.rm_file(path)

    @contextmanager
    def _use(self, done: str) -> Iterator[tuple[Any, str]]:
        """Yield the file system and the path in it; exceptions become FerwatchErrors that say what cannot be done."""
        try:
            import fsspec
        except ImportError:
            raise FerwatchError(
                f"{self}: a URL needs fsspec and the package of its file system, such as s3fs: "
                "pip install 'ferwatch[remote]' s3fs"
            ) from None
        # Object storage has no folders; local ones are made with the first file in them.
        options = {"auto_mkdir": True} if self.text.startswith("file:") else {}
        try:
            yield fsspec.url_to_fs(self.text, **options)
        except FileNotFoundError:
            raise FerwatchError(f"{self} cannot be {done}: there is no such file") from None
        except ImportError as error:
            raise FerwatchError(f"{self}: the package of its file system is missing: {error}") from None
        except Exception as error:  # each file system has errors of its own
            raise FerwatchError(f"{self} cannot be {done}: {type(error).__name__}: {error}") from error


def parse_place(text: str) -> Path | Url:
    """Return what a text names: a Url, or a local Path, also for protocols that ferwatch does not fetch from."""
    match = _URL.fullmatch(text)
    return Url(text) if match and match[1].lower() not in NOT_FETCHED else Path(text)


def fingerprint_of(place: Path | Url) -> dict[str, int | str]:
    """Return what identifies a file by content, wherever it lies. Raises OSError, FerwatchError."""
    return place.fingerprint() if isinstance(place, Url) else fingerprint(place)


@contextmanager
def local_copy(place: Path | Url) -> Iterator[Path]:
    """Yield the path of a file, or of a temporary copy of one at a URL; errors that name the copy name the URL instead.

    Raises FerwatchError where it cannot be copied.
    """
    if isinstance(place, Path):
        yield place
        return
    with TemporaryDirectory(prefix="ferwatch-") as folder:
        copy = Path(folder) / place.name
        try:
            place.download(copy)
            yield copy
        except FerwatchError as error:
            raise type(error)(str(error).replace(str(copy), str(place))) from error
