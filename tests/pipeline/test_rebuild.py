"""`ferwatch timeline`: afterwards every file of the run folder tells the same story."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pympi
import pytest
import webvtt
from click.testing import CliRunner
from tables import facts_of_run, story_frames, write_frames

from ferwatch.cli.timeline import timeline as command
from ferwatch.errors import DataError, OptionError, OutputError
from ferwatch.export.registry import EXPORTS
from ferwatch.pipeline.rebuild import rebuild
from ferwatch.pipeline.run_folder import RUN_FILES
from ferwatch.timeline.corrections import Corrections

Told = list[tuple[str, str, int, int]]
"""Name, emotion, start and end in milliseconds of every episode, by name and start."""

FACTS = facts_of_run(seconds=20.0, fps=30.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of three faces, as a run without annotated.mp4 leaves it."""
    folder = tmp_path_factory.mktemp("runs") / "talk-ferwatch"
    folder.mkdir()
    write_frames(folder / "frames.csv", story_frames())
    (folder / "run.json").write_text(json.dumps(FACTS))
    rebuild(folder, exports=list(EXPORTS))
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / made.name))


def milliseconds(clock: str) -> int:
    hours, minutes, seconds = clock.replace(",", ".").split(":")
    return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000)


def stories(run: Path) -> dict[str, Told]:
    """What each file of a run folder says of the episodes."""
    facts = json.loads((run / "run.json").read_text())
    given = facts.get("faces", {}).get("names", {})

    def name(face_id: int) -> str:
        return str(given.get(str(face_id), f"Face {face_id}"))

    said: dict[str, Told] = {}
    table = pd.read_csv(run / "episodes.csv")
    said["episodes.csv"] = [(name(e.face_id), e.emotion, ms(e.start), ms(e.end)) for e in table.itertuples()]
    whole = json.loads((run / "timeline.json").read_text())
    said["timeline.json"] = [
        (whole["names"][str(e["face_id"])], e["emotion"], ms(e["start"]), ms(e["end"])) for e in whole["episodes"]
    ]
    rows = pd.read_parquet(run / "frames.parquet").dropna(subset="episode").groupby("episode").first()
    said["frames.parquet"] = [
        (name(int(e.face_id)), e.episode_emotion, ms(e.episode_start), ms(e.episode_end)) for e in rows.itertuples()
    ]
    for file, cues in (
        ("annotated.vtt", webvtt.read(run / "annotated.vtt")),
        ("annotated.srt", webvtt.from_srt(run / "annotated.srt")),
    ):
        said[file] = [
            (*re.match(r"(.*): (\w+) \d+%", unescape(c.text)).groups(), milliseconds(c.start), milliseconds(c.end))
            for c in cues
        ]
    eaf = pympi.Elan.Eaf(str(run / "episodes.eaf"))
    said["episodes.eaf"] = [
        (tier, value, start, end)
        for tier in eaf.get_tier_names()
        for start, end, value in eaf.get_annotation_data_for_tier(tier)
    ]
    tsv = pd.read_csv(run / "episodes.tsv", sep="\t")
    said["episodes.tsv"] = [(e.tier, e.annotation, ms(e.begin), ms(e.end)) for e in tsv.itertuples()]
    (observation,) = json.loads((run / "episodes.boris").read_text())["observations"].values()
    begun: dict[tuple[str, str], int] = {}
    said["episodes.boris"] = []
    for time, subject, code, *_ in observation["events"]:
        if (subject, code) in begun:
            said["episodes.boris"].append((subject, code, begun.pop((subject, code)), ms(time)))
        else:
            begun[subject, code] = ms(time)
    page = (run / "timeline.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="run">(.*?)</script>', page)[1])
    said["timeline.html"] = [
        (face["name"], e["emotion"], ms(e["start"]), ms(e["end"])) for face in data["faces"] for e in face["episodes"]
    ]
    assert page.count("<tr data-face=") == len(said["timeline.html"])
    # Of run.json and frames.csv what they know.
    summary = facts["summary"]
    frames = pd.read_csv(run / "frames.csv")
    ids = sorted(frames.face_id.dropna().astype(int).unique())
    assert [face["face_id"] for face in summary["faces"]] == ids == sorted({int(e) for e in table.face_id} | set(ids))
    assert facts["counts"]["rows"] == len(frames) == len(pd.read_parquet(run / "frames.parquet"))
    assert facts["counts"]["episodes"] == summary["episodes"] == len(table)
    assert whole["summary"] == summary
    for face in summary["faces"]:
        own = table[table.face_id == face["face_id"]]
        for label, share in face["shares"].items():
            assert share == pytest.approx(own[own.emotion == label].duration.sum() / own.duration.sum(), abs=1e-6)
        seen = frames[frames.face_id == face["face_id"]]
        for emotion, share in face["shares_of_rows"].items():
            assert share == pytest.approx((seen.emotion == emotion).mean(), abs=1e-4)
            assert face["mean_probabilities"][emotion] == pytest.approx(seen[emotion].mean(), abs=0.02)
    assert facts["settings"]["exports"] == sorted(EXPORTS)
    return {file: sorted(told) for file, told in said.items()}


def ms(seconds: float) -> int:
    return round(seconds * 1000)


def the_story(run: Path) -> Told:
    said = stories(run)
    for file, told in said.items():
        assert told == said["episodes.csv"], file
    return said["episodes.csv"]


def names(told: Told) -> set[str]:
    return {name for name, *_ in told}


def test_every_file_tells_the_same_story_after_any_call(run: Path) -> None:
    before = the_story(run)
    assert names(before) == {"Face 1", "Face 2", "Face 3"}

    rebuild(run, smoothing=2.0)
    assert the_story(run) != before
    rebuild(run, smoothing=0.2, corrections=Corrections(names={1: "Anna"}))
    assert names(the_story(run)) == {"Anna", "Face 2", "Face 3"}
    rebuild(run, min_episode=6.0)
    told = the_story(run)
    assert min(end - start for _, _, start, end in told) >= 6000
    rebuild(run, min_episode=0.5, corrections=Corrections(names={3: "Bob"}, ignore=(2,)))
    assert names(the_story(run)) == {"Anna", "Bob"}
    # What was set stays for the next call.
    rebuild(run)
    assert names(the_story(run)) == {"Anna", "Bob"}
    assert json.loads((run / "run.json").read_text())["timeline"]["min_episode"] == 0.5

    rebuild(run, reset=True)
    assert the_story(run) == before


def test_merging(run: Path) -> None:
    frames = pd.read_csv(run / "frames.csv")
    frames.loc[(frames.face_id == 1) & (frames.timestamp > 10), "face_id"] = 7
    frames.to_csv(run / "frames.csv", index=False)
    rebuild(run)
    assert names(the_story(run)) == {"Face 1", "Face 2", "Face 3", "Face 7"}
    rebuild(run, corrections=Corrections(merge={7: 1}))
    assert names(the_story(run)) == {"Face 1", "Face 2", "Face 3"}
    assert (run / "frames.measured.csv").exists()
    with pytest.raises(DataError, match=r"faces 2 and 1 are both seen at 0\.\d+ s: they cannot be one person"):
        rebuild(run, corrections=Corrections(merge={2: 1}))
    with pytest.raises(DataError, match="there is no face 7; the faces are: 1, 2, 3"):
        rebuild(run, corrections=Corrections(ignore=(7,)))
    with pytest.raises(DataError, match="goes round in a circle"):
        rebuild(run, corrections=Corrections(merge={2: 3, 3: 2}))


def test_a_region_keeps_the_faces_whose_centre_lies_in_it(run: Path) -> None:
    """Face n stands at x = 10 n, 99.9 wide: their centres are at 59.95, 69.95 and 79.95."""
    rows = len(pd.read_csv(run / "frames.csv").frame.unique())
    rebuild(run, corrections=Corrections(region=(65.0, 0.0, 10.0, 500.0)))
    assert names(the_story(run)) == {"Face 2"}
    left = pd.read_csv(run / "frames.csv")
    assert len(left) == rows, "a frame that loses its faces keeps a row"
    assert (left.success == 0).sum() == rows - left.face_id.notna().sum()


def test_corrections_can_be_repeated(run: Path) -> None:
    """A second identical call changes no byte: corrections are applied to the rows as they were measured."""
    for again in (Corrections(ignore=(1,)), Corrections(merge={3: 2}, names={2: "Bob"})):
        if again.merge:
            frames = pd.read_csv(run / "frames.measured.csv")
            frames = frames[(frames.face_id != 3) | (frames.timestamp > 19)]
            frames.loc[(frames.face_id == 2) & (frames.timestamp > 15), "face_id"] = 3
            frames.to_csv(run / "frames.measured.csv", index=False)
        rebuild(run, corrections=again)
        before = {path.name: path.read_bytes() for path in run.iterdir()}
        rebuild(run, corrections=again)
        rebuild(run)
        assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert names(the_story(run)) == {"Bob"}
    with pytest.raises(DataError, match="there is no face 1; the faces are: 2"):
        rebuild(run, corrections=Corrections(names={1: "Anna"}))


def test_a_region_outside_the_picture_is_refused(run: Path) -> None:
    with pytest.raises(OptionError, match="the region 900,0,50,50 lies outside the picture, which is"):
        rebuild(run, corrections=Corrections(region=(900.0, 0.0, 50.0, 50.0)))


def test_a_new_region_replaces_the_old_one(run: Path) -> None:
    before = (run / "frames.csv").read_bytes()
    rebuild(run, corrections=Corrections(region=(65.0, 0.0, 10.0, 500.0)))
    rebuild(run, corrections=Corrections(region=(55.0, 0.0, 10.0, 500.0)))
    assert names(the_story(run)) == {"Face 1"}
    assert json.loads((run / "run.json").read_text())["faces"]["region"] == [55.0, 0.0, 10.0, 500.0]
    rebuild(run, corrections=Corrections(region=(0.0, 0.0, 500.0, 500.0)))
    assert (run / "frames.csv").read_bytes() == before


def test_with_out_the_run_folder_is_left_alone(run: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    done = rebuild(run, smoothing=2, corrections=Corrections(names={1: "Anna"}), out=tmp_path / "elsewhere")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert "no run folder keeps them" in done.notes[0]
    (run / "annotated.mp4").touch()
    (run / "run.json").write_text((run / "run.json").read_text().replace('"media": ""', '"media": "annotated.mp4"'))
    rebuild(run, exports=["html"], out=tmp_path / "elsewhere")
    page = (tmp_path / "elsewhere" / "timeline.html").read_text()
    assert f'src="../{run.name}/annotated.mp4"' in page, "the link leads to the film from there"


def test_the_same_settings_give_the_same_bytes(run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    rebuild(run)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert set(before) <= set(RUN_FILES)


def test_the_run_folder_itself_may_be_named_as_out(run: Path) -> None:
    rebuild(run, out=run, corrections=Corrections(ignore=(2,)))
    assert json.loads((run / "run.json").read_text())["faces"]["ignore"] == [2]
    assert set(pd.read_csv(run / "frames.csv").face_id.dropna()) == {1, 3}


def test_files_are_not_mixed_with_those_of_another_run(run: Path, made: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(made, tmp_path / "other"))
    shutil.copy(run / "frames.csv", run / "frames.measured.csv")
    before = {path: path.read_bytes() for folder in (run, other) for path in folder.iterdir()}
    for rows, out in ((run, other), (run / "frames.measured.csv", None)):
        with pytest.raises(OutputError, match=r"holds a run.*--out"):
            rebuild(rows, out=out, smoothing=1.0)
    assert {path: path.read_bytes() for folder in (run, other) for path in folder.iterdir()} == before


@pytest.mark.parametrize("damage", [{}, {"timeline": None}, {"video": {}}])
def test_a_run_json_that_lacks_a_part_is_named(run: Path, damage: dict[str, object]) -> None:
    facts = json.loads((run / "run.json").read_text()) | damage if damage else {"a": 1}
    (run / "run.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match=r"run\.json is damaged: it lacks"):
        rebuild(run)


@pytest.mark.parametrize("option", ["--smoothing", "--min-episode"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_no_number_of_seconds_is_refused(run: Path, option: str, value: str) -> None:
    before = (run / "run.json").read_bytes()
    assert CliRunner().invoke(command, [str(run), option, value]).exit_code == 2
    with pytest.raises(OptionError, match="give a number of seconds"):
        rebuild(run, **{option[2:].replace("-", "_"): float(value)})
    assert (run / "run.json").read_bytes() == before


def test_on_the_command_line(run: Path) -> None:
    call = CliRunner().invoke(command, [str(run), "--name", "1=Anna=B", "--ignore", "2", "--region", "0,0,999,999"])
    assert call.exit_code == 0, call.output
    assert re.search(r"face 1 \(Anna=B\): on screen 19\.\d s", call.output)
    assert "face 2" not in call.output
    assert "the share to report" in call.output
    assert names(the_story(run)) == {"Anna=B", "Face 3"}
    for wrong in (
        ["--name", "Anna"],
        ["--merge", "1=x"],
        ["--region", "1,2,3"],
        ["--region", "0,0,-1,5"],
        ["--region", "nan,0,1,1"],
    ):
        assert CliRunner().invoke(command, [str(run), *wrong]).exit_code == 2


def test_faces_that_were_merged_are_still_measured(run: Path) -> None:
    """Times and probabilities of the rows that stay are those of before."""
    before = pd.read_csv(run / "frames.csv")
    rebuild(run, corrections=Corrections(ignore=(2,)))
    after = pd.read_csv(run / "frames.csv")
    kept = before[before.face_id.isin([1, 3])].reset_index(drop=True)
    left = after[after.success == 1].reset_index(drop=True)
    np.testing.assert_array_equal(kept.select_dtypes("number"), left.select_dtypes("number"))
