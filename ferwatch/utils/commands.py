"""Commands as a user can paste them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence


def command_line(arguments: Sequence[str]) -> str:
    """Return a command as text for a shell: names with spaces and other special characters are quoted."""
    return subprocess.list2cmdline(arguments) if sys.platform == "win32" else shlex.join(arguments)
