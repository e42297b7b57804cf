"""The same command gives the same bytes, whatever the number of threads."""

from __future__ import annotations

from pathlib import Path

from conftest import DEMO, needs_weights

from ferwatch.analysis import analyze
from ferwatch.video import Sampling


@needs_weights
def test_the_rows_do_not_depend_on_the_threads(tmp_path: Path) -> None:
    tables = set()
    for number, threads in enumerate((1, 2, 2, None)):
        run = analyze(DEMO, tmp_path / str(number), sampling=Sampling(every=2), end=4, annotate=False, threads=threads)
        tables.add((run.folder / "frames.csv").read_bytes())
    assert len(tables) == 1
    assert tables.pop().count(b"\n") > 50
