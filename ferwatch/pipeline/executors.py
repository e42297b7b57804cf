"""Executors, which run tasks in this process or in worker processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from tempfile import gettempdir
from types import TracebackType
from typing import Any, ClassVar, Protocol, TypeVar

from ferwatch.errors import FerwatchError
from ferwatch.pipeline.reports import Report, ignore_report, reports_to
from ferwatch.pipeline.worker import READY, REPORT, REPORT_NUMBERS, WORKER_NAME, exit_if_starting, serve

MIN_PARALLEL_SECONDS = 20.0
"""Shorter ranges of a video are analysed and drawn in one process: starting workers would cost more than they save."""
MAX_SOCKET_FOLDER = 70
"""Longest path of the folder for temporary files in which a fork server can have its socket, in characters: systems
limit a socket's path to 104 or more, and multiprocessing adds 33."""
SERVER_LOST = 255
"""Exit code of a worker whose fork server has died."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class WorkerLost:
    """Stands for the result of a task whose worker died."""

    reason: str


class Executor(Protocol):
    """Runs tasks, several at the same time."""

    @property
    def workers(self) -> int:
        """Number of tasks that run at the same time."""

    @property
    def is_remote(self) -> bool:
        """Whether workers may run on other machines, which need not see this one's folders."""

    def run(
        self,
        work: Callable[[T], R],
        tasks: Iterable[T | None],
        *,
        retries: int = 0,
        on_report: Callable[[T, Report], None] | None = None,
    ) -> Generator[tuple[T, R | WorkerLost], None, None]:
        """Yield each task with its result as it ends, in any order; tasks are started in their order.

        An exception that `work` raises is raised here; RuntimeError, which names it, where it cannot be pickled.
        TypeError is raised where a result cannot be pickled. Closing the generator stops the tasks that are at work.

        Args:
            work: a function that can be pickled, and takes one task.
            tasks: values that can be pickled; taken one by one as workers become free. None: no
                task for now, while another is at work; the next one is asked for when a further result has been taken.
            retries: how often a task is started again whose worker died, before WorkerLost is its result.
            on_report: called with a task that is at work and its report; see ferwatch.pipeline.reports. An executor
                need not pass reports on.
        """


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class InProcess:
    """Runs tasks one after the other in this process."""

    workers = 1
    is_remote = False

    def run(
        self,
        work: Callable[[T], R],
        tasks: Iterable[T | None],
        *,
        retries: int = 0,
        on_report: Callable[[T, Report], None] | None = None,
    ) -> Generator[tuple[T, R | WorkerLost], None, None]:
        """See Executor.run."""
        for task in tasks:
            if task is not None:
                with reports_to(partial(on_report, task) if on_report else ignore_report):
                    result = work(task)
                yield task, result


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    has_begun: bool = False
    """Whether it has imported the main script."""

    @property
    def has_failed_to_begin(self) -> bool:
        """Whether it has ended with an exit code of its own, not by a signal, before it could take a task."""
        return not self.has_begun and 0 <= (self.process.exitcode or 0) < SERVER_LOST


