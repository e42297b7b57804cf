"""`ferwatch agree` as a user runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from codes_files import write_boris_events, write_boris_project, write_eaf, write_tsv
from command_line import Ferwatch, in_process
from conftest import SHARED, needs_weights
from made_runs import make_run

NAMES = ("lp_d0", "lp_d3", "lp_d8")


@pytest.fixture
def ferwatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ferwatch:
    monkeypatch.chdir(tmp_path)
    return in_process


def figures(path: Path) -> dict[str, object]:
    """agreement.json without the names of the files."""
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["recordings"]
    return content


@needs_weights
def test_the_same_codes_give_the_same_figures_from_elan_boris_and_tables(ferwatch: Ferwatch, tmp_path: Path) -> None:
    table = SHARED / "people" / "clips.csv"
    if not table.exists():
        pytest.skip("the clips of people are not here: they lie in ../shared/people")
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    files: dict[str, list[Path]] = {"tsv": [], "eaf": [], "boris": [], "events": []}
    for name in NAMES:
        done = ferwatch(table.parent / "clips" / f"{name}.mp4", "--no-video", "--quiet")
        assert done.returncode == 0, done.stderr
        codes = [(float(r["start"]), float(r["end"]), r["label"]) for r in rows if r["file"] == f"{name}.mp4"]
        (tmp_path / "events").mkdir(exist_ok=True)
        files["tsv"].append(write_tsv(tmp_path / f"{name}.tsv", codes))
        files["eaf"].append(write_eaf(tmp_path / f"{name}.eaf", codes, f"{name}.mp4"))
        files["boris"].append(write_boris_project(tmp_path / f"{name}.boris", codes, f"{name}.mp4"))
        files["events"].append(write_boris_events(tmp_path / "events" / f"{name}.tsv", codes, f"{name}.mp4"))
    found = {}
    for kind, paths in files.items():
        runs = [f"{name}-ferwatch" for name in NAMES]
        done = ferwatch("agree", *runs, "--codes", *paths, "--as", "unclear=", "--out", f"out-{kind}")
        assert done.returncode == 0, done.stderr
        found[kind] = figures(tmp_path / f"out-{kind}" / "agreement.json")
    assert found["eaf"] == found["boris"] == found["events"] == found["tsv"]
    # What clips.csv codes with a label other than "unclear" in these three clips, less what has no episode.
    assert 9.5 < found["tsv"]["seconds_compared"] < 10.5  # type: ignore[operator]


EPISODES = [(1, "neutral", 0.0, 2.0), (1, "happy", 2.0, 4.0), (1, "neutral", 4.0, 6.0), (2, "sad", 0.0, 1.0)]


def test_a_run_is_compared_with_renamed_codes(ferwatch: Ferwatch, tmp_path: Path) -> None:
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", EPISODES)
    codes = write_eaf(tmp_path / "anna.eaf", [(0, 2.5, "calm"), (2.5, 4, "smile"), (4, 6, "calm")], "talk.mp4")
    renames = ("--as", "smile=happy", "--as", "calm=neutral")
    done = ferwatch("agree", "talk-ferwatch", "--codes", codes, *renames, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "agreement 0.92, Cohen's kappa 0.80" in done.stdout  # 5.5 of 6 s; chance: (4.5 * 4 + 1.5 * 2) / 36
    assert "face 1, which has the most time of 2, is compared" in done.stdout
    assert "largest peak against what was coded: 1 of 1" in done.stdout
    found = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert found["onset_difference"]["median"] == 0
    assert found["time"]["seconds"]["neutral"]["happy"] == 0.5
    assert (tmp_path / "out" / "agreement.png").stat().st_size > 10_000
    assert str(tmp_path) not in (tmp_path / "out" / "agreement.json").read_text()


def test_labels_that_no_run_gives_and_renames_of_none_are_named(ferwatch: Ferwatch, tmp_path: Path) -> None:
    make_run(tmp_path / "r", "r.mp4", EPISODES)
    write_tsv(tmp_path / "r.tsv", [(0.0, 2.0, "neutral"), (2.0, 4.0, "Happy")])
    done = ferwatch("agree", "r", "--codes", "r.tsv", "--as", "smlie=happy")
    assert done.returncode == 0, done.stderr
    assert "ferwatch gives none of the labels Happy" in done.stdout
    assert "--as smlie=happy: no code is called smlie" in done.stdout
    done = ferwatch("agree", "r", "--codes", "r.tsv", "--as", "Happy=happy")
    assert "none of the labels" not in done.stdout
    assert "no code is called" not in done.stdout


def test_time_without_codes_can_count_as_neutral(ferwatch: Ferwatch, tmp_path: Path) -> None:
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", EPISODES[:3])
    codes = write_tsv(tmp_path / "talk.tsv", [(2, 4, "happy")])
    without = ferwatch("agree", "talk-ferwatch", "--codes", codes)
    assert "2.0 s compared" in without.stdout
    counted = ferwatch("agree", "talk-ferwatch", "--codes", codes, "--uncoded", "neutral")
    assert "6.0 s compared" in counted.stdout
    assert "Cohen's kappa 1.00" in counted.stdout


def test_two_coders_and_two_runs_are_compared(ferwatch: Ferwatch, tmp_path: Path) -> None:
    first = write_tsv(tmp_path / "one.tsv", [(0, 6, "happy"), (6, 10, "neutral")])
    second = write_tsv(tmp_path / "two.tsv", [(0, 4, "happy"), (4, 10, "neutral")])
    coders = ferwatch("agree", second, "--codes", first)
    assert "agreement 0.80, Cohen's kappa 0.62" in coders.stdout
    assert "name different recordings; compared all the same" in coders.stdout
    make_run(tmp_path / "a", "talk.mp4", EPISODES[:3])
    make_run(tmp_path / "b", "talk.mp4", EPISODES[:3])
    runs = ferwatch("agree", "a", "--codes", "b")
    assert "Cohen's kappa 1.00" in runs.stdout


def test_names_that_hold_a_dot_are_not_cut(ferwatch: Ferwatch, tmp_path: Path) -> None:
    for name in ("P1", "P1.stress", "P1.rest"):
        make_run(tmp_path / f"{name}-ferwatch", f"{name}.mp4", EPISODES[:3])
        write_tsv(tmp_path / f"{name}.tsv", [(0, 2, "neutral"), (2, 4, "happy")])
    (tmp_path / "all.csv").write_text("file,start,end,label\nP1.stress,0,2,neutral\nP1.rest.MP4,0,2,neutral\n")
    write_eaf(tmp_path / "anna.eaf", [(0, 2, "neutral")], "P1.rest.wav")
    write_tsv(tmp_path / "P1.stress.mp4.tsv", [(0, 2, "neutral")])
    runs = ("P1-ferwatch", "P1.stress-ferwatch", "P1.rest-ferwatch")
    for codes, paired in (
        (("P1.stress.tsv",), ("P1.stress.mp4",)),
        (("P1.tsv",), ("P1.mp4",)),
        (("all.csv",), ("P1.stress.mp4", "P1.rest.mp4")),
        (("anna.eaf", "P1.stress.mp4.tsv"), ("P1.rest.mp4", "P1.stress.mp4")),
    ):
        done = ferwatch("agree", *runs, "--codes", *codes, "--out", "out")
        assert done.returncode == 0, done.stderr
        found = json.loads((tmp_path / "out" / "agreement.json").read_text())
        assert tuple(pair["recording"] for pair in found["recordings"]) == paired
    # A folder of another name says which recording it is, too.
    make_run(tmp_path / "P2.calm-ferwatch", "", EPISODES[:3])
    done = ferwatch("agree", *runs, "P2.calm-ferwatch", "--codes", write_tsv(tmp_path / "P2.calm.tsv", [(0, 2, "sad")]))
    assert done.returncode == 0, done.stderr


def test_what_has_to_be_chosen_is_said(ferwatch: Ferwatch, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_run(tmp_path / "runs" / name, f"{name}.mp4", EPISODES[:3])
    tiers = tmp_path / "a.csv"
    tiers.write_text("tier,start,end,label\nAnna,0,1,happy\nBen,0,1,sad\n")
    done = ferwatch("agree", "runs/a", "--codes", tiers)
    assert done.returncode == 1
    assert "several tiers, 'Anna', 'Ben': choose with --tier" in done.stderr
    assert ferwatch("agree", "runs/a", "--codes", tiers, "--tier", "Anna").returncode == 0
    stranger = write_tsv(tmp_path / "c.tsv", [(0, 1, "happy")])
    done = ferwatch("agree", "runs", "--codes", stranger)
    assert done.returncode == 1
    assert "c.tsv belongs to none of the recordings (a.mp4, face 1, b.mp4, face 1)" in done.stderr
    for arguments in (("--as", "smile"), ("--face", "7")):
        assert ferwatch("agree", "runs/a", "--codes", tiers, "--tier", "Anna", *arguments).returncode in (1, 2)


def test_runs_without_codes_need_not_have_the_face(ferwatch: Ferwatch, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a", "a.mp4", EPISODES)
    make_run(tmp_path / "runs" / "b", "b.mp4", EPISODES[:3])
    codes = write_tsv(tmp_path / "a.tsv", [(0, 1, "sad")])
    done = ferwatch("agree", "runs", "--codes", codes, "--face", "2")
    assert done.returncode == 0, done.stderr
    assert "without codes, and left out: b.mp4" in done.stdout
    done = ferwatch("agree", "runs", "--codes", codes, write_tsv(tmp_path / "b.tsv", [(0, 1, "sad")]), "--face", "2")
    assert done.returncode == 1
    assert "there is no face 2; its faces are 1: choose with --face" in done.stderr


def test_a_tier_applies_to_the_files_that_have_it(ferwatch: Ferwatch, tmp_path: Path) -> None:
    for name, person in (("a", "Anna"), ("b", "Ben")):
        make_run(tmp_path / "runs" / name, f"{name}.mp4", EPISODES[:3])
        (tmp_path / f"{name}.csv").write_text(f"tier,start,end,label\nbrows,0,1,sad\n{person},0,2,neutral\n")
    files = ("agree", "runs", "--codes", "a.csv", "b.csv")
    done = ferwatch(*files, "--tier", "Anna", "--tier", "Ben")
    assert done.returncode == 0, done.stderr
    assert "4.0 s compared" in done.stdout
    together = ferwatch(*files, "--tier", "Anna", "--tier", "Ben", "--tier", "brows")
    assert "1.0 s have several codes of a.csv, brows, Anna at once; the one that started last counts" in together.stdout
    for tiers, said in (
        (("Anna",), "b.csv has no codes on the tier 'Anna' for b; it has 'brows', 'Ben': choose with --tier"),
        (("Anna", "Ben", "Bne"), "a.csv, Anna; b.csv, Ben: none has the tier 'Bne'; correct --tier"),
    ):
        done = ferwatch(*files, *(argument for tier in tiers for argument in ("--tier", tier)))
        assert done.returncode == 1
        assert said in done.stderr


def test_a_study_names_its_runs_and_faces(ferwatch: Ferwatch, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a", "a.mp4", EPISODES)
    (tmp_path / "plan.csv").write_text("video,participant,face\nruns/a,Anna,2\n")
    assert ferwatch("study", "plan.csv", "--out", "study").returncode == 0
    codes = write_tsv(tmp_path / "a.tsv", [(0, 1, "sad")])
    done = ferwatch("agree", "study", "--codes", codes)
    assert done.returncode == 0, done.stderr
    assert "a.mp4, face 2 (columns)" in done.stdout
