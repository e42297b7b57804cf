"""The main job on unusual sizes, pixels, times and names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import pytest
from conftest import Result, needs_weights
from hostile_films import EVEN, Film, frames, rows, watch

from ferwatch import analyze

pytestmark = needs_weights


@pytest.mark.parametrize(
    ("size", "pix_fmt", "codec", "name"),
    [
        ((2, 2), "yuv420p", "libx264", "film.mp4"),
        ((1, 1), "rgb24", "rawvideo", "film.nut"),
        ((161, 91), "yuv444p", "libx264", "film.mp4"),
        ((16, 720), "yuv420p", "libx264", "film.mp4"),
        ((160, 90), "yuv420p10le", "libx264", "film.mp4"),
        ((160, 90), "yuv422p", "libx264", "film.mkv"),
        ((160, 90), "yuva420p", "libvpx-vp9", "film.webm"),
        ((160, 90), "gray", "ffv1", "film.mkv"),
        ((160, 90), "rgb8", "gif", "film.gif"),
    ],
)
def test_sizes_and_pixels(film: Film, size: tuple[int, int], pix_fmt: str, codec: str, name: str) -> None:
    run = watch(film(name, size=size, pix_fmt=pix_fmt, codec=codec))
    assert frames(run) == list(range(6))
    assert run.warnings == ()
    facts = json.loads((run.folder / "run.json").read_text())["video"]
    assert (facts["width"], facts["height"]) == size
    with av.open(str(run.folder / "annotated.mp4")) as annotated:
        assert len(list(annotated.decode(video=0))) == 6


def test_a_rate_of_240(film: Film) -> None:
    run = watch(film("fast.mp4", times=[i / 240 for i in range(30)]), annotate=False)
    assert [float(row["timestamp"]) for row in rows(run)] == pytest.approx([i / 240 for i in range(30)], abs=0.0011)


def test_8k(film: Film) -> None:
    run = watch(film("8k.mp4", size=(7680, 4320), times=EVEN[:2]))
    assert frames(run) == [0, 1]
    assert {row["success"] for row in rows(run)} == {"1"}
    with av.open(str(run.folder / "annotated.mp4")) as annotated:
        assert [(picture.width, picture.height) for picture in annotated.decode(video=0)] == [(7680, 4320)] * 2


def test_several_video_streams(film: Film) -> None:
    run = watch(film("two.mkv", streams=2))
    assert frames(run) == list(range(6))
    (warning,) = run.warnings
    assert "2 video streams" in warning
    assert "--stream" in warning


def test_a_size_that_changes(film: Film, tmp_path: Path) -> None:
    both = tmp_path / "both.h264"
    both.write_bytes(film("a.h264").read_bytes() + film("b.h264", size=(80, 60)).read_bytes())
    run = watch(both)
    assert frames(run) == list(range(12))
    assert [w for w in run.warnings if "size of its picture changes" in w]


def test_no_times(film: Film) -> None:
    run = watch(film("raw.h264"))
    facts = json.loads((run.folder / "run.json").read_text())["video"]
    assert facts["timestamp_source"] == "index/fps"
    assert [float(row["timestamp"]) for row in rows(run)] == pytest.approx(
        [i / facts["fps"] for i in range(6)], abs=0.0006
    )


def test_times_that_jump_ahead_are_kept(film: Film) -> None:
    times = [0.0, 0.1, 0.2, 3600.0, 3600.1, 90_000.0]
    run = watch(film("gap.mkv", times=times))
    assert [float(row["timestamp"]) for row in rows(run)] == pytest.approx(times, abs=0.0011)
    # MP4 cannot hold the gap of a day: the pictures are there, and a warning says from when on they come early.
    assert [w for w in run.warnings if "from 90000.000 s on" in w]
    with av.open(str(run.folder / "annotated.mp4")) as annotated:
        assert len(list(annotated.decode(video=0))) == len(times)


def test_time_goes_on_where_a_clock_restarts(film: Film, tmp_path: Path) -> None:
    both = tmp_path / "both.ts"
    both.write_bytes(film("a.ts", times=[5 + t for t in EVEN]).read_bytes() + film("b.ts").read_bytes())
    run = watch(both)
    times = [float(row["timestamp"]) for row in rows(run)]
    assert len(times) == 12
    assert all(a < b for a, b in pairwise(times))
    assert any("clock starts again" in warning for warning in run.warnings)


NAMES = ["with space.mp4", 'it\'s "quoted".mp4', "顔 🎬.mp4", "50%d.mp4", "http:colon.mp4", "a\nb.mp4", b"\xff\xfe.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_will_do(film: Film, tmp_path: Path, name: str | bytes) -> None:
    video = film("plain.mp4", times=[0.0]).rename(tmp_path / os.fsdecode(name))
    run = analyze(video, tmp_path / f"{video.stem}-ferwatch", exports=["json", "eaf", "boris", "html"], threads=1)
    facts = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    assert facts["video"]["file"] == video.name  # without the folders of this machine
    assert len(run.files) == 9
    assert all(file.stat().st_size for file in run.files)


@pytest.mark.parametrize("name", ["-rf 'x' 🎬.mp4", b"-\xff\xfe.mp4"])
def test_any_name_will_do_on_the_command_line(
    ferwatch: Callable[..., Result], film: Film, tmp_path: Path, name: str | bytes
) -> None:
    video = film("plain.mp4", times=[0.0]).rename(tmp_path / os.fsdecode(name))
    done = ferwatch("--no-video", "--", video.name)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / f"{video.stem}-ferwatch" / "frames.csv").exists()


def test_a_refusal_on_the_command_line(ferwatch: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("Dear diary")
    done = ferwatch("notes.mp4")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("ferwatch: notes.mp4 cannot be read: ")
    assert done.stderr.count("\n") == 1
