"""Suppresses the log lines that native libraries write to file descriptor 2."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# How absl and TensorFlow Lite begin lines that report no error.
_NO_ERROR = re.compile(rb"(INFO: |WARNING: |[IW]\d{4} )")
_is_enabled = False


def enable_suppression() -> None:
    """Let suppress_native_logs() work in this process. For the command line and worker processes.

    Not for a library: file descriptor 2 belongs to the whole process, and other threads may write to it.
    """
    global _is_enabled
    _is_enabled = True


@contextmanager
def suppress_native_logs() -> Iterator[None]:
    """Suppress MediaPipe's info and warning lines on stderr (file descriptor 2); it has no setting for that.

    Does nothing before enable_suppression(). Other lines written meanwhile appear at the end, unless an exception
    reports the error.
    """
    if not _is_enabled:
        yield
        return
    _flush_stderr()
    stderr = os.dup(2)
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
        sys.stderr.flush()
