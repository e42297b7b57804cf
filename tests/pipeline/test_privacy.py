"""Nothing leaves the machine and nothing stays on it beyond what was asked for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DEMO, ROOT, needs_weights

pytestmark = needs_weights
JOB = [sys.executable, "-m", "ferwatch", str(DEMO), "--end", "0.5", "--export", "html", "--out", "run"]


def without_network() -> list[str]:
    """A command prefix that runs in an empty network namespace, where not even this machine itself can be reached."""
    for prefix in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        try:
            if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
                return prefix
        except FileNotFoundError:
            break
    pytest.skip("a network namespace cannot be made here")


def test_the_main_job_needs_no_network_and_leaves_no_temporary_files(tmp_path: Path) -> None:
    for folder in ("work", "temporary", "home"):
        (tmp_path / folder).mkdir()
    places = {"TMPDIR": str(tmp_path / "temporary"), "HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    # The check of the check: from there nothing can be reached.
    alone = without_network()
    with socket.create_server(("127.0.0.1", 0)) as server:
        reach = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)"
        assert subprocess.run([sys.executable, "-c", reach], capture_output=True, check=False).returncode == 0
        assert subprocess.run([*alone, sys.executable, "-c", reach], capture_output=True, check=False).returncode != 0

    done = subprocess.run(
        [*alone, *JOB], cwd=tmp_path / "work", env={**os.environ, **places}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert {f.name for f in (tmp_path / "work/run").iterdir()} == {
        *("frames.csv", "episodes.csv", "timeline.png", "timeline.html", "annotated.mp4", "run.json")
    }
    assert [*(tmp_path / "temporary").rglob("*")] == []
    # Matplotlib keeps a list of the machine's fonts between runs.
    kept = [f for f in (tmp_path / "home").rglob("*") if f.is_file() and "matplotlib" not in str(f)]
    assert kept == []


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    subprocess.run(
        [*JOB, "--no-video"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True
    )
    page = (tmp_path / "run/timeline.html").read_text(encoding="utf-8")
    for address in ('src="http', 'href="http', "url(http", "@import", 'src="//', "fetch("):
        assert address not in page
