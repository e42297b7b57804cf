"""The loop of a worker process: takes tasks over a connection, and sends reports and results back."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import struct
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from types import FrameType
from typing import Any

from ferwatch.pipeline.reports import Report, reports_to
from ferwatch.utils.threads import use_single_threaded_libraries

SECONDS_BETWEEN_REPORTS = 0.05
"""Shortest time between two reports of a worker process."""
READY = b"ready"
"""A worker's first message, after the main script is imported; no pickle begins so."""
REPORT = b"done "
"""Beginning of a worker's message that is a report, before its numbers; no pickle begins so."""
REPORT_NUMBERS = struct.Struct("<qd")
WORKER_NAME = "ferwatch worker"
"""Name of the process of each worker, which it has before it imports the main script."""
_begun = threading.Event()


def exit_if_starting() -> None:
    """Exit, without a word, in a worker that still imports the main script: the parent process names the cause."""
    if multiprocessing.current_process().name == WORKER_NAME and not _begun.is_set():
        raise SystemExit(1)


def serve(connection: Connection) -> None:
    """Run the tasks that come over a connection until it is closed."""
    _begin_worker()
    with suppress(OSError):  # the parent process has ended, which is noticed below
        connection.send_bytes(READY)
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            return
        try:
            work, task = pickle.loads(message)
            with reports_to(_Sender(connection).send):
                answer = _pickled(work(task))
        except Exception as error:
            answer = pickle.dumps((_sendable(error), None))
        connection.send_bytes(answer)


class _Sender:
    """Sends the reports of a worker process, not more often than SECONDS_BETWEEN_REPORTS."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last_sent = -SECONDS_BETWEEN_REPORTS

    def send(self, report: Report) -> None:
        if time.monotonic() - self._last_sent < SECONDS_BETWEEN_REPORTS:
            return
        self._last_sent = time.monotonic()
        with suppress(OSError):  # the parent process has ended, and this one is about to
            self._connection.send_bytes(REPORT + REPORT_NUMBERS.pack(*report))


def _pickled(result: Any) -> bytes:
    """Return the message that holds a result. Raises TypeError where it cannot be pickled."""
    try:
        return pickle.dumps((None, result))
    except Exception as error:
        kind = type(result).__name__
        raise TypeError(f"the result of a task, of type {kind}, cannot be pickled: {error}") from error


def _sendable(error: Exception) -> Exception:
    """Return an exception as it is if it can be pickled and unpickled, else a RuntimeError with its name and text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # of any kind: pickle calls methods of the exception's own
        return RuntimeError(f"{type(error).__name__} in a worker process: {error}")
    return error


def _begin_worker() -> None:
    """Ignore Ctrl-C, which reaches the whole process group, and end when the parent process ends or says so."""
    _begun.set()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_single_threaded_libraries()


def _exit(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(130)  # temporary files are removed on the way out


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    os._exit(1)
