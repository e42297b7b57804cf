"""FolderLock: keeps a second run out of a run folder."""

from __future__ import annotations

import json
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ferwatch.errors import OutputError
from ferwatch.utils.files import make_folder

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_FILE = ".ferwatch.lock"


class FolderLock:
    """Keeps other runs out of a folder in a `with` statement; makes the folder where there is none yet.

    The operating system releases the lock of a process that dies, so that none is ever left in the way. A folder that
    is made and stays empty is removed again.

    Args:
        work: what is done in the folder, for the message to others: the name of the video.
    Raises OutputError where another run works in the folder, or the folder cannot be made.
    """

    def __init__(self, folder: Path, work: str) -> None:
        self._folder = folder
        self._file = folder / LOCK_FILE
        self._work = work

    def __enter__(self) -> FolderLock:
        self._existed = False
        with suppress(OSError):  # a name that is too long, say: make_folder tells
            self._existed = self._folder.exists()
        make_folder(self._folder)
        try:
            self._descriptor = self._lock()
        except OSError as error:
            raise OutputError(
                f"cannot write into {self._folder}: {error.strerror}; name another folder with --out"
            ) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(self._descriptor)
            self._file.unlink(missing_ok=True)
        else:
            self._file.unlink(missing_ok=True)
            os.close(self._descriptor)
        if not self._existed:
            with suppress(OSError):  # it is not empty
                self._folder.rmdir()

    def _lock(self) -> int:
        while True:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666)
            if not _try_to_lock(descriptor):
                owner = _read_owner(self._file)
                os.close(descriptor)
                raise OutputError(
                    f"another ferwatch is at work in {self._folder}{owner}; wait for it, or name another folder "
                    "with --out"
                )
            with suppress(OSError):
                # The one before may have removed the file between our opening and locking it.
                if os.fstat(descriptor).st_ino == self._file.stat().st_ino:
                    break
            os.close(descriptor)
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
