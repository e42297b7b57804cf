"""Finished segments that a power cut has damaged: --resume analyses them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from segment_clips import clip_of, demo_pictures

from ferwatch.models.classifier import Classifier
from ferwatch.pipeline import cuts
from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.executors import InProcess, LocalProcesses
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.video.sampling import Sampling

OPTIONS = AnalysisOptions(sampling=Sampling(fps=4), annotate=False, exports=("json",))
COMPARED = ("frames.csv", "episodes.csv", "timeline.json")


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return demo_pictures()


@pytest.fixture
def two_workers() -> Iterator[LocalProcesses]:
    with LocalProcesses(2) as executor:
        yield executor


@pytest.fixture(autouse=True)
def short_videos_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "MIN_PARALLEL_SECONDS", 0.0)


@pytest.mark.parametrize("workers", [1, 2])
def test_segments_that_a_power_cut_has_damaged_are_analysed_again(
    workers: int,
    tmp_path: Path,
    pictures: list[np.ndarray],
    classifier: Classifier,
    two_workers: LocalProcesses,
) -> None:
    path = clip_of(tmp_path / "plain.mp4", pictures + pictures)
    executor = {1: InProcess(), 2: two_workers}[workers]
    whole = write_run(path, tmp_path / "whole", OPTIONS, classifier, executor=executor)
    out = tmp_path / "out"

    def stop(_stage: str, done: int, total: int) -> None:
        if done >= total - 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_run(path, out, OPTIONS, classifier, executor=executor, progress=stop)
    first, second, *_ = sorted(out.rglob("*.npz"))
    first.write_bytes(b"")
    content = bytearray(second.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 512] = bytes(512)
    second.write_bytes(content)
    write_run(path, out, OPTIONS, classifier, executor=executor, resume=True)
    for file in COMPARED:
        assert (out / file).read_bytes() == (whole.folder / file).read_bytes(), file


def test_a_damaged_period_of_one_pass_is_analysed_again(
    tmp_path: Path, pictures: list[np.ndarray], classifier: Classifier
) -> None:
    """And those after it, which one pass cannot leave out."""
    path = clip_of(tmp_path / "plain.mp4", pictures)
    options = replace(OPTIONS, decoder="opencv")
    whole = write_run(path, tmp_path / "whole", options, classifier)
    out = tmp_path / "out"

    def stop(_stage: str, done: int, total: int) -> None:
        if done >= total - 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_run(path, out, options, classifier, progress=stop)
    _, second, *others = sorted(out.rglob("*.npz"))
    assert others
    second.write_bytes(b"")
    write_run(path, out, options, classifier, resume=True)
    for file in COMPARED:
        assert (out / file).read_bytes() == (whole.folder / file).read_bytes(), file
