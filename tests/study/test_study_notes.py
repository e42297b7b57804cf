"""What `ferwatch study` refuses to replace, and what its notes name."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from command_line import in_process
from made_runs import make_run

from ferwatch.pipeline.lock import BATCH_LOCK_FILE, FolderLock
from ferwatch.study.analysis import find_runs
from ferwatch.study.events import LARGEST_CHANGE
from ferwatch.study.figures import curve_of_event
from ferwatch.study.plan import read_plan


def test_a_study_replaces_neither_its_inputs_nor_the_files_of_others(tmp_path: Path) -> None:
    make_run(tmp_path / "r", "r.mp4", [(1, "happy", 0.0, 2.0)])
    plan, events = tmp_path / "plan.csv", tmp_path / "events.csv"
    plan.write_text("video,participant\nr,A\n")
    events.write_text("video,time,event\nr,1,joke\n")
    kept = events.read_bytes()
    refused = in_process("study", plan, "--events", events, "--out", tmp_path, "--overwrite")
    assert refused.returncode == 1
    assert "events.csv would be replaced by the study's own table" in refused.stderr
    assert events.read_bytes() == kept
    (tmp_path / "participants.csv").write_text("participant,age\nA,30\n")
    refused = in_process("study", plan, "--out", tmp_path)
    assert refused.returncode == 1
    assert "--overwrite" in refused.stderr
    assert (tmp_path / "participants.csv").read_text() == "participant,age\nA,30\n"
    for _ in range(2):
        done = in_process("study", plan, "--events", events, "--out", tmp_path / "study")
        assert done.returncode == 0, done.stderr


def test_two_studies_do_not_analyse_into_one_folder(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "plan.csv").write_text("video,participant\na.mp4,A\n")
    with FolderLock(tmp_path / "out" / "runs", "a batch", BATCH_LOCK_FILE):
        done = in_process("study", tmp_path / "plan.csv", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "another ferwatch is at work in" in done.stderr
    assert not (tmp_path / "out" / "runs" / "batch.json").exists()


def test_runs_that_were_made_in_different_ways_are_named(tmp_path: Path) -> None:
    for name, smoothing in (("a", 0.2), ("b", 1.0)):
        run = make_run(tmp_path / name, f"{name}.mp4", [(1, "happy", 0.0, 2.0)])
        facts = json.loads((run / "run.json").read_text())
        facts["timeline"]["smoothing"] = smoothing
        (run / "run.json").write_text(json.dumps(facts))
    (tmp_path / "plan.csv").write_text("video,participant\na,A\nb,B\n")
    done = in_process("study", tmp_path / "plan.csv", "--out", tmp_path / "out")
    assert "note: the recordings were not analysed alike (smoothing: 0.2, 1.0)" in done.stdout
    assert "not analysed alike" in (tmp_path / "out" / "methods.md").read_text()


def test_an_event_that_nobody_shows_is_named(tmp_path: Path) -> None:
    make_run(tmp_path / "r", "r.mp4", [(1, "happy", 0.0, 4.0)])
    (tmp_path / "plan.csv").write_text("video,participant\nr,A\n")
    (tmp_path / "events.csv").write_text("video,time,event\nr,1,joke\nr,99,pun\n")
    done = in_process("study", tmp_path / "plan.csv", "--events", tmp_path / "events.csv", "--out", tmp_path / "out")
    assert "note: r: no face is seen around pun at 99 s" in done.stdout
    assert "around joke" not in done.stdout


def test_a_recording_that_fails_is_named_once(tmp_path: Path) -> None:
    make_run(tmp_path / "r", "r.mp4", [(1, "happy", 0.0, 4.0)])
    plan = tmp_path / "plan.csv"
    plan.write_text("video,participant,face\nr,A,1\nr,B,2\n")
    done = in_process("study", plan, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("ferwatch: 1 recording is left out: r#2: the plan names face 2, ")
    assert "<p>1 recording · 1 participant</p>" in (tmp_path / "out" / "study.html").read_text()
    plan.write_text("video,participant\ngone.mp4,B\n")
    _, (failure,) = find_runs(read_plan(plan), tmp_path / "out", None, 1, False, lambda done, total, cause: None)
    assert failure.startswith("gone.mp4 cannot be read: ")


def test_what_an_earlier_study_has_left_in_the_folder_is_named(tmp_path: Path) -> None:
    make_run(tmp_path / "r", "r.mp4", [(1, "happy", 0.0, 4.0)])
    plan, out = tmp_path / "plan.csv", tmp_path / "out"
    plan.write_text("video,participant\nr,A\n")
    (tmp_path / "events.csv").write_text("video,time,event\nr,1,joke\n")
    first = in_process("study", plan, "--events", tmp_path / "events.csv", "--out", out)
    assert "the folder also holds" not in first.stdout
    events = (out / "events.csv").read_bytes()
    second = in_process("study", plan, "--out", out)
    assert "note: the folder also holds events.csv, event-joke.png, which this study has not written" in second.stdout
    assert (out / "events.csv").read_bytes() == events


def test_a_face_is_not_seen_for_longer_than_the_recording_lasts(tmp_path: Path) -> None:
    """Ten samples a second of a recording of 2.03 s: the last one stands for 0.03 s."""
    make_run(tmp_path / "r", "r.mp4", [(1, "happy", 0.0, 2.1)])
    facts = json.loads((tmp_path / "r" / "run.json").read_text())
    facts["timeline"]["duration"] = 2.03
    (tmp_path / "r" / "run.json").write_text(json.dumps(facts))
    (tmp_path / "plan.csv").write_text("video,participant\nr,A\n")
    done = in_process("study", tmp_path / "plan.csv", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "out" / "participants.csv", newline="") as file:
        assert {float(row["seconds_with_face"]) for row in csv.DictReader(file)} == {2.03}


def test_a_bin_that_lacks_somebody_has_no_mean() -> None:
    """Else the curve would jump where a recording ends."""
    values = np.array([[0.1, 0.2, np.nan], [0.3, 0.4, 0.9]])
    means, bands = curve_of_event(values, 1.0)
    np.testing.assert_allclose(means, [0.2, 0.3, np.nan])
    assert np.isnan(bands).all()


def test_a_band_stays_where_changes_can_be() -> None:
    """Five of six people change as much as possible; the bootstrap alone goes beyond that."""
    changes = np.array([[1.0]] * 5 + [[0.2]])
    _, bands = curve_of_event(changes, LARGEST_CHANGE["happy"])
    assert bands[0, 1] == 1
    _, bands = curve_of_event(2 * changes, LARGEST_CHANGE["valence"])
    assert bands[0, 1] == 2
