"""`ferwatch agree` on a study: the part of a recording that the plan counts, and videos with several participants."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from codes_files import write_boris_project, write_eaf, write_tsv
from command_line import in_process
from made_runs import make_run

EPISODES = [(1, "neutral", 0.0, 4.0), (1, "happy", 4.0, 8.0), (2, "sad", 0.0, 5.0), (2, "neutral", 5.0, 8.0)]


@pytest.fixture(autouse=True)
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", EPISODES)


def study(plan: str) -> None:
    Path("plan.csv").write_text(plan)
    done = in_process("study", "plan.csv", "--out", "study")
    assert done.returncode == 0, done.stderr


def agreement(*arguments: str | Path) -> dict[str, object]:
    done = in_process("agree", *arguments, "--out", "out")
    assert done.returncode == 0, done.stderr
    return json.loads(Path("out/agreement.json").read_text())  # type: ignore[no-any-return]


def test_only_the_part_that_the_plan_counts_is_compared(tmp_path: Path) -> None:
    study("video,participant,face,start,end\ntalk-ferwatch,Anna,1,1,7\n")
    codes = write_tsv(tmp_path / "talk.tsv", [(0, 4, "neutral"), (4, 8, "happy")])
    for sides in (("study", "--codes", codes), (codes, "--codes", "study"), ("study", "--codes", "talk-ferwatch")):
        found = agreement(*sides)
        assert (found["seconds_compared"], found["seconds_only_reference"], found["seconds_only_other"]) == (6, 0, 0)
    assert "talk.mp4, face 1: what counts is 1 to 7 s" in str(found["warnings"])


def test_parts_of_one_recording_are_recordings_of_their_own(tmp_path: Path) -> None:
    study("video,participant,face,start,end\ntalk-ferwatch,Anna,1,0,2\ntalk-ferwatch,Anna,1,5,8\n")
    codes = write_tsv(tmp_path / "talk.tsv", [(0, 3, "neutral"), (3, 8, "happy")])
    for sides in (("study", "--codes", codes), (codes, "--codes", "study")):
        found = agreement(*sides)
        assert found["seconds_compared"] == 5
        assert len(found["recordings"]) == 2  # type: ignore[arg-type]
        assert found["time"]["kappa"] == 1  # type: ignore[index]


def test_each_participant_of_one_video_has_codes_of_their_own(tmp_path: Path) -> None:
    study("video,participant,face\ntalk-ferwatch,Anna,1\ntalk-ferwatch,Ben,2\n")
    anna, ben = [(0, 4, "neutral"), (4, 8, "happy")], [(0, 5, "sad"), (5, 8, "neutral")]
    first = write_tsv(tmp_path / "talk-ferwatch.tsv", anna)
    second = write_tsv(tmp_path / "talk-ferwatch#2.tsv", ben)
    table = tmp_path / "all.csv"
    lines = [(name, *code) for name, codes in (("talk.mp4", anna), ("talk.mp4#2", ben)) for code in codes]
    rows = [",".join(map(str, line)) for line in (("file", "start", "end", "label"), *lines)]
    table.write_text("\n".join(rows))
    for codes in ((first, second), (table,)):
        found = agreement("study", "--codes", *codes)
        assert found["time"]["kappa"] == 1  # type: ignore[index]
        assert [one["recording"] for one in found["recordings"]] == ["talk.mp4", "talk.mp4#2"]  # type: ignore[attr-defined]
    linked = write_eaf(tmp_path / "ben.eaf", ben, "talk.mp4")
    for arguments in ((second,), (linked, "--face", "2"), (first, "--face", "1")):
        assert agreement("study", "--codes", *arguments)["time"]["kappa"] == 1  # type: ignore[index]
    refused = in_process("agree", "study", "--codes", linked)
    assert refused.returncode == 1
    assert "several recordings (talk.mp4, face 1, talk.mp4#2, face 2): choose with --face, or name" in refused.stderr
    assert "such as talk.mp4#2" in refused.stderr
    assert (
        "no recording is of face 3; its faces are 1, 2"
        in in_process("agree", "study", "--codes", first, "--face", "3").stderr
    )


def test_codes_of_a_film_that_begins_later_than_its_video_are_shifted(tmp_path: Path) -> None:
    run = tmp_path / "talk-ferwatch"
    facts = json.loads((run / "run.json").read_text())
    facts["sampling"]["start"], facts["settings"]["blurred faces"] = 2.0, True
    (run / "run.json").write_text(json.dumps(facts))
    (run / "annotated.mp4").touch()
    film = [(0, 2, "neutral"), (2, 6, "happy")]
    for write, name in ((write_eaf, "episodes.eaf"), (write_boris_project, "episodes.boris")):
        found = agreement(run, "--codes", write(run / name, film, "annotated.mp4"))
        assert (found["seconds_compared"], found["time"]["kappa"]) == (6, 1)  # type: ignore[index]
        assert "too early" not in str(found["warnings"])
    copied = agreement(run, "--codes", write_eaf(tmp_path / "talk.eaf", film, "annotated.mp4"))
    assert "they are 2 s too early" in str(copied["warnings"])
    source = agreement(run, "--codes", write_eaf(tmp_path / "talk.eaf", [(2, 4, "neutral")], "talk.mp4"))
    assert "too early" not in str(source["warnings"])
