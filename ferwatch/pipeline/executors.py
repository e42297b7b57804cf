"""Where the videos of a batch are worked on: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.connection import wait as wait_for
from types import FrameType

from ferwatch.errors import FerwatchError
from ferwatch.pipeline.batch import Engine, Job, Outcome, run_job
from ferwatch.pipeline.options import AnalysisOptions

RETRIES = 3
"""How often Ray starts a video again whose worker or node was lost; the run is continued, not repeated."""
PENDING = 1000
"""How many tasks Ray is given ahead: enough for its autoscaler to see what is to come."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def local(jobs: int | None = None) -> Engine:
    """Processes of this machine that share nothing, so many at a time; None: one a core.

    Each is a pool of one, so that when one dies it is known on which video; that one is reported, and the rest goes on
    in a new process.
    """

    def engine(todo: Sequence[Job], options: AnalysisOptions) -> Generator[tuple[Job, Outcome], None, None]:
        if not todo:
            return
        number = min(jobs or cores(), len(todo))
        options = replace(options, threads=max(1, cores() // number))
        left = iter(todo)
        running: dict[Future[Outcome], tuple[Job, ProcessPoolExecutor]] = {}

        def begin(pool: ProcessPoolExecutor) -> None:
            if (job := next(left, None)) is not None:
                running[pool.submit(run_job, job, options)] = job, pool
            else:
                pool.shutdown(wait=False)

        try:
            for _ in range(number):
                begin(_one_process())
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job, pool = running.pop(future)
                    try:
                        outcome = future.result()
                    except BrokenProcessPool:
                        outcome = Outcome(
                            f"{job.video}: the process at work on it died; it ran out of memory or was killed, or a "
                            "decoder crashed"
                        )
                        pool = _one_process()
                    begin(pool)
                    yield job, outcome
        finally:
            for _, pool in running.values():  # not where all is done: an interrupt or an error came first
                pool.shutdown(wait=False, cancel_futures=True)
            if running:
                for process in multiprocessing.active_children():
                    process.terminate()

    return engine


def _one_process() -> ProcessPoolExecutor:
    # A fork would copy locks that other threads hold.
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    """Ctrl-C reaches the whole process group: the parent alone decides, and ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(130)  # what is being written is removed on the way out


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    os._exit(1)


def on_ray(address: str | None = None, jobs: int | None = None) -> Engine:
    """A task for each video, on the Ray cluster at `address`, or on one started here with so many workers.

    Every task asks for one core and works with one thread. All nodes have to see the videos and the batch's folder
    under the same paths. Raises FerwatchError where Ray is not installed or the cluster is not there.
    """
    try:
        import ray
    except ImportError as cause:
        raise FerwatchError(f"--engine ray needs Ray ({cause}): pip install 'ferwatch[ray]'") from None

    def engine(todo: Sequence[Job], options: AnalysisOptions) -> Generator[tuple[Job, Outcome], None, None]:
        if not todo:
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine
        try:
            ray.init(
                address=address,
                num_cpus=None if address else jobs or cores(),
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, ValueError) as cause:
            raise FerwatchError(f"--engine ray: no cluster at {address or 'this machine'}: {cause}") from None
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(run_job)
        options = replace(options, threads=1)
        left = iter(todo)
        running: dict[ray.ObjectRef, Job] = {}
        try:
            while True:
                while len(running) < PENDING and (job := next(left, None)) is not None:
                    running[task.remote(job, options)] = job
                if not running:
                    return
                for done in ray.wait(list(running), num_returns=1)[0]:
                    job = running.pop(done)
                    try:
                        yield job, ray.get(done)
                    except ray.exceptions.RayError as cause:
                        yield job, Outcome(f"{job.video}: lost by Ray after {RETRIES} retries: {cause}")
        finally:
            ray.shutdown()

    return engine
