"""Studies of recordings of which only a part counts: runs with a start, and plans with start and end."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from command_line import in_process
from made_runs import make_run


def study(folder: Path, plan: str, table: str) -> list[dict[str, str]]:
    """Lines of a table of the study that a plan describes."""
    (folder / "plan.csv").write_text(plan)
    done = in_process("study", folder / "plan.csv", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    with open(folder / "out" / table, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("planned", "onset"), [("", 5.0), ("2", 5.0), ("12", 3.0)])
def test_the_first_onset_counts_from_where_run_and_plan_begin(tmp_path: Path, planned: str, onset: float) -> None:
    run = make_run(tmp_path / "r", "r.mp4", [(1, "neutral", 10.0, 15.0), (1, "happy", 15.0, 20.0)])
    facts = json.loads((run / "run.json").read_text())
    facts["sampling"]["start"] = 10.0
    (run / "run.json").write_text(json.dumps(facts))
    rows = study(tmp_path, f"video,participant,start\nr,A,{planned}\n", "participants.csv")
    assert {row["emotion"]: row["first_onset"] for row in rows}["happy"] == f"{onset:g}"


def test_the_part_that_counts_goes_to_its_end_and_its_seconds_are_those_of_its_episode(tmp_path: Path) -> None:
    """Samples lie at every tenth of a second: 1.05 and 5.05 s lie between two of them."""
    make_run(tmp_path / "r", "r.mp4", [(1, "happy", 0.0, 8.0)])
    plan = "video,participant,start,end\nr,A,1.05,5.05\nr,B,,7\nr,C,1,\n"
    rows = study(tmp_path, plan, "recordings.csv")
    assert [(row["start"], row["end"]) for row in rows] == [("1.05", "5.05"), ("0", "7"), ("1", "8")]
    people = study(tmp_path, plan, "participants.csv")
    seconds = {row["participant"]: float(row["seconds_with_face"]) for row in people}
    assert seconds == {"A": 4.0, "B": 7.0, "C": 7.0}


def test_an_episode_whose_peak_is_cut_off_has_none(tmp_path: Path) -> None:
    """The peaks lie in the middle, at 2 and 6 s."""
    make_run(tmp_path / "r", "r.mp4", [(1, "neutral", 0.0, 4.0), (1, "happy", 4.0, 8.0)])
    rows = study(tmp_path, "video,participant,start,end\nr,A,1,5\nr,A,3,7\n", "episodes.csv")
    found = [(row["emotion"], row["start"], row["end"], row["peak_time"], row["peak_confidence"]) for row in rows]
    assert found == [
        ("neutral", "1", "4", "2", "0.82"),
        ("happy", "4", "5", "", ""),
        ("neutral", "3", "4", "", ""),
        ("happy", "4", "7", "6", "0.82"),
    ]


def test_the_participant_has_the_most_time_in_the_part_that_counts(tmp_path: Path) -> None:
    make_run(tmp_path / "r", "r.mp4", [(1, "neutral", 0.0, 9.0), (2, "happy", 7.0, 12.0), (3, "sad", 14.0, 15.0)])
    rows = study(tmp_path, "video,participant,start,end\nr,A,,\nr,B,8,12\nr,C,0,7\nr,D,12.5,13.5\n", "recordings.csv")
    assert [row["face_id"] for row in rows] == ["1", "2", "1", "1"]  # nobody has an episode in the last part
    notes = (tmp_path / "out" / "methods.md").read_text()
    assert "r: face 1, which has the most time of 3, is taken" in notes
    assert "r#2: face 2, which has the most time of 2, is taken" in notes
    assert "r#3: face" not in notes
