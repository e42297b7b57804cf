"""Adds an export format: the episodes as a Markdown list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import DEMO, needs_weights

import ferwatch
from ferwatch.export import registry
from ferwatch.timeline.model import Timeline


def write_markdown(path: Path, timeline: Timeline) -> None:
    lines = [f"- face {e.face_id}: {e.emotion}, {e.start:.1f} to {e.end:.1f} s\n" for e in timeline.episodes]
    path.write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def markdown() -> Iterator[None]:
    registry.register("markdown", "episodes.md", write_markdown)
    yield
    del registry.EXPORTS["markdown"]


@needs_weights
@pytest.mark.usefixtures("markdown")
def test_a_run_writes_the_format(tmp_path: Path) -> None:
    run = ferwatch.analyze(DEMO, out=tmp_path / "run", end=1.5, annotate=False, exports=["markdown"])
    assert (tmp_path / "run" / "episodes.md") in run.files
    assert (tmp_path / "run" / "episodes.md").read_text(encoding="utf-8").startswith("- face 1: neutral, 0.0 to ")
