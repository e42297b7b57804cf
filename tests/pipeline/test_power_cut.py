"""Finished segments that a power cut has damaged: --resume analyses them again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from segment_clips import clip_of

from ferwatch.models.classifier import Classifier
from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.executors import InProcess, LocalProcesses
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.video.sampling import Sampling

OPTIONS = AnalysisOptions(sampling=Sampling(fps=4), annotate=False, exports=("json",))
COMPARED = ("frames.csv", "episodes.csv", "timeline.json")


pytestmark = pytest.mark.usefixtures("short_videos_are_cut")


def test_segments_that_a_power_cut_has_damaged_are_analysed_again(
    tmp_path: Path,
    small_demo: list[np.ndarray],
    classifier: Classifier,
    one_or_two: InProcess | LocalProcesses,
) -> None:
    path = clip_of(tmp_path / "plain.mp4", small_demo + small_demo)
    whole = write_run(path, tmp_path / "whole", OPTIONS, classifier, executor=one_or_two)
    out = tmp_path / "out"

    def stop(_stage: str, done: int, total: int) -> None:
        if done >= total - 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_run(path, out, OPTIONS, classifier, executor=one_or_two, progress=stop)
    first, second, *_ = sorted(out.rglob("*.npz"))
    first.write_bytes(b"")
    content = bytearray(second.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 512] = bytes(512)
    second.write_bytes(content)
    write_run(path, out, OPTIONS, classifier, executor=one_or_two, resume=True)
    for file in COMPARED:
        assert (out / file).read_bytes() == (whole.folder / file).read_bytes(), file


def test_a_damaged_period_of_one_pass_is_analysed_again(
    tmp_path: Path, small_demo: list[np.ndarray], classifier: Classifier
) -> None:
    """And those after it, which one pass cannot leave out."""
    path = clip_of(tmp_path / "plain.mp4", small_demo)
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
