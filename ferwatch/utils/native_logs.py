"""Suppresses the log lines that native libraries write to file descriptor 2."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")

# Prefixes with which absl and TensorFlow Lite begin info and warning lines.
_NO_ERROR = re.compile(rb"(INFO: |WARNING: |[IW]\d{4} )")
_CLONE_FILES = 0x400
_is_enabled = False


def enable_suppression() -> None:
    """Let suppress_native_logs() redirect file descriptor 2. For the command line and worker processes.

    Not for a library: the descriptor belongs to the whole process, and other threads may write to it.
    """
    global _is_enabled
    _is_enabled = True


@contextmanager
def suppress_native_logs() -> Iterator[None]:
    """Suppress MediaPipe's info and warning lines on stderr (file descriptor 2). Does nothing before
    enable_suppression()."""
    if _is_enabled:
        with _filtered_stderr():
            yield
    else:
        yield


def call_without_native_logs(function: Callable[[], T]) -> T:
    """Call a function and return its result, without the info and warning lines that MediaPipe writes meanwhile.

    MediaPipe has no setting for it. On Linux the function runs in a thread with its own table of file descriptors, so
    that the process's descriptor 2 stays as it is; it must not leave files open. On other systems the lines are
    suppressed only after enable_suppression().
    """
    if _is_enabled or not sys.platform.startswith("linux"):
        with suppress_native_logs():
            return function()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_call_with_own_descriptors, function).result()


def _call_with_own_descriptors(function: Callable[[], T]) -> T:
    if ctypes.CDLL(None).unshare(_CLONE_FILES) != 0:  # forbidden, as some sandboxes do
        return function()
    with _filtered_stderr():
        return function()


@contextmanager
def _filtered_stderr() -> Iterator[None]:
    """Hold back what is written to file descriptor 2; at the end write the lines that are neither info nor warning.

    After an exception nothing is written, because the exception reports the error.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # a windowed program has no stderr
        yield
        return
    _flush_stderr()
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            _flush_stderr()
            os.dup2(stderr, 2)
            os.close(stderr)
        written.seek(0)
        for line in written:
            if not _NO_ERROR.match(line):
                os.write(2, line)


def _flush_stderr() -> None:
    if sys.stderr is not None:  # None in a windowed program
        with suppress(OSError, ValueError):
            sys.stderr.flush()
