"""A run has the same bytes for any number of workers, whatever the video is like, and whatever becomes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from segment_clips import CLIPS, clip_of

from ferwatch.models.classifier import Classifier
from ferwatch.pipeline import cuts, found_faces
from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.executors import InProcess, LocalProcesses
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.reports import PicturesDone
from ferwatch.pipeline.resume import SegmentFolder
from ferwatch.pipeline.run_folder import RunFolder
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling

OPTIONS = AnalysisOptions(sampling=Sampling(fps=4), annotate=False, exports=("json",))
COMPARED = ("frames.csv", "episodes.csv", "timeline.json")
pytestmark = pytest.mark.usefixtures("short_videos_are_cut")


@pytest.fixture(scope="module")
def executors(two_workers: LocalProcesses) -> Iterator[list[LocalProcesses]]:
    with LocalProcesses(3) as three:
        yield [two_workers, three]


@pytest.mark.parametrize("name", CLIPS)
def test_the_bytes_are_the_same_for_any_number_of_workers(
    name: str,
    tmp_path: Path,
    small_demo: list[np.ndarray],
    classifier: Classifier,
    executors: list[LocalProcesses],
) -> None:
    path = clip_of(tmp_path / name, small_demo)
    with VideoReader(path) as reader:
        segments = found_faces.plan(path, reader.info, OPTIONS)
    if path.stem not in ("damaged", "few-key-frames"):
        assert len(segments) >= 3, "it is not analysed in segments"
    one = write_run(path, tmp_path / "one", OPTIONS, classifier, executor=InProcess())
    for executor in executors:
        out = tmp_path / str(executor.workers)
        run = write_run(path, out, OPTIONS, classifier, executor=executor)
        for file in COMPARED:
            assert (out / file).read_bytes() == (one.folder / file).read_bytes(), file
        facts, expected = (json.loads((folder / "run.json").read_text()) for folder in (out, one.folder))
        assert facts["video"] == expected["video"]
        assert run.warnings == one.warnings
        assert {f.name for f in out.iterdir()} == {f.name for f in one.folder.iterdir()}


def test_a_run_that_was_interrupted_goes_on_with_another_number_of_workers(
    tmp_path: Path,
    small_demo: list[np.ndarray],
    classifier: Classifier,
    executors: list[LocalProcesses],
) -> None:
    path = clip_of(tmp_path / "plain.mp4", small_demo)
    whole = write_run(path, tmp_path / "whole", OPTIONS, classifier, executor=executors[0])

    def stop(_stage: str, done: int, _total: int) -> None:
        if done > 220:  # two workers report on the first two segments, of 100 pictures each, at the same time
            raise KeyboardInterrupt

    for first, second in ((2, 1), (1, 2), (2, 2), (1, 1)):
        out = tmp_path / f"{first}-{second}"
        by_count = {1: InProcess(), 2: executors[0]}
        with pytest.raises(KeyboardInterrupt):
            write_run(path, out, OPTIONS, classifier, executor=by_count[first], progress=stop)
        finished = RunFolder(out).segments.finished()
        assert finished, "nothing of it was kept"
        write_run(path, out, OPTIONS, classifier, executor=by_count[second], resume=True)
        for file in COMPARED:
            assert (out / file).read_bytes() == (whole.folder / file).read_bytes(), (first, second, file)
        assert {f.name for f in out.iterdir()} == {f.name for f in whole.folder.iterdir()}


@pytest.mark.parametrize("lost", [-1, -2, -3])
def test_the_faces_of_a_segment_do_not_depend_on_which_others_are_finished(
    lost: int,
    tmp_path: Path,
    small_demo: list[np.ndarray],
    classifier: Classifier,
    executors: list[LocalProcesses],
) -> None:
    """Workers share the classification of the last ones."""
    path = clip_of(tmp_path / "plain.mp4", small_demo)
    with VideoReader(path) as reader:
        info = reader.info
    segments = found_faces.plan(path, info, OPTIONS)
    folder = SegmentFolder(tmp_path / "segments")

    def rows() -> list[tuple[float, list[tuple[float, ...]]]]:
        done = PicturesDone(lambda pictures: None)
        parts = found_faces.faces_by_workers(path, info, segments, folder, OPTIONS, executors[0], classifier, done)
        return [(f.timestamp, [face.probabilities for face in f.faces]) for part in parts for f in part]

    whole = rows()
    assert folder.finished() == [segment.number for segment in segments]
    (folder.path / f"{segments[lost].number:06d}.npz").unlink()
    assert rows() == whole
    assert folder.finished() == [segment.number for segment in segments]


def test_a_video_that_was_replaced_between_two_runs_is_read_anew(
    tmp_path: Path,
    small_demo: list[np.ndarray],
    classifier: Classifier,
    one_or_two: InProcess | LocalProcesses,
) -> None:
    """The other video has the same name, length, size and times."""
    options = replace(OPTIONS, annotate=True)
    path = clip_of(tmp_path / "plain.mp4", small_demo)
    write_run(path, tmp_path / "out", options, classifier, executor=one_or_two)
    (tmp_path / "other").mkdir()
    other = clip_of(tmp_path / "other/plain.mp4", [picture[:, ::-1] for picture in small_demo])
    expected = write_run(other, tmp_path / "expected", options, classifier, executor=one_or_two)
    other.replace(path)
    run = write_run(path, tmp_path / "out", options, classifier, executor=one_or_two, overwrite=True)
    for file in ("frames.csv", "annotated.mp4"):
        assert (run.folder / file).read_bytes() == (expected.folder / file).read_bytes(), file


def test_an_interrupted_run_with_blurred_faces_leaves_none_on_the_disk(
    tmp_path: Path,
    small_demo: list[np.ndarray],
    classifier: Classifier,
    one_or_two: InProcess | LocalProcesses,
) -> None:
    """Nor does a run that was interrupted before blurring was asked for."""
    path = clip_of(tmp_path / "plain.mp4", small_demo)
    blurred = replace(OPTIONS, blur_faces=True)
    out = tmp_path / "out"

    def stop(_stage: str, done: int, _total: int) -> None:
        if done > 220:
            raise KeyboardInterrupt

    for options, resume, kept in ((OPTIONS, False, True), (blurred, True, False), (blurred, True, False)):
        with pytest.raises(KeyboardInterrupt):
            write_run(path, out, options, classifier, executor=one_or_two, progress=stop, resume=resume)
        assert any(out.rglob("*.npz")) == kept
    write_run(path, out, blurred, classifier, executor=one_or_two, resume=True)
    whole = write_run(path, tmp_path / "whole", blurred, classifier, executor=one_or_two)
    for file in COMPARED:
        assert (out / file).read_bytes() == (whole.folder / file).read_bytes(), file


class LastFirst:
    """Takes every task that it is given at a time, and does the last one first."""

    workers = 2
    is_remote = True
    most = 0

    def run(self, work: Any, tasks: Any, **_: Any) -> Iterator[tuple[Any, Any]]:
        left, taken = iter(tasks), []
        while True:
            while (task := next(left, None)) is not None:
                taken.append(task)
            if not taken:
                return
            self.most = max(self.most, len(taken))
            task = taken.pop()
            yield task, work(task)


@pytest.mark.parametrize("blur", [False, True])
def test_few_segments_wait_for_their_turn(
    blur: bool,
    tmp_path: Path,
    small_demo: list[np.ndarray],
    classifier: Classifier,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuts, "SEGMENTS_AHEAD", 1)
    options = replace(OPTIONS, blur_faces=blur)
    path = clip_of(tmp_path / "plain.mp4", small_demo)
    one = write_run(path, tmp_path / "one", options, classifier, executor=InProcess())
    executor = LastFirst()
    run = write_run(path, tmp_path / "out", options, classifier, executor=executor)
    assert executor.most == 2
    assert (run.folder / "frames.csv").read_bytes() == (one.folder / "frames.csv").read_bytes()


def children(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
        except OSError:  # it has just ended
            continue
        if f"\nPPid:\t{pid}\n" in status:
            found += [int(folder.name), *children(int(folder.name))]
    return found


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="processes are looked up in Linux's /proc")
def test_killed_workers_and_a_killed_run_lose_nothing(tmp_path: Path, small_demo: list[np.ndarray]) -> None:
    path = clip_of(tmp_path / "plain.mp4", small_demo + small_demo[::-1])
    command = [sys.executable, "-m", "ferwatch", str(path), "--sample-fps", "10", "--no-video", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "--threads", "1", "--out", str(tmp_path / "whole")], env=environment, check=True)
    out = tmp_path / "out"
    with subprocess.Popen([*command, "--threads", "2", "--out", str(out)], env=environment) as run:
        while run.poll() is None and not any(out.glob("segments.partial/*.npz")):
            time.sleep(0.02)
        workers = [pid for pid in children(run.pid) if len(list(Path(f"/proc/{pid}/task").iterdir())) > 1]
        assert workers, "it has no workers"
        os.kill(workers[-1], signal.SIGKILL)
        while run.poll() is None and len(list(out.glob("segments.partial/*.npz"))) < 3:
            time.sleep(0.02)
        run.kill()
    if not (out / "run.json").exists():
        subprocess.run([*command, "--threads", "2", "--out", str(out), "--resume"], env=environment, check=True)
    for file in ("frames.csv", "episodes.csv"):
        assert (out / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()], "workers outlive the run"
