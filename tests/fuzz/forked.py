"""Runs of the command line in forks of one process that has everything imported: a fresh run in a tenth of the time.

Nothing here may start a thread before the fork: torch, MediaPipe and FFmpeg do so only when they work.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

LIBRARIES = (
    "ferwatch.pipeline.analyzer",
    "ferwatch.pipeline.rebuild",
    "ferwatch.evaluation.evaluate",
    "matplotlib.pyplot",
    "mediapipe",
)


def import_everything() -> None:
    """To be called once, before the first fork."""
    for name in LIBRARIES:
        importlib.import_module(name)


@dataclass(frozen=True)
class Ended:
    code: int
    """Of the exit; negative: the signal that ended it."""
    said: str
    """Standard output and error together."""
    seconds: float
    hung: bool = False


class Fork:
    """`ferwatch ARGUMENTS` in a child process, whose output goes to the file `said`."""

    def __init__(self, arguments: Sequence[str], said: Path) -> None:
        self._said = said
        self._started = time.monotonic()
        sys.stdout.flush()  # or the child would print it again
        self.pid = os.fork()
        if self.pid == 0:
            _run(arguments, said)

    def running(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def wait(self, limit: float) -> Ended:
        """Waits for its end, and kills it after `limit` seconds in all."""
        hung = False
        while self.running():
            if not hung and time.monotonic() - self._started > limit:
                hung = True
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.005)
        _, status = os.waitpid(self.pid, 0)
        said = self._said.read_text(encoding="utf-8", errors="replace") if self._said.exists() else ""
        return Ended(os.waitstatus_to_exitcode(status), said, time.monotonic() - self._started, hung)


def _run(arguments: Sequence[str], said: Path) -> NoReturn:
    code = 99
    try:
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        faulthandler.enable()
        sys.argv = ["ferwatch", *arguments]
        from ferwatch.cli.main import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
