"""A folder of videos, one of them broken: a run each, one table, and a second call that does only what is missing."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from clips import make_clip
from conftest import DEMO, Result

from ferwatch.errors import FerwatchError
from ferwatch.export.combined import write_all_frames
from ferwatch.pipeline import batch as batch_module
from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.batch import Job, Outcome, run_batch, run_job
from ferwatch.pipeline.executors import InProcess, LocalProcesses
from ferwatch.pipeline.lock import BATCH_LOCK_FILE, FolderLock
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.ray_cluster import RayCluster
from ferwatch.pipeline.segment import load_classifier
from ferwatch.pipeline.video_files import FoundVideos, VideoFile, find_videos
from ferwatch.timeline.schema import COLUMNS
from ferwatch.video.sampling import Sampling

QUICK = ("--no-video", "--sample-fps", "4")


@pytest.fixture
def executor_of_two() -> Iterator[LocalProcesses]:
    with LocalProcesses(2) as executor:
        yield executor


@pytest.fixture
def recordings(tmp_path: Path, clip_of_a_second: bytes) -> Path:
    """Two videos of the same name, one in a folder below, and one that is none."""
    folder = tmp_path / "recordings"
    (folder / "later").mkdir(parents=True)
    (folder / 'a "b", c.mp4').write_bytes(clip_of_a_second)
    (folder / "later" / 'a "b", c.mp4').write_bytes(clip_of_a_second)
    (folder / "broken.mp4").write_text("no video")
    return folder


def entries(out: Path) -> dict[str, dict[str, str]]:
    return {entry["run"]: entry for entry in json.loads((out / "batch.json").read_text("utf-8"))["videos"]}


def check_batch(ferwatch: Callable[..., Result], recordings: Path, *engine: str) -> None:
    first = ferwatch("batch", recordings, "--out", "out", *QUICK, *engine)
    assert first.returncode == 1, first.stderr
    assert "broken.mp4" in first.stderr
    assert "Traceback" not in first.stderr
    out = recordings.parent / "out"
    went = entries(out)
    assert {name: entry["state"] for name, entry in went.items()} == {
        'a "b", c': "done",
        'a "b", c-2': "done",
        "broken": "failed",
    }
    assert "no video" in str(went["broken"]["cause"])
    with open(out / "all-frames.csv", encoding="utf-8", newline="") as f:
        rows = list(csv.reader(f))
    assert rows[0] == ["video", *COLUMNS, "path"]
    assert {row[-1] for row in rows[1:]} == {'a "b", c.mp4', 'later/a "b", c.mp4'}
    for name in ('a "b", c', 'a "b", c-2'):
        own = [line.split(",") for line in (out / name / "frames.csv").read_text().splitlines()[1:]]
        assert [row[1:-1] for row in rows if row[0] == name] == own
    assert len(rows) == 1 + 2 * len(own)

    written = {name: (out / name / "run.json").stat().st_mtime_ns for name in went if name != "broken"}
    second = ferwatch("batch", recordings, "--out", "out", *QUICK, *engine)
    assert second.returncode == 1
    assert "2 of 3 videos done, 2 of them before" in second.stdout
    assert {name: (out / name / "run.json").stat().st_mtime_ns for name in written} == written


def test_batch(ferwatch: Callable[..., Result], recordings: Path) -> None:
    check_batch(ferwatch, recordings, "--jobs", "2")
    refused = ferwatch("batch", recordings, "--out", "out", "--no-video", "--sample-fps", "5")
    assert refused.returncode == 1
    assert "--overwrite" in refused.stderr


def test_a_further_export_is_added_to_a_finished_batch(
    ferwatch: Callable[..., Result], tmp_path: Path, clip_of_a_second: bytes
) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study/one.mp4").write_bytes(clip_of_a_second)
    assert ferwatch("batch", "study", "--out", "out", *QUICK).returncode == 0
    rows = (tmp_path / "out/one/frames.csv").stat().st_mtime_ns
    done = ferwatch("batch", "study", "--out", "out", *QUICK, "--export", "srt")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out/one/annotated.srt").exists()
    assert (tmp_path / "out/one/frames.csv").stat().st_mtime_ns == rows, "it is not analysed again"
    again = ferwatch("batch", "study", "--out", "out", *QUICK, "--export", "srt")
    assert "1 of 1 videos done, 1 of them before" in again.stdout


def test_a_damaged_run_is_replaced_only_with_overwrite(ferwatch: Callable[..., Result], recordings: Path) -> None:
    (recordings / "broken.mp4").unlink()
    assert ferwatch("batch", recordings, "--out", "out", *QUICK).returncode == 0
    facts = recordings.parent / "out" / 'a "b", c' / "run.json"
    for damaged in ("{", '{"settings": null}'):
        facts.write_text(damaged)
        refused = ferwatch("batch", recordings, "--out", "out", *QUICK)
        assert refused.returncode == 1
        assert "its run.json is damaged; give --overwrite" in refused.stderr
    assert ferwatch("batch", recordings, "--out", "out", "--overwrite", *QUICK).returncode == 0
    assert json.loads(facts.read_text("utf-8"))["video"]["file"] == 'a "b", c.mp4'
    facts.with_name("frames.csv").write_text("no table")
    failed = ferwatch("batch", recordings, "--out", "out", *QUICK)
    assert failed.returncode == 1
    assert "remove the folder" in failed.stderr
    out = recordings.parent / "out"
    assert {name: entry["state"] for name, entry in entries(out).items()}['a "b", c'] == "failed"
    with open(out / "all-frames.csv", encoding="utf-8", newline="") as file:
        assert {row["video"] for row in csv.DictReader(file)} == {'a "b", c-2'}


def test_a_run_is_not_replaced_because_its_video_cannot_be_read_for_a_moment(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recordings / "broken.mp4").unlink()
    found = find_videos([str(recordings)])
    options = AnalysisOptions(sampling=Sampling(fps=4), annotate=False)

    def go() -> list[str]:
        return [entry.state for entry in run_batch(found, tmp_path / "out", options, InProcess()).entries]

    assert go() == ["done", "done"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/run.json")}

    def unreachable(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("ferwatch.pipeline.batch.settings_of_rows", unreachable)
        assert go() == ["failed", "failed"]
    assert go() == ["done", "done"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/run.json")} == before


def test_two_batches_do_not_share_a_folder(ferwatch: Callable[..., Result], recordings: Path) -> None:
    with FolderLock(recordings, "a batch", BATCH_LOCK_FILE):
        refused = ferwatch("batch", recordings, "--out", recordings, *QUICK)
    assert refused.returncode == 1
    assert f"another ferwatch is at work in {recordings}, on a batch" in refused.stderr
    (recordings / BATCH_LOCK_FILE).touch()  # a killed batch leaves it
    (recordings / "broken.mp4").unlink()
    assert ferwatch("batch", recordings, "--out", recordings, *QUICK).returncode == 0


def test_a_worker_draws_a_film_again_by_itself(tmp_path: Path, executor_of_two: LocalProcesses) -> None:
    """It is a daemon, which can have no processes of its own."""
    clip = make_clip(tmp_path / "clip.mp4", [i / 10 for i in range(250)], size=(160, 96))
    options = AnalysisOptions(sampling=Sampling(fps=1))
    run = tmp_path / "run"
    write_run(clip, run, options, load_classifier(options))
    (run / "annotated.mp4").rename(run / "annotated.outdated.mp4")
    job = Job(clip, run, missing_exports=("srt",))
    [(_, outcome)] = executor_of_two.run(partial(run_job, options=options), [job])
    assert outcome.cause is None
    assert {"annotated.mp4", "annotated.srt"} <= {file.name for file in run.iterdir()}


def test_batch_on_ray(ferwatch: Callable[..., Result], recordings: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'ferwatch[ray]'")
    check_batch(ferwatch, recordings, "--engine", "ray", "--jobs", "2")


def ray_worker(driver: int) -> int | None:
    """The process of a task that the driver's Ray runs now."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if not (folder / "cmdline").read_bytes().startswith(b"ray::_run_on_ray"):
                continue
            above = int(folder.name)
            while above > 1:
                status = Path(f"/proc/{above}/status").read_text()
                above = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))
                if above == driver:
                    return int(folder.name)
        except OSError:  # it has just ended
            continue
    return None


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="processes are looked up in Linux's /proc")
def test_ray_loses_nothing_when_a_worker_is_killed(ferwatch: Callable[..., Result], recordings: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'ferwatch[ray]'")
    for number in range(4):
        (recordings / f"long-{number}.mp4").symlink_to(DEMO)
    assert ferwatch("batch", recordings, "--out", "local", "--no-video").returncode == 1

    out = recordings.parent / "out"
    command = [sys.executable, "-m", "ferwatch", "batch", str(recordings), "--out", str(out), "--no-video"]
    with subprocess.Popen([*command, "--engine", "ray", "--jobs", "2"], stderr=subprocess.PIPE, text=True) as run:
        worker = None
        while run.poll() is None and not (worker and any(out.glob("long-*/frames.partial.csv"))):
            worker = ray_worker(run.pid)
            time.sleep(0.05)
        assert worker is not None, "it ended before its worker was seen"
        os.kill(worker, signal.SIGKILL)
        errors = run.communicate()[1]
    assert run.returncode == 1, errors
    assert {name for name, entry in entries(out).items() if entry["state"] == "failed"} == {"broken"}
    assert (out / "all-frames.csv").read_bytes() == (recordings.parent / "local" / "all-frames.csv").read_bytes()


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(FerwatchError, match=r"pip install 'ferwatch\[ray\]'"):
        RayCluster()


def one_dies(job: Job, options: AnalysisOptions) -> Outcome:
    assert options.threads == 1
    if job.video.name == "deadly.mp4":
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome()


def test_a_worker_that_dies_takes_only_its_video_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "load_classifier", lambda options: SimpleNamespace(checkpoint=None))
    monkeypatch.setattr(batch_module, "_run_task", one_dies)
    videos = [tmp_path / f"{name}.mp4" for name in ("a", "deadly", "b", "c")]
    with LocalProcesses(2) as executor:
        found = FoundVideos(tuple(VideoFile(video, video.name) for video in videos), ())
        went = batch_module.run_batch(found, tmp_path / "out", AnalysisOptions(), executor)
    outcomes = {entry.run: entry for entry in went.entries}
    assert {name for name, outcome in outcomes.items() if outcome.cause is None} == {"a", "b", "c"}
    assert "deadly.mp4" in str(outcomes["deadly"].cause)


