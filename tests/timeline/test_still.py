"""Faces that never move: which are found, and that no file counts them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from tables import facts_of_run, one_face, showing, write_frames

from ferwatch.cli.timeline import timeline as command
from ferwatch.export.registry import EXPORTS
from ferwatch.records import BoundingBox, FaceResult, FrameResult
from ferwatch.timeline.still import still_faces
from ferwatch.timeline.table import FrameTable

RNG = np.random.default_rng(3)
TIMES = np.arange(100) / 10


def table(move: NDArray[np.float64], probabilities: NDArray[np.float64]) -> FrameTable:
    """A face with a side of 100 pixels whose box is moved to the right by so many pixels in each of 100 frames."""
    made = one_face(TIMES[: len(move)], probabilities)
    box = np.tile([10.0, 20.0, 100.0, 100.0], (len(move), 1))
    box[:, 0] += move
    return replace(made, bbox=box)


def noisy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    shaken = np.exp(np.log(probabilities) + RNG.normal(0, 0.3, probabilities.shape))
    return np.asarray(shaken / shaken.sum(axis=1, keepdims=True))


STEADY = showing(["sad"] * 100, 0.5)
SWAY = 5 * np.sin(TIMES)


def test_a_picture_in_a_noisy_film_is_found() -> None:
    assert still_faces(table(RNG.normal(0, 2, 100), noisy(STEADY))) == (1,)


@pytest.mark.parametrize(
    ("move", "probabilities"),
    [
        pytest.param(SWAY, STEADY, id="sways with a steady expression"),
        pytest.param(np.zeros(100), showing(["neutral"] * 80 + ["happy"] * 20), id="holds still and smiles"),
        pytest.param(np.r_[np.zeros(80), np.full(20, 30.0)], STEADY, id="moves once"),
        pytest.param(np.zeros(40), STEADY[:40], id="is seen for 4 s"),
    ],
)
def test_a_person_is_not_taken_for_a_picture(move: NDArray[np.float64], probabilities: NDArray[np.float64]) -> None:
    assert still_faces(table(move, probabilities)) == ()


def test_no_file_counts_it_until_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(facts_of_run()))
    person, poster = showing(["neutral"] * 100), STEADY
    frames = [
        FrameResult(
            i,
            i / 10,
            (
                FaceResult(1, 0.9, BoundingBox(10 + SWAY[i], 10, 50, 50), tuple(person[i])),
                FaceResult(2, 0.9, BoundingBox(200, 10, 50, 50), tuple(poster[i])),
            ),
        )
        for i in range(100)
    ]
    rows = write_frames(tmp_path / "frames.csv", frames).read_bytes()

    def call(*arguments: str) -> tuple[str, dict[str, object]]:
        done = CliRunner().invoke(command, [str(tmp_path), *arguments], catch_exceptions=False)
        return done.output, json.loads((tmp_path / "run.json").read_text())

    said, kept = call(*(text for name in EXPORTS for text in ("--export", name)))
    assert "face 2 is still" in said
    assert kept["summary"]["still"] == [2]  # type: ignore[index]
    assert kept["counts"]["faces"] == 1  # type: ignore[index]
    assert (tmp_path / "frames.csv").read_bytes() == rows
    assert set(pd.read_csv(tmp_path / "episodes.csv").face_id) == {1}
    assert "face 2 is still" in (tmp_path / "timeline.html").read_text(encoding="utf-8")
    for name in ("annotated.vtt", "episodes.eaf", "episodes.boris", "episodes.tsv", "timeline.html"):
        assert "Face 2" not in (tmp_path / name).read_text(encoding="utf-8"), name
    told = json.loads((tmp_path / "timeline.json").read_text())
    assert told["summary"]["still"] == [2]
    assert {episode["face_id"] for episode in told["episodes"]} == {1}

    for arguments in (("--keep", "2"), ()):
        said, kept = call(*arguments)
        assert "still" not in said
        assert kept["counts"]["faces"] == 2  # type: ignore[index]
        assert set(pd.read_csv(tmp_path / "episodes.csv").face_id) == {1, 2}
