"""methods.md: what is said of the weights, the labels and the sampling of a study's runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import in_process
from made_runs import make_run

from ferwatch.models.pretrained import read_metadata, shipped_checksum, shipped_weights
from ferwatch.study.methods import _ordinal


def methods(folder: Path, **facts: object) -> str:
    """The text of methods.md for one run whose run.json has these values."""
    run = make_run(folder / "r", "r.mp4", [(1, "happy", 0.0, 2.0)])
    kept = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(kept | facts))
    (folder / "plan.csv").write_text("video,participant\nr,A\n")
    done = in_process("study", folder / "plan.csv", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return (folder / "out" / "methods.md").read_text(encoding="utf-8")


def test_the_accuracy_is_that_of_the_labels_that_were_used(tmp_path: Path) -> None:
    model = {"name": "cnn", "weights_sha256": shipped_checksum("cnn")}
    about = read_metadata(shipped_weights("cnn"))["about"]
    for labels, figure in (
        ("crowd", about["heads"]["video"]["crowd_agreement"]),
        ("fer2013", about["public_test"]["accuracy"]),
    ):
        (tmp_path / labels).mkdir()
        text = methods(tmp_path / labels, model=model, labels=labels)
        assert f"`{labels}`" in text
        assert f"{figure:.1%}" in text
        assert "not those shipped" not in text


def test_other_weights_are_not_given_the_accuracy_of_the_shipped_ones(tmp_path: Path) -> None:
    text = methods(tmp_path, labels="crowd")
    assert "The weights of `cnn` with the SHA-256 000000000000 are not those shipped" in text
    assert "labels `crowd`" in text
    assert "PublicTest" not in text


def test_the_sampling_is_said_in_english(tmp_path: Path) -> None:
    cases = [(None, 2, "In every 2nd frame"), (None, 1, "In every frame"), (10.0, 1, "In 10 frames a second")]
    for number, (fps, every, said) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert said in methods(folder, sampling={"fps": fps, "every": every, "start": 0.0, "end": None})


def test_tests_that_were_not_done_are_not_claimed(tmp_path: Path) -> None:
    """Two people are too few."""
    for person in "AB":
        make_run(tmp_path / person, f"{person}.mp4", [(1, "happy", 0.0, 2.0)])
    (tmp_path / "plan.csv").write_text("video,participant,mood\nA,A,calm\nB,B,joke\n")
    done = in_process("study", tmp_path / "plan.csv", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "methods.md").read_text(encoding="utf-8")
    assert "were compared by" not in text
    assert "t-tests" not in text


def test_what_is_said_of_a_study_is_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people sit in each video, and moods are tested, but not devices. A video has fewer frames than are asked for;
    of another, two overlapping parts count. At one event no face is seen."""
    monkeypatch.setattr("ferwatch.study.build.write_figures", lambda *_: [])  # they take two seconds
    lines = ["video,participant,mood,device,face,start"]
    for number in range(6):
        mood, device = ("calm", "joke")[number % 2], "phone" if number < 2 else "laptop"
        happy = 0.2 + 0.1 * number
        shown = [
            (1, "happy", 0.0, happy),
            (1, "sad", happy, 2.0),
            (2, "happy", 0.0, 2 - happy),
            (2, "sad", 2 - happy, 2.0),
        ]
        make_run(tmp_path / f"v{number}", f"v{number}.mp4", shown)
        lines += [f"v{number},P{number // 2}{face},{mood},{device},{face}," for face in (1, 2)]
    facts = json.loads((tmp_path / "v0" / "run.json").read_text())
    facts["video"]["fps"] = 8.0
    (tmp_path / "v0" / "run.json").write_text(json.dumps(facts))
    lines.append("v1,P01,joke,phone,1,1.0")
    (tmp_path / "plan.csv").write_text("\n".join(lines))
    (tmp_path / "events.csv").write_text("video,time,event\nv0,0.5,pun\nv2,99,pun\n")
    done = in_process("study", tmp_path / "plan.csv", "--out", tmp_path / "out", "--events", tmp_path / "events.csv")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "methods.md").read_text(encoding="utf-8")
    assert "in 13 recordings from 6 videos of 6 participants" in text
    assert "In 10 frames a second (in all frames, at least 8 a second, of videos that have fewer) faces" in text
    assert "found in 100.0% of 120 sampled frames, each of which counts for every participant in it." in text
    assert "Levels of mood were compared by paired t-tests over participants, with" in text
    assert "Around 1 event, " in text


def test_an_adjustment_of_the_votes_is_named(tmp_path: Path) -> None:
    model = {"name": "cnn", "weights_sha256": shipped_checksum("cnn")}
    assert "disgust less and sad more likely than the predicted votes" in methods(tmp_path, model=model, labels="crowd")


@pytest.mark.parametrize(("number", "said"), [(2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (21, "21st")])
def test_ordinals(number: int, said: str) -> None:
    assert _ordinal(number) == said
