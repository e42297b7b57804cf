"""The videos of a batch: what counts as one, how lists are read, and how each is known again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import DEMO, SHARED

from ferwatch.errors import DataError
from ferwatch.pipeline import batch as batch_module
from ferwatch.pipeline.batch import BatchResult, Outcome, run_batch
from ferwatch.pipeline.executors import InProcess
from ferwatch.pipeline.manifest import match_entries
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.video_files import VideoFile, find_videos


def names(*sources: Path | str) -> list[str]:
    return [video.name for video in find_videos(map(str, sources)).videos]


def paths(*sources: Path | str) -> list[Path]:
    return [video.path for video in find_videos(map(str, sources)).videos]


def test_sources(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.MOV", "notes.txt", "deep/c.mkv", "run/annotated.mp4", "run/frames.csv", ".DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("deep/../b.mp4\n\ngone.mp4\n" if name == "notes.txt" else "x")
    found = find_videos([str(tmp_path)])
    assert [video.name for video in found.videos] == ["a.MOV", "b.mp4", "deep/c.mkv"]
    assert found.passed_over == (tmp_path / "notes.txt",)
    # A list may name what is not there: that one fails, by name, when its turn comes.
    assert paths(tmp_path / "notes.txt") == [tmp_path / "b.mp4", tmp_path / "gone.mp4"]
    assert names(tmp_path / "**/*.mkv", tmp_path / "b.mp4") == ["deep/c.mkv", "b.mp4"]
    with pytest.raises(DataError, match="no videos there"):
        find_videos([str(tmp_path / "*.avi")])


def test_what_ffmpeg_opens_is_a_video_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "camera.MOD").write_bytes(DEMO.read_bytes())
    (tmp_path / "camera.xyz").write_bytes(DEMO.read_bytes())
    (tmp_path / "sheet.xyz").write_bytes(bytes(5000))
    found = find_videos([str(tmp_path)])
    assert [video.name for video in found.videos] == ["camera.MOD", "camera.xyz"]
    assert [path.name for path in found.passed_over] == ["sheet.xyz"]
    assert names(tmp_path / "camera.xyz") == ["camera.xyz"], "it is not read as a list"


def test_shared_suffixes() -> None:
    folder = SHARED / "faults/batch_suffixes/videos"
    if not folder.exists():
        pytest.skip("the faults are not here: they lie in ../shared/faults")
    assert len(names(folder)) == 9


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.txt", b"v1.mp4\nv2.mp4\n"),
        ("windows.txt", b"v1.mp4\r\nv2.mp4\r\n"),
        ("quoted.txt", b'"v1.mp4"\r\n"v2.mp4"\r\n'),
        ("bom.txt", b"\xef\xbb\xbfv1.mp4\nv2.mp4\n"),
        ("u16.txt", "v1.mp4\r\nv2.mp4\r\n".encode("utf-16")),
        ("u16be.txt", b"\xfe\xff" + "v1.mp4\nv2.mp4\n".encode("utf-16-be")),
        ("table.csv", b"file,subject\nv1.mp4,1\nv2.mp4,2\n"),
        ("excel.csv", b'\xef\xbb\xbfSubject;Video\r\n1;v1.mp4\r\n2;"v2.mp4"\r\n;\r\n'),
        ("tabs.tsv", b"path\tnote\nv1.mp4\tx, y\nv2.mp4\t\n"),
    ],
)
def test_lists(tmp_path: Path, name: str, content: bytes) -> None:
    """../shared/faults/batch_lists"""
    (tmp_path / name).write_bytes(content)
    assert paths(tmp_path / name) == [tmp_path / "v1.mp4", tmp_path / "v2.mp4"]


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("Müller.mp4\n".encode("latin-1"))
    with pytest.raises(DataError, match="save a list as UTF-8"):
        names(tmp_path / "latin.txt")
    (tmp_path / "people.csv").write_text("subject,age\n1,20\n")
    with pytest.raises(DataError, match=r"none of its columns \(subject, age\) is called file, path"):
        names(tmp_path / "people.csv")


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "load_classifier", lambda options: SimpleNamespace(checkpoint=None))
    monkeypatch.setattr(batch_module, "run_job", lambda job, options: Outcome(f"{job.video}: refused"))


def batch(folder: Path, out: Path) -> BatchResult:
    return run_batch(find_videos([str(folder)]), out, AnalysisOptions(), InProcess())


@pytest.mark.usefixtures("no_model")
def test_a_video_keeps_its_run_folder(tmp_path: Path) -> None:
    """Where more videos come, the folder is copied, and a video is moved within it."""
    study = tmp_path / "study"
    for name in ("a/clip.mp4", "b/clip.mp4"):
        (study / name).parent.mkdir(parents=True)
        (study / name).write_text(name)
    first = {entry.video: entry.run for entry in batch(study, tmp_path / "out").entries}
    assert first == {"a/clip.mp4": "clip", "b/clip.mp4": "clip-2"}

    copied = tmp_path / "other disk" / "study"
    copied.parent.mkdir()
    study.rename(copied)
    assert {entry.video: entry.run for entry in batch(copied, tmp_path / "out").entries} == first

    (copied / "0").mkdir()
    (copied / "0/clip.mp4").write_text("a new one")
    (copied / "b/clip.mp4").rename(copied / "b/renamed.mp4")
    assert {entry.video: entry.run for entry in batch(copied, tmp_path / "out").entries} == {
        "0/clip.mp4": "clip-3",
        "a/clip.mp4": "clip",
        "b/renamed.mp4": "clip-2",
    }


@pytest.mark.usefixtures("no_model")
def test_a_deleted_video_is_named(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    for name in ("one.mp4", "two.mp4"):
        (study / name).write_text(name)
    batch(study, tmp_path / "out")
    (study / "one.mp4").unlink()
    result = batch(study, tmp_path / "out")
    assert [entry.video for entry in result.absent] == ["one.mp4"]
    assert [entry.video for entry in result.entries] == ["two.mp4"]


@pytest.mark.usefixtures("no_model")
def test_the_manifest_tells_no_place_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study/one.mp4").write_text("no video")
    batch(tmp_path / "study", tmp_path / "out")
    assert "refused" in (tmp_path / "out/batch.json").read_text()
    assert str(tmp_path) not in (tmp_path / "out/batch.json").read_text()


def test_videos_of_two_folders_with_one_name_are_two(tmp_path: Path) -> None:
    for name in ("x/clip.mp4", "y/clip.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    found = find_videos([str(tmp_path / "x"), str(tmp_path / "y")])
    assert found.videos == (
        VideoFile(tmp_path / "x/clip.mp4", "clip.mp4"),
        VideoFile(tmp_path / "y/clip.mp4", "clip.mp4"),
    )


def test_run_folders_get_names_of_their_own_on_every_file_system(tmp_path: Path) -> None:
    names = ("Talk.mp4", "talk.mov", "batch.json.mp4")
    videos = [VideoFile(tmp_path / name, name) for name in names]
    assert [entry.run for entry in match_entries(videos, [])] == ["Talk", "talk-2", "batch.json-2"]
