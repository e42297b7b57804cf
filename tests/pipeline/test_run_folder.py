"""One owner for a run folder, and a run that is known by the content of its video."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from conftest import DEMO, ROOT, needs_weights

import ferwatch
from ferwatch.errors import OutputError, VideoError
from ferwatch.pipeline.lock import LOCK_FILE, FolderLock
from ferwatch.pipeline.rebuild import rebuild
from ferwatch.timeline.corrections import Corrections

pytestmark = needs_weights
QUICK = {"end": 1.0, "annotate": False}


def interrupted(video: Path, out: Path, *, overwrite: bool = False) -> None:
    """Leaves a run that was stopped after some rows."""

    def stop(_stage: str, done: int, _total: int) -> None:
        if done >= 10:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        ferwatch.analyze(video, out, progress=stop, overwrite=overwrite, **QUICK)


def test_a_second_run_is_refused_as_long_as_the_first_works(tmp_path: Path) -> None:
    """../shared/faults/two_runs_one_folder"""

    def meanwhile(_stage: str, _done: int, _total: int) -> None:
        for options in ({}, {"overwrite": True}, {"resume": True}):
            with pytest.raises(OutputError, match=r"at work in .*, on demo\.mp4"):
                ferwatch.analyze(DEMO, tmp_path / "run", **QUICK, **options)

    ferwatch.analyze(DEMO, tmp_path / "run", progress=meanwhile, **QUICK)
    assert {f.name for f in (tmp_path / "run").iterdir()} == {
        *("frames.csv", "episodes.csv", "timeline.png", "run.json")
    }


def test_a_dead_process_leaves_no_lock_in_the_way(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from ferwatch.pipeline.lock import FolderLock
FolderLock(Path({str(tmp_path / "run")!r}), "old.mp4").__enter__()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert list((tmp_path / "run").iterdir()), "it had the lock"
    with FolderLock(tmp_path / "run", "new.mp4"):
        pass
    assert list((tmp_path / "run").iterdir()) == []


def test_a_run_of_another_video_is_not_overwritten_without_a_word(tmp_path: Path) -> None:
    other = tmp_path / "clash.mp4"
    other.write_bytes(DEMO.read_bytes() + b"\0")
    ferwatch.analyze(other, tmp_path / "run", **QUICK)
    with pytest.raises(OutputError, match=r"holds a run of another video, clash\.mp4, not of demo\.mp4"):
        ferwatch.analyze(DEMO, tmp_path / "run", **QUICK)
    run = ferwatch.analyze(DEMO, tmp_path / "run", overwrite=True, **QUICK)
    assert any("clash.mp4, which was replaced" in warning for warning in run.warnings)
    assert json.loads((tmp_path / "run/run.json").read_text())["video"]["file"] == "demo.mp4"
    assert not any("replaced" in w for w in ferwatch.analyze(DEMO, tmp_path / "run", overwrite=True, **QUICK).warnings)


def test_corrections_are_not_lost_without_a_word(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ferwatch.analyze(DEMO, folder, **QUICK)
    rebuild(folder, corrections=Corrections(names={1: "Anna"}), baseline="0-0:00.2")
    run = ferwatch.analyze(DEMO, folder, ignore=[1], overwrite=True, **QUICK)
    assert run.warnings == ("the run that was replaced had corrections, which are lost: names, baseline",)
    assert not any("lost" in w for w in ferwatch.analyze(DEMO, folder, overwrite=True, **QUICK).warnings)


def test_an_interrupted_run_of_another_video_is_called_that(tmp_path: Path) -> None:
    other = tmp_path / "long.mp4"
    other.write_bytes(DEMO.read_bytes() + b"\0")
    interrupted(other, tmp_path / "run")
    with pytest.raises(OutputError, match=r"holds an interrupted run of another video, long\.mp4"):
        ferwatch.analyze(DEMO, tmp_path / "run", **QUICK)
    with pytest.raises(OutputError, match=r"its video was long\.mp4 \([\d,]+ bytes, checksum \w+\), now it is demo"):
        ferwatch.analyze(DEMO, tmp_path / "run", resume=True, **QUICK)


def test_a_run_that_was_replaced_is_told_after_an_interrupt_too(tmp_path: Path) -> None:
    other = tmp_path / "clash.mp4"
    other.write_bytes(DEMO.read_bytes() + b"\0")
    ferwatch.analyze(other, tmp_path / "run", **QUICK)
    interrupted(DEMO, tmp_path / "run", overwrite=True)
    run = ferwatch.analyze(DEMO, tmp_path / "run", resume=True, **QUICK)
    assert any("clash.mp4, which was replaced" in warning for warning in run.warnings)


def test_outputs_of_other_options_do_not_stay_when_a_run_is_resumed(tmp_path: Path) -> None:
    def stop(stage: str, _done: int, _total: int) -> None:
        if stage == "annotating":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ferwatch.analyze(DEMO, tmp_path / "run", end=1.0, exports=("json", "html"), progress=stop)
    assert (tmp_path / "run/timeline.html").exists()
    ferwatch.analyze(DEMO, tmp_path / "run", resume=True, exports=("srt",), smoothing=1.0, **QUICK)
    assert {f.name for f in (tmp_path / "run").iterdir()} == {
        *("frames.csv", "episodes.csv", "timeline.png", "annotated.srt", "run.json")
    }


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    """It may show faces."""
    for leftover, how in ((".annotated.partial.mp4", "overwrite"), (".timeline.partial.html", "resume")):
        interrupted(DEMO, tmp_path / "run", overwrite=True)
        (tmp_path / "run" / leftover).write_bytes(b"half a film, or a page")
        ferwatch.analyze(DEMO, tmp_path / "run", blur_faces=True, **{how: True}, **QUICK)
        assert not (tmp_path / "run" / leftover).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="flock is of Unix")
def test_a_file_system_without_locks_is_named_in_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unsupported(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    ferwatch.analyze(DEMO, tmp_path / "run", **QUICK)
    assert "has no locks" in caplog.text
    assert {f.name for f in tmp_path.iterdir()} == {"run"}


def test_a_moved_video_resumes(tmp_path: Path) -> None:
    """../shared/faults/resume_moved: another place, another name, another date."""
    video = tmp_path / "mv.mp4"
    shutil.copyfile(DEMO, video)
    interrupted(video, tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    moved = video.rename(tmp_path / "elsewhere/renamed.mp4")
    os.utime(moved, (1, 1))
    ferwatch.analyze(moved, tmp_path / "run", resume=True, **QUICK)
    ferwatch.analyze(DEMO, tmp_path / "whole", **QUICK)
    assert (tmp_path / "run/frames.csv").read_bytes() == (tmp_path / "whole/frames.csv").read_bytes()


def test_a_copy_of_an_interrupted_run_resumes_elsewhere(tmp_path: Path) -> None:
    """With the lock file that a killed run leaves, which belongs to nobody."""
    interrupted(DEMO, tmp_path / "run")
    (tmp_path / "run" / LOCK_FILE).write_text('{"video": "demo.mp4", "process": 1, "host": "elsewhere"}')
    copy = tmp_path / "another disk" / "copy"
    shutil.copytree(tmp_path / "run", copy)
    ferwatch.analyze(DEMO, copy, resume=True, **QUICK)
    ferwatch.analyze(DEMO, tmp_path / "whole", **QUICK)
    assert (copy / "frames.csv").read_bytes() == (tmp_path / "whole/frames.csv").read_bytes()
    assert {f.name for f in copy.iterdir()} == {f.name for f in (tmp_path / "whole").iterdir()}


@pytest.mark.parametrize("is_there", [True, False])
def test_of_many_that_come_at_once_one_has_the_folder(tmp_path: Path, is_there: bool) -> None:
    """Jobs of a cluster that start in the same moment. Only the user's own folder stays when it stays empty."""
    barrier = Barrier(8, timeout=60)
    inside: list[int] = []
    refused: list[str] = []
    left: set[tuple[str, ...]] = set()
    if is_there:
        (tmp_path / "run").mkdir()

    def come(number: int) -> None:
        for _ in range(50):
            barrier.wait()
            try:
                with FolderLock(tmp_path / "run", f"{number}.mp4"):
                    inside.append(number)
                    assert inside == [number]
                    time.sleep(0.002)
                    inside.remove(number)
            except OutputError as error:
                refused.append(str(error))
            barrier.wait()
            left.add(tuple(path.name for path in tmp_path.rglob("*")))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come, range(8)))
    assert 0 < len(refused) < 8 * 50
    assert all("is at work in" in message for message in refused)
    assert left == {("run",) if is_there else ()}


@pytest.mark.parametrize("annotate", [True, False])
def test_a_start_beyond_the_end_leaves_nothing_behind(tmp_path: Path, annotate: bool) -> None:
    """../shared/faults/start_after_end"""
    with pytest.raises(VideoError, match=r"demo\.mp4 ends at 0:\d\d\.\d+: there is nothing to analyse from 10:00"):
        ferwatch.analyze(DEMO, tmp_path / "run", start=600, annotate=annotate)
    with pytest.raises(VideoError, match="there is nothing to analyse"):
        list(ferwatch.track(DEMO, start=600))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["overwrite", "resume", None])
def test_a_video_is_not_replaced_by_its_own_run(tmp_path: Path, how: str | None) -> None:
    (tmp_path / "run").mkdir()
    video = Path(shutil.copyfile(DEMO, tmp_path / "run/annotated.mp4"))
    with pytest.raises(OutputError, match=r"annotated\.mp4 is a file that a run in .* would replace"):
        ferwatch.analyze(video, tmp_path / "run", **({how: True} if how else {}), **QUICK)
    assert video.read_bytes() == DEMO.read_bytes()
