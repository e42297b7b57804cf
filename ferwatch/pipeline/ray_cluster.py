"""RayCluster: an executor that runs tasks on a Ray cluster."""

from __future__ import annotations

import logging
import os
import platform
import socket
from collections.abc import Callable, Generator, Iterable
from types import TracebackType
from typing import Any, TypeVar

from ferwatch.errors import FerwatchError
from ferwatch.pipeline.executors import WorkerLost, cores
from ferwatch.pipeline.reports import Report
from ferwatch.utils.threads import use_single_threaded_libraries

MAX_RETRIES = 3
"""Number of times that Ray starts a task again after its worker or node was lost."""
MAX_PENDING = 1000
"""Number of tasks that Ray is given ahead: enough for its autoscaler to plan for."""
CONNECT_SECONDS = 10.0
"""Longest time in which a cluster has to answer."""

T = TypeVar("T")
R = TypeVar("R")


class RayCluster:
    """Runs tasks on a Ray cluster, one core each. Implements Executor.

    The nodes have to see the files that the tasks name, under the same paths as this machine, or at URLs.

    Args:
        address: of a running cluster; None: one is started on this machine.
        workers: cores of the cluster that is started here; None: all.
    Raises FerwatchError where Ray is not installed or the cluster is not there.
    """

    is_remote = True

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise FerwatchError(f"--engine ray needs Ray ({error}): pip install 'ferwatch[ray]'") from None
        self._ray = ray
        self._address = address
        self._workers = workers or cores()
        self._is_connected = False

    @property
    def workers(self) -> int:
        """Cores of the cluster; at least 2, so that its nodes get the work that this process could do alone.

        An autoscaler starts nodes only when there are tasks for them.
        """
        self._connect()
        return max(2, int(self._ray.cluster_resources().get("CPU", 0)))

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, and end it where it was started here."""
        if self._is_connected:
            self._ray.shutdown()
            self._is_connected = False

    def run(
        self,
        work: Callable[[T], R],
        tasks: Iterable[T | None],
        *,
        retries: int = MAX_RETRIES,
        on_report: Callable[[T, Report], None] | None = None,
    ) -> Generator[tuple[T, R | WorkerLost], None, None]:
        """See Executor.run; no reports are passed on.

        A task whose worker or node was lost is started again at least MAX_RETRIES times.
        """
        self._connect()
        ray = self._ray
        retries = max(retries, MAX_RETRIES)
        remote = ray.remote(num_cpus=1, max_retries=retries)(_run_on_ray)
        left = iter(tasks)
        running: dict[Any, T] = {}
        try:
            while True:
                while len(running) < MAX_PENDING and (task := next(left, None)) is not None:
                    running[remote.remote(work, task)] = task
                if not running:
                    return
                for done in ray.wait(list(running), num_returns=1)[0]:
                    task = running.pop(done)
                    try:
                        result = ray.get(done)
                    except ray.exceptions.RayTaskError as error:
                        raise error.cause from None
                    except ray.exceptions.RayError as error:
                        yield task, WorkerLost(f"lost by Ray after {retries} retries: {error}")
                        continue
                    yield task, result
        finally:
            for task_id in running:
                ray.cancel(task_id, force=True)

    def _connect(self) -> None:
        if self._is_connected:
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine
        try:
            if self._address:
                _check_reachable(self._address)
            self._ray.init(
                address=self._address,
                num_cpus=None if self._address else self._workers,
                include_dashboard=None if self._address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (OSError, RuntimeError, ValueError) as error:
            where = self._address or "this machine"
            raise FerwatchError(f"--engine ray: no cluster at {where}: {error}") from None
        self._is_connected = True


def _check_reachable(address: str) -> None:
    """Raise OSError if nothing listens at a host and port; Ray itself would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


def _run_on_ray(work: Callable[[T], R], task: T) -> R:
    use_single_threaded_libraries()
    try:
        return work(task)
    except FerwatchError as error:
        raise type(error)(
            f"{error} (on the Ray node {platform.node()}: every node has to see the same files under the same paths)"
        ) from None
