"""Native libraries' log lines on stderr."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# What MediaPipe, absl and TensorFlow Lite write while a model loads, none of it an error.
_LOG_LINE = re.compile(rb"INFO: Created TensorFlow Lite|WARNING: All log messages before absl|[IW]\d{4} \d\d:\d\d:")
_LOCK = threading.Lock()


@contextmanager
def suppress_native_logs() -> Iterator[None]:
    """Suppress MediaPipe's info and warning lines on stderr (file descriptor 2).

    No setting of MediaPipe's does that. What else is written to the descriptor in the meantime appears at the end.
    One thread at a time: others wait. Does nothing where the process has no stderr.
    """
    with _LOCK:
        try:
            stderr = os.dup(2)
        except OSError:  # closed, as in a program without a console
            yield
            return
        _flush()
        with tempfile.TemporaryFile() as written:
            os.dup2(written.fileno(), 2)
            try:
                yield
            finally:
                _flush()
                os.dup2(stderr, 2)
                os.close(stderr)
            written.seek(0)
            for line in written:
                if not _LOG_LINE.match(line):
                    os.write(2, line)


def _flush() -> None:
    if sys.stderr is not None:  # None under pythonw and in windowed programs
        with suppress(OSError, ValueError):
            sys.stderr.flush()
