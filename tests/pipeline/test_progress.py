"""The progress of films that are analysed and drawn in segments moves while a segment is at work."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import needs_weights
from segment_clips import clip_of, demo_pictures

import ferwatch
from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.executors import InProcess, LocalProcesses
from ferwatch.pipeline.found_faces import plan
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.reports import Report, report
from ferwatch.pipeline.segment import load_classifier
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling

OPTIONS = AnalysisOptions(sampling=Sampling(fps=5), threads=2, charts=False)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 pictures, 24 s."""
    return clip_of(tmp_path_factory.mktemp("film") / "plain.mp4", (demo_pictures() * 2)[:600])


@needs_weights
@pytest.mark.parametrize("threads", [1, 2])
def test_progress_moves_within_segments_and_ends_at_the_total(film: Path, tmp_path: Path, threads: int) -> None:
    with VideoReader(film) as reader:
        shortest = min(segment.pictures for segment in plan(film, reader.info, OPTIONS))
    told: dict[str, list[tuple[int, int]]] = defaultdict(list)
    forecasts: list[tuple[float, float]] = []
    run = write_run(
        film,
        tmp_path / "run",
        OPTIONS if threads == 2 else AnalysisOptions(sampling=OPTIONS.sampling, threads=1, charts=False),
        load_classifier(OPTIONS),
        progress=lambda stage, done, total: told[stage].append((done, total)),
        forecast=lambda film_ratio, stretch: forecasts.append((film_ratio, stretch)),
    )
    assert list(told) == ["analysing", "timeline", "annotating"]
    for stage in ("analysing", "annotating"):
        numbers = [done for done, _ in told[stage]]
        assert {total for _, total in told[stage]} == {600}
        assert numbers == sorted(numbers)
        assert numbers[-1] == 600
        steps = [after - before for before, after in pairwise(numbers)]
        assert max(steps) < shortest, f"{stage}: a whole segment at once"
        assert len(steps) > 600 / shortest, stage
    assert run.folder.joinpath("annotated.mp4").exists()
    # What is told of the film is measured: it changes, and stays within reason.
    assert len({ratio for ratio, _ in forecasts}) > 2
    assert 0.05 < forecasts[-1][0] < 5
    assert all(1 <= stretch < 2 for _, stretch in forecasts)


@needs_weights
def test_a_resumed_run_goes_on_from_what_was_done(film: Path, tmp_path: Path) -> None:
    def stop(_stage: str, done: int, _total: int) -> None:
        if done > 350:
            raise InterruptedError

    quick = {"sampling": OPTIONS.sampling, "threads": 2, "annotate": False}
    with pytest.raises(InterruptedError):
        ferwatch.analyze(film, tmp_path / "run", progress=stop, **quick)
    told: list[int] = []
    ferwatch.analyze(
        film,
        tmp_path / "run",
        resume=True,
        progress=lambda stage, done, _: told.append(done) if stage == "analysing" else None,
        **quick,
    )
    assert told[0] >= 100, "the segments that were finished"
    assert told == sorted(told)
    assert told[-1] == 600


def report_each(count: int) -> int:
    """A task that reports after each of its units, slowly enough for the clock of the reports."""
    import time

    for done in range(1, count + 1):
        time.sleep(0.02)
        report(done)
    return count


def test_executors_pass_on_reports_of_their_tasks() -> None:
    with LocalProcesses(2) as two:
        for executor in (InProcess(), two):
            told: dict[int, list[Report]] = defaultdict(list)
            results = executor.run(report_each, [30, 40], on_report=lambda task, report: told[task].append(report))  # noqa: B023
            assert dict(results) == {30: 30, 40: 40}
            for task in (30, 40):
                numbers = [report.done for report in told[task]]
                assert len(numbers) >= 3
                assert numbers == sorted(numbers)
                assert numbers[-1] <= task
                assert told[task][-1].seconds >= told[task][0].seconds >= 0
            assert dict(executor.run(report_each, [6])) == {6: 6}, "nobody has to listen"


def die_once_after_a_report(marker: Path) -> int:
    import time

    if not marker.exists():
        time.sleep(0.15)
        report(9)
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    report(1)
    return 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_worker_that_dies_after_a_report_is_replaced(tmp_path: Path) -> None:
    told: list[int] = []
    with LocalProcesses(2) as executor:
        results = executor.run(
            die_once_after_a_report,
            [tmp_path / "marker"],
            retries=1,
            on_report=lambda _, report: told.append(report.done),
        )
        assert [result for _, result in results] == [1]
    assert told[:1] == [9]
