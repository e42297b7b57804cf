"""Tables that users and spreadsheet programs have saved, in `ferwatch study` and `ferwatch agree`."""

from __future__ import annotations

from pathlib import Path

import pytest
from codes_files import write_tsv
from command_line import Ferwatch, in_process
from made_runs import make_run

from ferwatch.study.runs import read_episodes_csv

EPISODES = [(1, "neutral", 0.0, 2.0), (1, "happy", 2.0, 4.0), (2, "sad", 0.0, 1.0)]


@pytest.fixture
def ferwatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ferwatch:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs" / "a", "a.mp4", EPISODES)
    (tmp_path / "plan.csv").write_text("video,participant,face\nruns/a,Zoë,2\n", encoding="utf-8")
    write_tsv(tmp_path / "a.tsv", [(0, 1, "sad")])
    return in_process


@pytest.mark.parametrize("cell", ['"a', '"a"b', "a" * 200_000])
def test_cells_that_no_table_has_are_named(ferwatch: Ferwatch, tmp_path: Path, cell: str) -> None:
    (tmp_path / "bad plan.csv").write_text(f"video,participant\nruns/a,A\nruns/a,{cell}\nruns/a,C\n")
    (tmp_path / "events.csv").write_text(f"video,time,event\nruns/a,1,x\nruns/a,2,{cell}\n")
    (tmp_path / "codes.csv").write_text(f"start,end,label\n0,1,happy\n1,2,{cell}\n")
    for file, arguments in (
        ("bad plan.csv", ("study", "bad plan.csv", "--out", "out")),
        ("events.csv", ("study", "plan.csv", "--events", "events.csv", "--out", "out")),
        ("codes.csv", ("agree", "runs/a", "--codes", "codes.csv")),
    ):
        done = ferwatch(*arguments)
        assert done.returncode == 1
        assert f"{file}, line 3: " in done.stderr
        assert "look there for a quotation mark" in done.stderr


def test_a_studys_recordings_are_read_as_spreadsheets_save_them(ferwatch: Ferwatch, tmp_path: Path) -> None:
    assert ferwatch("study", "plan.csv", "--out", "study").returncode == 0
    table = tmp_path / "study" / "recordings.csv"
    text = table.read_text(encoding="utf-8")
    one = text.replace(",2,", ",2.0,", 1)
    assert one != text
    for saved in (
        one.encode("cp1252"),
        one.encode("utf-8-sig"),
        one.replace(",", ";").replace("2.0", "2,0").replace("\n", "\r\n").encode("cp1252"),
        (one + ",,,\n").encode(),
    ):
        table.write_bytes(saved)
        done = ferwatch("agree", "study", "--codes", "a.tsv")
        assert done.returncode == 0, done.stderr
        assert "a.mp4, face 2 (columns)" in done.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("recording,participant,run,face_id\na,A,../runs/a\n", "recordings.csv, line 2: 3 fields instead of 4"),
        ("run,face_id\n../runs/a,first\n", "recordings.csv, line 2: face_id: 'first' is no face_id"),
        ("run,face_id\n../runs/a,1.5\n", "recordings.csv, line 2: face_id: '1.5' is no face_id"),
        ('run,face_id\n"../runs/a,1\n', "recordings.csv, line 2: "),
        ("name,age\nA,30\n", "is no list of a study's recordings: it lacks the columns run, face_id"),
    ],
)
def test_a_damaged_list_of_recordings_is_named(ferwatch: Ferwatch, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "recordings.csv").write_text(content)
    done = ferwatch("agree", "study", "--codes", "a.tsv")
    assert done.returncode == 1
    assert said in done.stderr


def test_episodes_are_read_as_spreadsheets_save_them(ferwatch: Ferwatch, tmp_path: Path) -> None:
    table = tmp_path / "runs" / "a" / "episodes.csv"
    text = table.read_text()
    expected = ferwatch("agree", "runs/a", "--codes", "a.tsv", "--face", "2").stdout
    assert "1.0 s compared" in expected
    for saved in (
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        text.replace(",", ";").replace(".", ",").replace("\n", "\r\n").encode("utf-8-sig"),
    ):
        table.write_bytes(saved)
        assert ferwatch("agree", "runs/a", "--codes", "a.tsv", "--face", "2").stdout == expected


def test_the_mean_valence_of_episodes_is_read_where_it_is_there(tmp_path: Path) -> None:
    table = make_run(tmp_path / "a", "a.mp4", EPISODES) / "episodes.csv"
    assert [episode.mean_valence for episode in read_episodes_csv(table)] == [0.0] * 3
    head, *lines = table.read_text().splitlines()
    valences = ("0.7500", "-0.0125", "-0.5000")
    with_valence = [f"{head},mean_valence", *(",".join(pair) for pair in zip(lines, valences, strict=True))]
    table.write_text("\n".join(with_valence))
    assert [episode.mean_valence for episode in read_episodes_csv(table)] == [0.75, -0.0125, -0.5]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1,happy", "1,joy", "episodes.csv, line 2: emotion: there is no 'joy'"),
        ("1,happy,2.000", "1,happy,nan", "episodes.csv, line 2: 'nan' is no number"),
        ("1,happy,2.000", "1,happy,soon", "episodes.csv, line 2: could not convert string to float: 'soon'"),
        ("1,happy", "0,happy", "episodes.csv, line 2: face_id: '0' is no face_id"),
        ("peak_time", "peak", "is no episodes.csv of ferwatch: it lacks the columns peak_time"),
    ],
)
def test_damaged_episodes_are_named(ferwatch: Ferwatch, tmp_path: Path, old: str, new: str, said: str) -> None:
    table = tmp_path / "runs" / "a" / "episodes.csv"
    table.write_text(table.read_text().replace(old, new))
    done = ferwatch("study", "plan.csv", "--out", "out")
    assert done.returncode == 1
    assert said in done.stderr
