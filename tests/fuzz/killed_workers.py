"""Kills worker processes at random moments, and compares what the runs write with an undisturbed one.

    python tests/fuzz/killed_workers.py --seed 1 --count 20

A run of three segments has two workers. One that is at work is killed when a random number of frames is written, or
at a random moment before the first; the run has to end by itself, with the bytes of one process.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import table
from forked import import_everything
from interrupts import COMPARED, small_film


def kill_some(random_moments: random.Random, wanted: int, ended: threading.Event, counts: Counter[str]) -> None:
    """Kill up to `wanted` child processes that analyse, one after the other."""
    for _ in range(wanted):
        ended.wait(random_moments.uniform(0.2, 4))
        workers = [pid for pid in _children_of(_fork_server()) if _has_loaded(pid)]
        if ended.is_set() or not workers:
            continue
        try:
            os.kill(random_moments.choice(workers), signal.SIGKILL)
        except ProcessLookupError:
            continue
        counts["killed"] += 1


def _fork_server() -> int:
    from multiprocessing.forkserver import _forkserver

    return int(_forkserver._forkserver_pid or 0)


def _children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []


def _has_loaded(pid: int) -> bool:
    """Whether a process is a worker that has begun: the thread that waits for its parent's end is there."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def main() -> None:
    parser = table.arguments(__doc__)
    table.cases(parser, count=20, minutes=10)
    asked = parser.parse_args()
    import_everything()
    from ferwatch.pipeline import cuts
    from ferwatch.pipeline.analyze import write_run
    from ferwatch.pipeline.executors import InProcess, LocalProcesses
    from ferwatch.pipeline.options import AnalysisOptions
    from ferwatch.pipeline.segment import load_classifier
    from ferwatch.video.sampling import Sampling

    cuts.MIN_PARALLEL_SECONDS = 0.0
    options = AnalysisOptions(sampling=Sampling(every=1), annotate=False, exports=("json",))
    counts: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as scratch, LocalProcesses(2) as executor:
        folder = Path(scratch)
        film = small_film(folder / "film.mp4")
        classifier = load_classifier(options)
        whole = write_run(film, folder / "whole", options, classifier, executor=InProcess())
        stop = time.monotonic() + 60 * asked.minutes
        while counts["killed"] < asked.count and time.monotonic() < stop:
            draw = random.Random(f"{asked.seed}/{counts['runs']}")
            ended = threading.Event()
            killer = threading.Thread(target=kill_some, args=(draw, 2, ended, counts))
            killer.start()
            began = time.monotonic()
            out = folder / f"run-{counts['runs']}"
            write_run(film, out, options, classifier, executor=executor)
            slowest = max(slowest, time.monotonic() - began)
            ended.set()
            killer.join()
            different = [name for name in COMPARED if (out / name).read_bytes() != (whole.folder / name).read_bytes()]
            counts["faults"] += bool(different)
            counts["runs"] += 1
            print(
                f"run {counts['runs']}: {counts['killed']} killed so far, differs: {different or 'nothing'}", flush=True
            )
    row = {
        "what": "killed workers",
        "seed": asked.seed,
        "tried": f"{counts['killed']} killed in {counts['runs']} runs",
        "ended well": f"{counts['runs'] - counts['faults']} runs with the bytes of one process",
        "did not": str(counts["faults"]),
        "slowest": f"{slowest:.0f} s",
    }
    table.end(row, asked, well=counts["faults"] == 0)


if __name__ == "__main__":
    main()
