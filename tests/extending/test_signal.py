"""Adds a signal per face: how undecided the model is, as the entropy of its probabilities in bits."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from math import log2
from pathlib import Path

import pytest
from conftest import DEMO, needs_weights

import ferwatch
from ferwatch.timeline import schema


def entropy(face: ferwatch.FaceResult) -> float:
    return -sum(p * log2(p) for p in face.probabilities if p > 0)


@pytest.fixture
def signal() -> Iterator[None]:
    schema.register_signal("entropy", entropy, ".3f")
    yield
    del schema.SCHEMA[-1], schema.COLUMNS[-1]


@needs_weights
@pytest.mark.usefixtures("signal")
def test_table_and_exports_have_the_signal(tmp_path: Path) -> None:
    run = ferwatch.analyze(DEMO, out=tmp_path / "run", end=0.5, annotate=False, exports=["json"])
    with open(run.folder / "frames.csv", newline="", encoding="utf-8") as file:
        (first, *_) = csv.DictReader(file)
    assert list(first)[-1] == "entropy"
    expected = -sum(p * log2(p) for p in (float(first[e]) for e in ferwatch.EMOTIONS) if p)
    assert float(first["entropy"]) == pytest.approx(expected, abs=0.002)
    frames = json.loads((run.folder / "timeline.json").read_text(encoding="utf-8"))["frames"]
    assert frames[0]["faces"][0]["entropy"] == pytest.approx(expected, abs=0.002)
