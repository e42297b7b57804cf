"""Keeps native libraries' small talk away from stderr."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# How absl and TensorFlow Lite begin what is no error.
_CHATTER = re.compile(rb"(INFO: |WARNING: |[IW]\d{4} )")


@contextmanager
def suppress_native_logs() -> Iterator[None]:
    """Within it, MediaPipe's information and warnings do not reach stderr; none of its own settings does that.

    What else is written to stderr appears at the end, unless an exception tells of it in its own words.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
        said.seek(0)
        for line in said:
            if not _CHATTER.match(line):
                os.write(2, line)