@dataclass
class LocalProcesses:
    """Worker processes of this machine, one task at a time each. A context manager.

    They are started when the first task runs, by a fork server that has the heavy imports loaded, or are spawned where
    the system has none. In a program that uses more than one worker, the main script has to be importable, with its
    own work under `if __name__ == "__main__"`, as multiprocessing requires it.
    """

    workers: int
    is_remote: ClassVar[bool] = False
    _idle: list[_Worker] = field(default_factory=list)

    def __enter__(self) -> LocalProcesses:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the idle workers."""
        while self._idle:
            worker = self._idle.pop()
            worker.connection.close()
            worker.process.join()

    def run(
        self,
        work: Callable[[T], R],
        tasks: Iterable[T | None],
        *,
        retries: int = 0,
        on_report: Callable[[T, Report], None] | None = None,
    ) -> Generator[tuple[T, R | WorkerLost], None, None]:
        """See Executor.run."""
        left = iter(tasks)
        again: deque[tuple[T, int]] = deque()
        running: dict[Connection, tuple[_Worker, T, int]] = {}
        ended: deque[tuple[T, R | WorkerLost]] = deque()
        try:
            while True:
                # Before a result is yielded: while the caller works on it, no worker waits for its next task.
                while len(running) < self.workers:
                    task, losses = again.popleft() if again else (next(left, None), 0)
                    if task is None:
                        break
                    worker = self._idle.pop() if self._idle else _start_worker()
                    running[worker.connection] = worker, task, losses
                    with suppress(OSError):  # it died while it was idle, which is noticed below
                        worker.connection.send((work, task))
                if ended:
                    yield ended.popleft()
                    continue
                if not running:
                    return
                for connection in wait_for(list(running)):
                    worker, task, losses = running.pop(connection)  # type: ignore[call-overload]
                    try:
                        message = worker.connection.recv_bytes()
                    except (EOFError, OSError):
                        worker.process.join()
                        if worker.has_failed_to_begin:
                            raise FerwatchError(
                                "each worker process imports the main script, and one ended in doing so (its own "
                                "message is above): put the script's own work under "
                                'if __name__ == "__main__":, or use one thread'
                            ) from None
                        if losses < retries:
                            again.append((task, losses + 1))
                            continue
                        reason = "the process died: it ran out of memory, was killed, or a decoder crashed"
                        ended.append((task, WorkerLost(reason)))
                        continue
                    if message == READY:
                        running[worker.connection] = worker, task, losses
                        worker.has_begun = True
                        continue
                    if message.startswith(REPORT):
                        running[worker.connection] = worker, task, losses
                        if on_report is not None:
                            on_report(task, Report(*REPORT_NUMBERS.unpack(message[len(REPORT) :])))
                        continue
                    self._idle.append(worker)
                    error, result = _unpickled(message)
                    if error is not None:
                        raise error
                    ended.append((task, result))
        finally:
            for worker, _, _ in running.values():  # an interrupt or an error came first
                worker.process.terminate()
            for worker, _, _ in running.values():
                worker.process.join()
                worker.connection.close()


@contextmanager
def local_executor(workers: int) -> Iterator[Executor]:
    """Yield an executor of this machine: this process for one worker, else worker processes, which end afterwards."""
    if workers == 1:
        yield InProcess()
        return
    with LocalProcesses(workers) as executor:
        yield executor


def start_server_early() -> None:
    """Start the fork server, so that its imports run at the same time as this process's own."""
    context = _context()
    if context.get_start_method() == "forkserver":
        from multiprocessing.forkserver import ensure_running

        ensure_running()


def _context() -> BaseContext:
    """Return how workers are started. A plain fork would copy locks that other threads hold."""
    has_room = len(gettempdir()) <= MAX_SOCKET_FOLDER
    if "forkserver" not in multiprocessing.get_all_start_methods() or not has_room:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ferwatch.pipeline.preload"])
    return context


def _start_worker() -> _Worker:
    exit_if_starting()
    _check_main_script()
    context = _context()
    ours, theirs = context.Pipe()
    process = context.Process(  # type: ignore[attr-defined]
        target=serve, name=WORKER_NAME, args=(theirs,), daemon=True
    )
    process.start()
    theirs.close()  # so that the end of the worker ends the connection
    return _Worker(process, ours)


def _check_main_script() -> None:
    """Raise FerwatchError where the main script, which each worker imports, is no file: it came from standard input."""
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None) if getattr(main, "__spec__", None) is None else None
    if path is not None and not os.path.lexists(path):
        raise FerwatchError(
            f"worker processes cannot import the main script {path}, which is no file: save the script as a file, with "
            'its own work under if __name__ == "__main__":, or use one thread'
        )


def _unpickled(message: bytes) -> tuple[Exception | None, Any]:
    """Return the exception or the result that a message holds. Raises TypeError where it cannot be unpickled."""
    try:
        outcome: tuple[Exception | None, Any] = pickle.loads(message)
    except Exception as error:
        raise TypeError(f"the result of a task cannot be unpickled: {error}") from error
    return outcome
