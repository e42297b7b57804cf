"""Runs that are killed and taken up again end with the bytes of a run that was left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import DEMO, ROOT, Result

OPTIONS = ("--sample-fps", "12.5", "--no-video", "--export", "json", "--out", "run")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(
        [sys.executable, "-m", "ferwatch", str(DEMO), *OPTIONS, "--quiet"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    return folder / "run"


def killed_after(lines: int, folder: Path) -> None:
    """Starts a run and kills it, as a power cut would, once so many lines of its table are on disk."""
    with subprocess.Popen(
        [sys.executable, "-m", "ferwatch", str(DEMO), *OPTIONS, "--quiet"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        partial = folder / "run/frames.partial.csv"
        while process.poll() is None:
            if partial.exists() and partial.read_bytes().count(b"\n") >= lines:
                process.kill()
            time.sleep(0.02)


@pytest.mark.parametrize("lines", [1, 60, 130])
def test_killed_and_resumed(ferwatch: Callable[..., Result], tmp_path: Path, undisturbed: Path, lines: int) -> None:
    killed_after(lines, tmp_path)
    assert not (tmp_path / "run/frames.csv").exists()
    assert not (tmp_path / "run/run.json").exists()
    done = ferwatch(DEMO, *OPTIONS, "--resume")
    assert done.returncode == 0, done.stderr
    for name in ("frames.csv", "episodes.csv", "timeline.json"):
        assert (tmp_path / "run" / name).read_bytes() == (undisturbed / name).read_bytes(), name
    assert {f.name for f in (tmp_path / "run").iterdir()} == {f.name for f in undisturbed.iterdir()}


def test_a_killed_run_is_neither_replaced_unasked_nor_resumed_with_other_settings(
    ferwatch: Callable[..., Result], tmp_path: Path
) -> None:
    killed_after(30, tmp_path)
    refused = ferwatch(DEMO, *OPTIONS)
    assert refused.returncode == 1
    assert "--resume" in refused.stderr
    refused = ferwatch(DEMO, "--sample-fps", "5", "--no-video", "--out", "run", "--resume")
    assert refused.returncode == 1
    assert "sampling" in refused.stderr


def test_nothing_to_resume(ferwatch: Callable[..., Result]) -> None:
    refused = ferwatch(DEMO, *OPTIONS, "--resume")
    assert refused.returncode == 1
    assert "no interrupted run" in refused.stderr
