"""FramesWriter: a table that is whole whatever ends the run."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from tables import story_frames

from ferwatch.errors import OutputError
from ferwatch.timeline.table import FramesWriter


def test_a_partial_run_reads_whole(tmp_path: Path) -> None:
    with FramesWriter(tmp_path / "frames.csv") as writer:
        for frame in story_frames()[:20]:
            writer.write(frame)
            partial = tmp_path / "frames.partial.csv"
            assert partial.stat().st_size == writer.offset
            assert len(pd.read_csv(partial)["frame"].unique()) == frame.index // 3 + 1
    assert not (tmp_path / "frames.csv").exists()


def test_a_full_disk_leaves_whole_frames(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits on the size of a file are a thing of POSIX")
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with FramesWriter(tmp_path / "frames.csv") as writer:
            refused = ""
            for frame in story_frames():
                try:
                    writer.write(frame)
                except OutputError as error:
                    refused = str(error)
                    break
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert re.fullmatch(r"cannot write .*frames\.partial\.csv: File too large", refused)
    left = tmp_path / "frames.partial.csv"
    assert 2500 < left.stat().st_size == writer.offset <= 3000
    assert pd.read_csv(left)["neutral"].notna().all()


def test_a_folder_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^cannot write .*missing.*: No such file"):
        FramesWriter(tmp_path / "missing" / "frames.csv")
