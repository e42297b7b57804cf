"""Outputs that cannot be written: one clear line, nothing that looks whole and is not, and --resume with room again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import DEMO, ROOT, needs_weights

from ferwatch import Run, analyze
from ferwatch.errors import OutputError

pytestmark = needs_weights


def run(out: Path, **options: Any) -> Run:
    return analyze(DEMO, out, end=0.6, exports=["json", "html"], threads=1, **options)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("undisturbed") / "run").folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB; only root may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    # Lazily: after an error in the middle of an MP4 FFmpeg keeps the file open, deleted as it is.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis is a file; name another folder with --out"):
        run(tmp_path / "thesis", overwrite=True)
    with pytest.raises(OutputError, match=r"thesis is a file; name another folder with --out"):
        run(tmp_path / "thesis" / "chapter")
    assert (tmp_path / "thesis").read_text() == "years of work"


def test_a_path_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"File name too long"):
        run(tmp_path / ("n" * 300))


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "run" / "run.json").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"cannot replace .*run\.json"):
        run(tmp_path / "run", overwrite=True)


def test_no_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root; test_a_disk_that_is_read_only does the like")
    (tmp_path / "theirs").mkdir(mode=0o555)
    with pytest.raises(OutputError, match=r"theirs/run: Permission denied"):
        run(tmp_path / "theirs" / "run")


def test_a_disk_that_is_read_only(disk: Path) -> None:
    (disk / "run").mkdir()
    (disk / "run" / "run.json").write_text("{}")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(OutputError, match=r"Read-only file system"):
        run(disk / "new")
    with pytest.raises(OutputError, match=r"Read-only file system"):
        run(disk / "run", overwrite=True)


def test_a_disk_that_fills_up(disk: Path, undisturbed: Path) -> None:
    """Wherever the room runs out, what has its final name is whole, and with room again the run is taken up."""
    refused = 0
    for free in (0, 4096, 8192, 16384, 40_960, 102_400, 163_840):
        filler = disk / "filler"
        filler.write_bytes(bytes(2**20 - free))
        out = disk / f"run-{free}"
        said = None
        try:
            run(out)
        except OutputError as error:
            said = str(error)
            refused += 1
        assert said is None or "No space left on device" in said, free
        assert (out / "run.json").exists() == (said is None), free
        left = [
            f
            for f in (out.iterdir() if out.exists() else ())  # a folder in which nothing could be written is removed
            if f.name not in ("frames.partial.csv", "resume.json", "run.json", "segments.partial")
        ]
        for file in left:
            assert file.read_bytes() == (undisturbed / file.name).read_bytes(), (free, file.name)
        filler.unlink()
        resume = (out / "resume.json").exists()
        again = run(out, resume=resume, overwrite=not resume)
        for file in again.files:
            if file.name != "run.json":
                assert file.read_bytes() == (undisturbed / file.name).read_bytes(), (free, file.name)
        for file in out.iterdir():
            file.unlink()
    assert refused >= 5


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits on the size of files")
def test_a_quota_is_told_in_one_line(tmp_path: Path) -> None:
    """No file may be larger than 40 KiB, which the faces of two seconds are."""
    command = f"ulimit -f 40; exec '{sys.executable}' -m ferwatch '{DEMO}' --end 2 --no-video --out run --quiet"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"ferwatch: cannot write .*: File too large\n", done.stderr), done.stderr
