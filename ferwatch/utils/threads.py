"""Threads of the libraries: how many OpenCV and torch use, and processes in which they are missing."""

from __future__ import annotations

import os

from ferwatch.errors import FerwatchError

_first_process: int | None = None
"""Id of the process in which libraries have started threads; None: in no process yet."""


def refuse_after_fork() -> None:
    """Raise FerwatchError if this process was forked from one that had called this function before.

    The threads of MediaPipe and torch do not exist in such a process, and a call would wait for them for ever.
    """
    global _first_process
    if _first_process is None:
        _first_process = os.getpid()
    elif _first_process != os.getpid():
        raise FerwatchError(
            "this process was forked from one in which ferwatch had worked, whose threads are missing here; start "
            "processes with multiprocessing.get_context('spawn'), or give threads=N"
        )


def use_single_threaded_libraries() -> None:
    """Make OpenCV and torch compute in the thread that calls them, in the whole process.

    Segments are analysed in parallel, so further threads within each would only wait for each other. Call this only in
    ferwatch's own processes, the command line and its workers: in another program the setting is not ours to change.
    """
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
