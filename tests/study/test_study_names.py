"""Names in a study that several things share: videos of different folders, and events and conditions as files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from command_line import in_process
from made_runs import make_run


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    for folder, person in (("s1", "anna"), ("s2", "ben")):
        run = make_run(tmp_path / folder / "talk", "talk.mp4", [(1, "happy", 0.0, 4.0)])
        if person == "ben":
            facts = json.loads((run / "run.json").read_text())
            facts["warnings"] = ["its pictures end at 4.0 s of 8.0 s declared", "a sound track is left out"]
            (run / "run.json").write_text(json.dumps(facts))
    path = tmp_path / "plan.csv"
    path.write_text("video,participant,mood,Mood\ns1/talk,anna,a,c\ns2/talk,ben,b,d\n")
    return path


def test_an_event_belongs_to_the_video_of_its_folder(plan: Path) -> None:
    events = plan.with_name("events.csv")
    events.write_text("video,time,event\ns2/talk,2,joke\n")
    done = in_process("study", plan, "--events", events, "--out", plan.parent / "out")
    assert done.returncode == 0, done.stderr
    assert set(pd.read_csv(plan.parent / "out" / "events.csv").participant) == {"ben"}
    events.write_text("video,time,event\ntalk,2,joke\n")
    done = in_process("study", plan, "--events", events, "--out", plan.parent / "other")
    assert done.returncode == 1
    assert "events.csv, line 2: talk may be" in done.stderr
    assert "name it as the plan does, with its folder and suffix" in done.stderr


def test_names_that_differ_by_case_have_figures_of_their_own_and_damage_is_a_note(plan: Path) -> None:
    done = in_process("study", plan, "--out", plan.parent / "out")
    assert done.returncode == 0, done.stderr
    assert {"condition-mood.png", "condition-mood-2.png"} <= {path.name for path in (plan.parent / "out").iterdir()}
    assert "note: talk#2: its pictures end at 4.0 s of 8.0 s declared" in done.stdout
    assert "sound" not in done.stdout
