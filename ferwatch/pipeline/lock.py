"""FolderLock: keeps a second run out of a run folder."""

from __future__ import annotations

import errno
import json
import logging
import os
import platform
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from ferwatch.errors import OutputError
from ferwatch.utils.files import make_folder

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOG = logging.getLogger("ferwatch")
LOCK_FILE = ".ferwatch.lock"
BATCH_LOCK_FILE = ".ferwatch-batch.lock"
"""Another name: a folder with LOCK_FILE is a run folder, in which no videos are looked for."""
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
"""Errors of file systems that know no locks, such as some network ones."""


class FolderLock:
    """Keeps other runs, or batches, out of a folder in a `with` statement; makes the folder where there is none yet.

    The operating system releases the lock of a process that dies, so that none is ever left in the way. A folder that
    is made and stays empty is removed again, also when many runs come for it at the same time.

    Args:
        work: what is done in the folder, for the message to others: the name of the video, or "a batch".
        file: name of the lock's file.
    Raises OutputError where another run works in the folder, or the folder cannot be made.
    """

    def __init__(self, folder: Path, work: str, file: str = LOCK_FILE) -> None:
        self._folder = folder
        self._file = folder / file
        self._work = work

    def __enter__(self) -> FolderLock:
        descriptor = None
        while descriptor is None:
            self._is_new = True
            with suppress(OSError):  # such as a name that is too long: making the folder raises it again
                self._is_new = not self._folder.exists()
            descriptor = self._make_locked() if self._is_new else self._lock_existing()
        self._descriptor = descriptor
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(self._descriptor)
            self._file.unlink(missing_ok=True)
            if self._is_new:
                with suppress(OSError):  # it is not empty
                    self._folder.rmdir()
            return
        is_removed = False
        with suppress(OSError):  # somebody has removed the folder
            is_removed = self._is_new and [*self._folder.iterdir()] == [self._file] and self._remove()
        if not is_removed:
            self._file.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _make_locked(self) -> int | None:
        """Make the folder with its lock in it, and return the lock's descriptor; None where another run was first.

        Both appear at once: a run that found the folder without its lock would take it for the user's, and leave it
        behind when it stays empty.
        """
        if sys.platform == "win32":  # a folder with an open file cannot be renamed there
            make_folder(self._folder)
            return self._lock(self._folder)
        make_folder(self._folder.parent)
        aside = self._aside()
        try:
            aside.mkdir()
            descriptor = self._lock(aside)
            try:
                aside.rename(self._folder)
            except OSError as error:
                if descriptor is not None:
                    os.close(descriptor)
                shutil.rmtree(aside, ignore_errors=True)
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    return None
                raise
        except OSError as error:
            raise OutputError(
                f"cannot make the folder {self._folder}: {error.strerror}; name another with --out"
            ) from None
        return descriptor

    def _remove(self) -> bool:
        """Remove the folder with its lock, both at once; return whether it is gone. Raises OSError."""
        aside = self._aside()
        self._folder.rename(aside)
        while [file.name for file in aside.iterdir()] in ([], [self._file.name]):
            (aside / self._file.name).unlink(missing_ok=True)
            with suppress(OSError):  # another run opened the folder earlier, and makes its lock only now
                aside.rmdir()
                return True
        aside.rename(self._folder)  # somebody has put a file there in this moment
        return False

    def _aside(self) -> Path:
        return self._folder.parent / f".ferwatch.{uuid4().hex}"

    def _lock_existing(self) -> int | None:
        """Lock the folder that exists; return the lock's descriptor, None where the folder or lock was replaced.

        Raises OutputError where another run has the lock, and where the folder cannot be written to.
        """
        if self._folder.is_file():
            raise OutputError(f"{self._folder} is a file; name another folder with --out")
        try:
            return self._lock(self._folder)
        except OSError as error:
            # The run that had made the folder has just removed it, and a further one may have made it again.
            if not self._folder.exists() or (error.errno == errno.ENOENT and not self._file.is_symlink()):
                return None
            raise OutputError(
                f"cannot write into {self._folder}: {error.strerror}; name another folder with --out"
            ) from None

    def _lock(self, folder: Path) -> int | None:
        file = folder / self._file.name
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            is_locked = _try_to_lock(descriptor)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                os.close(descriptor)
                raise
            LOG.warning("%s: this file system has no locks; do not start a second run in this folder", self._folder)
            is_locked = True
        if not is_locked:
            owner = _read_owner(file)
            os.close(descriptor)
            raise OutputError(
                f"another ferwatch is at work in {self._folder}{owner}; wait for it, or name another folder with --out"
            )
        same = False
        with suppress(OSError):
            # The previous owner may have removed the file between our opening and locking it.
            same = os.fstat(descriptor).st_ino == file.stat().st_ino
        if not same:
            os.close(descriptor)
            return None
        content = {"video": self._work, "process": os.getpid(), "host": platform.node()}
        with suppress(OSError):  # the lock holds without the owner's name, also on a full disk
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(content).encode())
        return descriptor


def _try_to_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # beyond the text, which others read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _read_owner(file: Path) -> str:
    try:
        owner = json.loads(file.read_bytes())
        return f", on {owner['video']} (process {owner['process']} on {owner['host']})"
    except (OSError, ValueError, TypeError, KeyError):
        return ""
