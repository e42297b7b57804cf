"""The two ways through docs/study.md, from raw clips to figures and a methods text, by its own commands."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from codes_files import write_eaf
from command_line import in_process
from conftest import DEMO, ROOT, needs_weights

CLIPS = {"anna-calm", "anna-joke", "ben-calm", "ben-joke"}
SCREEN = "session"


def commands(heading: str) -> list[list[str]]:
    """The indented `ferwatch` lines below a heading of docs/study.md, up to the next heading of any level."""
    text = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    section = re.split(r"^#+ ", text.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return [shlex.split(line)[1:] for line in re.findall(r"^    (ferwatch .*)$", section, re.MULTILINE)]


def block(heading: str, first: str) -> str:
    """An indented block of docs/study.md that begins with the line `first`."""
    text = (ROOT / "docs" / "study.md").read_text(encoding="utf-8").split(f"{heading}\n", 1)[1]
    lines = text[text.index(f"    {first}") :].splitlines()
    return "".join(f"{line[4:]}\n" for line in lines[: next(i for i, line in enumerate(lines) if not line)])


@needs_weights
def test_the_researchers_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    heading = "## A study with participants and conditions"
    (tmp_path / "clips").mkdir()
    (tmp_path / "codes").mkdir()
    for name in CLIPS:
        shutil.copy(DEMO, tmp_path / "clips" / f"{name}.mp4")
        write_eaf(tmp_path / "codes" / f"{name}.eaf", [(0.0, 2.5, "calm"), (2.5, 4.0, "smile")], f"{name}.mp4")
    (tmp_path / "plan.csv").write_text(block(heading, "video,participant,condition"))
    (tmp_path / "events.csv").write_text(block(heading, "video,time,event"))
    ways = commands(heading)
    assert [way[0] for way in ways] == ["study", "agree"]
    for way in ways:
        spread = [str(path) for word in way for path in (sorted(Path().glob(word)) if "*" in word else [Path(word)])]
        done = in_process(*(spread if "*" in " ".join(way) else way))
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "study" / "condition-condition.png").is_file()
    assert (tmp_path / "study" / "study.html").is_file()
    assert "4 recordings of 2 participants" in (tmp_path / "study" / "methods.md").read_text()
    assert set(pd.read_csv("study/participants.csv")["participant"]) == {"Anna", "Ben"}
    assert (tmp_path / "agreement" / "agreement.png").is_file()


@needs_weights
def test_the_testers_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(DEMO, tmp_path / f"{SCREEN}.mp4")
    ways = commands("## One long recording: where to look")
    assert [way[0] for way in ways] == [f"{SCREEN}.mp4", "highlights"]
    for way in ways:
        done = in_process(*way)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{SCREEN}-ferwatch" / "highlights" / "reel.mp4").is_file()
    assert (tmp_path / f"{SCREEN}-ferwatch" / "timeline.html").is_file()
