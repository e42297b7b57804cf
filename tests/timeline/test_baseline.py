"""A person's own neutral: what the correction does, where it is kept, and which files say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tables import facts_of_run, one_face, write_frames

from ferwatch.errors import DataError
from ferwatch.pipeline.rebuild import rebuild
from ferwatch.records import EMOTIONS, BoundingBox, FaceResult, FrameResult
from ferwatch.timeline.baseline import baseline_of_recording, baseline_of_stretch

SAD_AT_REST = (0.05, 0.02, 0.05, 0.05, 0.5, 0.03, 0.3)
SMILING = (0.02, 0.02, 0.03, 0.6, 0.2, 0.03, 0.1)


def frames() -> list[FrameResult]:
    """Somebody who looks sad at rest for 5 s, smiles for 3 s, and is at rest again."""
    box = BoundingBox(10, 10, 50, 50)
    shown = [SAD_AT_REST] * 50 + [SMILING] * 30 + [SAD_AT_REST] * 20
    return [FrameResult(i, i / 10, (FaceResult(1, 0.9, box, p),)) for i, p in enumerate(shown)]


def test_the_stretch_becomes_neutral_and_odds_shift_alike() -> None:
    table = one_face(np.arange(80) / 10, np.array([SAD_AT_REST] * 50 + [SMILING] * 30))
    corrected = baseline_of_stretch(table, 0, 5, "0 to 5 s").apply(table)
    assert corrected[0] == pytest.approx([0.05] * 6 + [0.7], abs=1e-3)
    np.testing.assert_allclose(corrected.sum(axis=1), 1, atol=1e-3)
    # The odds of any two emotions change by the same factor in every row.
    odds = [p[:, EMOTIONS.index("happy")] / p[:, EMOTIONS.index("sad")] for p in (table.probabilities, corrected)]
    assert (odds[1] / odds[0]) == pytest.approx(odds[1][0] / odds[0][0], rel=0.02)
    assert EMOTIONS[corrected[60].argmax()] == "happy"


def test_from_another_recording() -> None:
    neutral = one_face(np.arange(50) / 10, np.array([SAD_AT_REST] * 50), face_id=3)
    table = one_face(np.arange(30) / 10, np.array([SAD_AT_REST] * 30))
    assert baseline_of_recording(neutral, table, "rest").apply(table)[0, -1] == pytest.approx(0.7, abs=1e-3)
    nobody = neutral.select(np.zeros(50, bool))
    with pytest.raises(DataError, match="--baseline rest: it shows 0 faces; give a recording of one"):
        baseline_of_recording(nobody, table, "rest")


def test_it_is_kept_and_every_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(facts_of_run()))
    rows = write_frames(tmp_path / "frames.csv", frames()).read_bytes()
    exports = ["json", "parquet", "html", "vtt", "eaf", "boris"]
    assert [e.emotion for e in rebuild(tmp_path, exports=exports).timeline.episodes] == ["sad", "happy", "sad"]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    rebuild(tmp_path, baseline="0-0:05")
    assert [e.emotion for e in rebuild(tmp_path).timeline.episodes] == ["neutral", "happy", "neutral"]
    first, smile, _ = rebuild(tmp_path).timeline.episodes
    assert first.mean_valence == pytest.approx(0, abs=0.02), "the resting face is neutral, not sad"
    assert smile.mean_valence > 0.3
    assert (tmp_path / "frames.csv").read_bytes() == rows, "the uncorrected columns stay"
    for name in ("timeline.json", "timeline.html", "annotated.vtt", "episodes.eaf", "episodes.boris", "run.json"):
        assert "0:00.000 to 0:05.000" in (tmp_path / name).read_text(encoding="utf-8"), name
    table = pd.read_parquet(tmp_path / "frames.parquet")
    assert table.corrected_neutral[0] == pytest.approx(0.7, abs=1e-3)
    assert table.neutral[0] == pytest.approx(0.3)

    rebuild(tmp_path, reset=True)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    assert all(after[name] == before[name] for name in after)
    for wrong, says in (
        ("5-2", "ends before it begins"),
        ("90-99", "no face is seen"),
        ("nowhere", "neither START-END"),
    ):
        with pytest.raises(DataError, match=says):
            rebuild(tmp_path, baseline=wrong)
