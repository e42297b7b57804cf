"""study and agree on a run with a baseline, and on one with a picture that never moves."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from command_line import in_process
from made_runs import make_run

from ferwatch.records import EMOTIONS


def change(run: Path, **facts: object) -> None:
    kept = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(kept | facts))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = make_run(tmp_path / "talk", "talk.mp4", [(1, "sad", 0.0, 6.0), (1, "happy", 6.0, 8.0)])
    (tmp_path / "plan.csv").write_text("video,participant\ntalk,A\n")
    return made


def study(folder: Path) -> pd.DataFrame:
    done = in_process("study", folder / "plan.csv", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return pd.read_csv(folder / "out" / "participants.csv").set_index("emotion")


def test_a_study_uses_the_corrected_probabilities_and_says_so(run: Path) -> None:
    before = study(run.parent).mean_probability
    neutral, shift = EMOTIONS.index("neutral"), [0.0] * 7
    shift[neutral] = 2.0
    kept = json.loads((run / "run.json").read_text())["timeline"]
    change(run, timeline={**kept, "baseline": {"source": "0:00 to 0:05", "shifts": {"1": shift}}})
    after = study(run.parent).mean_probability
    # By hand: neutral has 0.03 in every row; its odds are multiplied by e^2 = 7.389.
    share = 0.03 * 7.389 / (0.97 + 0.03 * 7.389)
    assert before["neutral"] == pytest.approx(0.03, abs=1e-4)
    assert after["neutral"] == pytest.approx(share, abs=1e-3)
    out = run.parent / "out"
    assert pd.read_csv(out / "recordings.csv").baseline[0] == "0:00 to 0:05"
    methods = (out / "methods.md").read_text(encoding="utf-8")
    assert "shifted in log-odds" in methods
    assert "baseline-corrected probabilities are used (baseline: 0:00 to 0:05)" in methods

    (run.parent / "talk.tsv").write_text("start\tend\tlabel\n0\t6\tsad\n6\t8\thappy\n")
    done = in_process("agree", run, "--codes", run.parent / "talk.tsv")
    assert "baseline-corrected probabilities are used" in done.stdout


def test_a_picture_that_never_moves_is_not_counted_and_named(run: Path) -> None:
    change(run, summary={"still": [4]})
    study(run.parent)
    assert "face 4 is still" in (run.parent / "out" / "methods.md").read_text(encoding="utf-8")


def test_a_face_that_the_baseline_does_not_show_is_not_said_to_be_corrected(run: Path) -> None:
    kept = json.loads((run / "run.json").read_text())["timeline"]
    change(run, timeline={**kept, "baseline": {"source": "0:00 to 0:02", "shifts": {"2": [0.0] * 7}}})
    study(run.parent)
    out = run.parent / "out"
    assert pd.read_csv(out / "recordings.csv").baseline.isna().all()
    methods = (out / "methods.md").read_text(encoding="utf-8")
    assert "face 1 is not corrected, because the baseline (0:00 to 0:02) does not show it" in methods
    assert "shifted in log-odds" not in methods