def test_parquet_holds_the_table(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    rows = tmp_path / "frames.csv"
    rows.write_text(
        ",".join(COLUMNS)
        + "\n0,0.000,,0,,,,,,,,,,,,,,,0.120,\n"
        + "3,0.120,1,1,0.911,242.0,122.0,160.0,160.0,neutral,0.7000,0.05,0.05,0.05,0.05,0.05,0.05,0.7,0.120,-0.1\n"
    )
    cut = tmp_path / "cut.csv"
    cut.write_text(rows.read_text().rstrip("\n"))
    write_all_frames(tmp_path, {"one": (rows, "a/one.mp4"), "two": (cut, "two.mp4")})
    assert pandas.read_csv(tmp_path / "all-frames.csv")["valence"].tolist()[1::2] == [-0.1, -0.1]
    assert pandas.read_csv(tmp_path / "all-frames.csv")["path"].tolist() == ["a/one.mp4"] * 2 + ["two.mp4"] * 2
    table = pandas.read_parquet(tmp_path / "all-frames.parquet")
    assert list(table.columns) == ["video", *COLUMNS, "path"]
    assert table["video"].tolist() == ["one", "one", "two", "two"]
    assert table["success"].tolist() == [False, True, False, True]
    assert table["face_id"].isna().tolist() == [True, False, True, False]
    assert table["emotion"].tolist()[1] == "neutral"
    assert table["timestamp"].tolist() == [0, 0.12, 0, 0.12]


def test_a_run_with_a_damaged_row_is_left_out_of_the_combined_table_and_named(tmp_path: Path) -> None:
    rows = "0,0.000,,0,,,,,,,,,,,,,,,0.120,\n"
    whole, damaged = tmp_path / "whole.csv", tmp_path / "damaged.csv"
    whole.write_text(",".join(COLUMNS) + "\n" + rows)
    damaged.write_text(",".join(COLUMNS) + "\n" + rows + "3,half,,0,,,,,,,,,,,,,,,0.120,\n")
    left_out = write_all_frames(tmp_path, {"damaged": (damaged, "d.mp4"), "whole": (whole, "w.mp4")})
    assert list(left_out) == ["damaged"]
    assert "damaged.csv, line 3: timestamp" in left_out["damaged"]
    with open(tmp_path / "all-frames.csv", encoding="utf-8", newline="") as file:
        assert [row["video"] for row in csv.DictReader(file)] == ["whole"]
