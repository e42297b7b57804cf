"""Messages that help: each names the remedy."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import DEMO, needs_weights

from ferwatch.cli.main import cli
from ferwatch.errors import DataError
from ferwatch.evaluation.fer2013 import load
from ferwatch.records import EMOTIONS


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def message(result: Result) -> str:
    return " ".join((str(result.exception) + result.output).split())


def test_several_videos_name_batch() -> None:
    """../shared/faults/cli_hints"""
    result = invoke("a.mp4", "my talk.mp4", "it's.mp4")
    assert result.exit_code == 2
    said = message(result)
    command = said[said.index("ferwatch batch") : said.index("--out")]
    assert shlex.split(command) == ["ferwatch", "batch", "a.mp4", "my talk.mp4", "it's.mp4"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("timeline", "nowhere"), "nowhere cannot be read: No such file or directory"),
        (("timeline", str(DEMO)), "demo.mp4 is no frames.csv: it is no table of text"),
        ((str(DEMO), "--out", ""), "'--out': it is empty"),
    ],
)
def test_what_cannot_be_read_or_written_is_named_in_plain_words(arguments: tuple[str, ...], says: str) -> None:
    assert says in message(invoke(*arguments))


@pytest.mark.parametrize("option", ["--interval", "--sample-fps", "--fps", "--smoothing", "--min-episode"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_no_number_is_refused(option: str, value: str) -> None:
    result = invoke(DEMO, option, value)
    assert result.exit_code == 2
    assert f"'{value}' is no number" in message(result)


def test_a_command_that_is_mistyped_is_suggested() -> None:
    result = invoke("timelne", "interview-ferwatch")
    assert result.exit_code == 2
    assert "did you mean 'timeline'?" in message(result)


def test_a_name_that_begins_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-clip.mp4").write_bytes(b"")
    for command in ([], ["run"], ["batch", "--out", "runs"]):
        result = invoke(*command, "-clip.mp4")
        assert result.exit_code == 2
        assert "write ./-clip.mp4" in message(result)
    assert "it is empty" in message(invoke("--", "-clip.mp4"))


@needs_weights
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("THE FOLDER",), "ferwatch batch 'THE FOLDER' --out DIR"),
        (("https://www.youtube.com/watch?v=x",), "https://www.youtube.com/watch?v=x is an address: ferwatch fetches"),
        (("batch", "https://example.org/list", "--out", "out"), "is an address: ferwatch fetches nothing"),
        ((DEMO, "--out", "/proc/run"), "name another with --out"),
        ((DEMO, "--region", "700,0,50,50"), "the region 700,0,50,50 lies outside the picture, which is 640x360"),
        ((DEMO, "--start", "2", "--end", "1"), "the end, 1 s, does not lie after the start, 2 s"),
        ((DEMO, "--face-model", str(DEMO), "--out", "out"), "it is no TensorFlow Lite file"),
    ],
)
def test_remedies(
    arguments: tuple[str | Path, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "THE FOLDER").mkdir()
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert says in message(result)
    assert [path.name for path in tmp_path.iterdir()] == ["THE FOLDER"]


def fer_folder(root: Path, names: list[str], split: str) -> Path:
    import cv2
    import numpy as np

    for number, name in enumerate(names):
        (root / split / name).mkdir(parents=True)
        cv2.imwrite(str(root / split / name / "face.png"), np.full((48, 48), 30 * number, np.uint8))
        (root / split / name / ".DS_Store").write_bytes(b"x")
    return root


def test_class_folders_under_other_names(tmp_path: Path) -> None:
    """../shared/faults/fer_folders"""
    names = ["anger", "Disgust", "fear", "happy", "sad", "surprised", "neutral"]
    faces = load(fer_folder(tmp_path / "kaggle", names, "test"), "public_test")
    assert [EMOTIONS[label] for label in faces.labels] == list(EMOTIONS)
    with pytest.raises(DataError, match="the folders found are: test"):
        load(tmp_path / "kaggle", "train")
    with pytest.raises(DataError, match="boredom is no class of FER2013"):
        load(fer_folder(tmp_path / "odd", ["boredom"], "train"), "train")


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    pixels = " ".join(["7"] * 48 * 48)
    (tmp_path / "fer.csv").write_text(f"emotion,pixels,Usage\n3,{pixels},PublicTest\n", encoding="utf-8-sig")
    assert load(tmp_path / "fer.csv", "public_test").labels.tolist() == [3]
