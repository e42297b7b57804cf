"""How a run would gain from more workers than this machine has cores: a simulation from measured segment times.

    python benchmarks/many_workers.py CLIP [--seconds 600] [--workers 2 8 16] [--json FILE]

The clip, repeated to the length, is analysed and drawn with one worker. The time of each segment is measured, and the
time of the main process beside it: what it takes for each segment, and what it takes while no segment is at work. Then
workers that are as fast as that one take the segments in order, as the executor gives them out, and the main process
takes their results in order. What the simulation leaves out: that cores share memory and clock, and that the last
segments are classified by all workers together. One run with two workers is measured too, for comparison.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from heapq import heapreplace
from pathlib import Path
from typing import Any

from common import loop, table

from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.cuts import SEGMENTS_AHEAD
from ferwatch.pipeline.executors import LocalProcesses
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.segment import load_classifier
from ferwatch.utils.threads import use_single_threaded_libraries
from ferwatch.video.sampling import Sampling


@dataclass
class Stage:
    """The segments of one stage, the analysis or the drawing, with one worker."""

    seconds: list[float]
    """Time of each segment, in order."""
    main: float
    """Processor time of the main process for a segment."""

    def simulated(self, workers: int) -> float:
        """Return the time of the stage with so many workers."""
        free = [0.0] * workers
        taken: list[float] = []
        """When the main process has taken each result."""
        for number, seconds in enumerate(self.seconds):
            ahead = number - SEGMENTS_AHEAD * workers
            begins = max(free[0], taken[ahead] if ahead >= 0 else 0.0)
            heapreplace(free, begins + seconds)
            taken.append(max(begins + seconds, taken[-1] if taken else 0.0) + self.main)
        return taken[-1]


@dataclass
class OneWorker(LocalProcesses):
    """Measures the segments of each stage."""

    workers: int = 1
    stages: list[Stage] = field(default_factory=list)
    wall: float = 0.0
    """Time of all stages."""

    def run(
        self, work: Callable[[Any], Any], tasks: Iterable[Any], **options: Any
    ) -> Generator[tuple[Any, Any], None, None]:
        """See Executor.run."""
        seconds: list[float] = []
        began, processor = time.perf_counter(), time.process_time()
        ended = began
        try:
            for task, result in super().run(work, tasks, **options):
                seconds.append(time.perf_counter() - ended)
                ended = time.perf_counter()
                yield task, result
        finally:
            if seconds:
                self.stages.append(Stage(seconds, (time.process_time() - processor) / len(seconds)))
            self.wall += time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", type=float, default=600, help="the clip is looped to this length (default: 600)")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 8, 16])
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    use_single_threaded_libraries()

    rows: list[list[object]] = []
    for annotate in (True, False):
        options = AnalysisOptions(sampling=Sampling(fps=10), annotate=annotate)
        classifier = load_classifier(options)
        with tempfile.TemporaryDirectory() as folder, OneWorker() as one, LocalProcesses(2) as two:
            short = loop(args.clip, Path(folder) / f"short{args.clip.suffix}", 24)
            film = loop(args.clip, Path(folder) / f"film{args.clip.suffix}", args.seconds)

            def timed(executor: LocalProcesses, options: AnalysisOptions = options) -> float:
                write_run(short, Path(folder) / "first", options, classifier, executor=executor, overwrite=True)  # noqa: B023
                if isinstance(executor, OneWorker):
                    executor.stages, executor.wall = [], 0.0
                began = time.perf_counter()
                write_run(film, Path(folder) / "run", options, classifier, executor=executor, overwrite=True)  # noqa: B023
                return time.perf_counter() - began

            whole = timed(one)
            serial = whole - one.wall
            with_two = timed(two)
        name = "with the video" if annotate else "without the video"
        rows.append([name, "measured, 2", with_two, whole / with_two])
        for workers in args.workers:
            simulated = serial + sum(stage.simulated(workers) for stage in one.stages)
            rows.append([name, f"simulated, {workers}", simulated, whole / simulated])
    print(f"{args.clip.name} looped to {args.seconds:g} s, ten samples a second; one worker is 1\n")
    print(table(["case", "workers", "seconds", "times one worker"], rows))
    if args.json is not None:
        keys = ("case", "workers", "seconds", "times_one")
        args.json.write_text(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
