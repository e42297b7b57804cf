"""Executors: every task once, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ferwatch.errors import VideoError
from ferwatch.pipeline.executors import InProcess, LocalProcesses, WorkerLost


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("executor", [InProcess(), LocalProcesses(1), LocalProcesses(3)])
def test_each_task_has_its_result(executor: InProcess | LocalProcesses) -> None:
    assert dict(executor.run(square, range(7))) == {n: n * n for n in range(7)}
    assert dict(executor.run(square, [8, 9])) == {8: 64, 9: 81}, "the same workers go on"
    if isinstance(executor, LocalProcesses):
        executor.close()


def fail_at_three(number: int) -> int:
    if number == 3:
        raise VideoError("the third one is no video")
    return number


def test_an_error_in_a_task_is_raised_here() -> None:
    with LocalProcesses(2) as executor, pytest.raises(VideoError, match="the third one is no video"):
        list(executor.run(fail_at_three, range(100)))


def die_once(marker: Path) -> str:
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker.name


def die(_number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_task_of_a_worker_that_died_is_started_again(tmp_path: Path) -> None:
    tasks = [tmp_path / name for name in ("a", "b", "c")]
    with LocalProcesses(2) as executor:
        assert dict(executor.run(die_once, tasks, retries=1)) == {task: task.name for task in tasks}


def test_a_task_that_kills_its_workers_ends() -> None:
    with LocalProcesses(2) as executor:
        ((task, result),) = executor.run(die, [5], retries=2)
    assert task == 5
    assert isinstance(result, WorkerLost)


def touch(marker: Path) -> None:
    marker.touch()


def test_workers_go_on_while_the_caller_works_on_a_result(tmp_path: Path) -> None:
    with LocalProcesses(1) as executor:
        results = executor.run(touch, [tmp_path / "first", tmp_path / "second"])
        next(results)
        deadline = time.monotonic() + 10  # the second result has not been asked for
        while not (tmp_path / "second").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        results.close()


def sleep_long(marker: Path) -> None:
    marker.write_text(str(os.getpid()))
    time.sleep(60)


def test_closing_stops_the_tasks_at_work_and_nothing_else(tmp_path: Path) -> None:
    with LocalProcesses(2) as others:
        assert dict(others.run(square, [2])) == {2: 4}
        with LocalProcesses(2) as executor, pytest.raises(VideoError):
            list(executor.run(sleep_or_fail, [tmp_path / "pid", tmp_path / "fail"]))
        pid = int((tmp_path / "pid").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert dict(others.run(square, [3])) == {3: 9}


def sleep_or_fail(path: Path) -> None:
    if path.name == "fail":
        while not path.with_name("pid").exists() or not path.with_name("pid").read_text():
            time.sleep(0.05)
        raise VideoError("no video")
    sleep_long(path)


class TwoArguments(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} at {where}")


class HoldsALock(Exception):
    """Cannot be pickled."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


def fail_in_a_way_of_its_own(number: int) -> Any:
    if number == 0:
        return threading.Lock()
    raise TwoArguments("no room", "the end") if number == 1 else HoldsALock("the door is shut")


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (0, TypeError, "result of a task, of type lock, cannot be pickled"),
        (1, RuntimeError, "TwoArguments in a worker process: no room at the end"),
        (2, RuntimeError, "HoldsALock in a worker process: the door is shut"),
    ],
)
def test_what_cannot_be_pickled_is_named_and_no_lost_worker(number: int, error: type, message: str) -> None:
    with LocalProcesses(1) as executor:
        with pytest.raises(error, match=message):
            list(executor.run(fail_in_a_way_of_its_own, [number]))
        assert dict(executor.run(square, [3])) == {3: 9}, "the worker goes on"


def test_workers_start_where_the_folder_for_temporary_files_has_a_long_path(tmp_path: Path) -> None:
    """A fork server's socket would have a longer path than systems allow."""
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    program = "from ferwatch.pipeline.executors import LocalProcesses\nif __name__ == '__main__':\n"
    program += "    with LocalProcesses(2) as pool:\n        print(sorted(r for _, r in pool.run(abs, [-1, -2])))\n"
    (tmp_path / "program.py").write_text(program)
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[1, 2]\n", done.stderr


@pytest.mark.parametrize(
    ("is_file", "says"),
    [
        (
            True,
            "FerwatchError: each worker process imports the main script, and one ended in doing so (its own message",
        ),
        (False, "FerwatchError: worker processes cannot import the main script <stdin>, which is no file: save"),
    ],
)
def test_a_script_that_workers_cannot_import_is_told_so_once(tmp_path: Path, is_file: bool, says: str) -> None:
    script = "from ferwatch.pipeline.executors import LocalProcesses\n"
    script += "print('top', flush=True)\nlist(LocalProcesses(1).run(abs, [-1, -2], retries=3))\n"
    (tmp_path / "program.py").write_text(script)
    (tmp_path / ("long" * 20)).mkdir()  # the worker is then spawned, which loads less than a fork server
    environment = {**os.environ, "TMPDIR": str(tmp_path / ("long" * 20))}
    command, given = ([sys.executable, "program.py"], "") if is_file else ([sys.executable, "-"], script)
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, input=given, capture_output=True, text=True, check=False
    )
    assert done.stdout == "top\n" * (2 if is_file else 1)
    assert says in done.stderr
    assert 'under if __name__ == "__main__":' in done.stderr
    assert done.stderr.count("Traceback") == 1, done.stderr
