"""The main job on damaged files: results for what decodes, and a warning."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import pytest
from conftest import Result, needs_weights
from hostile_films import Film, decodable, frames, refused, rows, watch, watch_if_it_can

pytestmark = needs_weights


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts"])
def test_cut_at_every_tenth(film: Film, tmp_path: Path, name: str) -> None:
    """All that decodes is in the table; where pictures are missing that were declared, a warning counts them."""
    whole = film(name, times=[i / 2 for i in range(20)], movflags="+faststart").read_bytes()
    cut = tmp_path / f"cut-{name}"
    for tenth in range(1, 10):
        cut.write_bytes(whole[: len(whole) * tenth // 10])
        there = decodable(cut)
        run = watch_if_it_can(cut, annotate=tenth % 4 == 1)
        assert (run is None) == (there == 0), tenth
        if run is None:
            continue
        assert frames(run) == list(range(there)), tenth
        if name.endswith("mp4"):
            assert run.warnings == (f"damaged: {there} of 20 declared frames decode",), tenth
        elif name.endswith("mkv") and there < 17:
            assert run.warnings, tenth


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts", "film.avi"])
def test_flipped_bytes(film: Film, tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    whole = film(name, times=[i / 10 for i in range(12)], codec=codec).read_bytes()
    broken = tmp_path / f"broken-{name}"
    for seed in range(6):
        draw = random.Random(f"{name} {seed}")
        data = bytearray(whole)
        for _ in range(2 + 10 * seed):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        broken.write_bytes(data)
        run = watch_if_it_can(broken, annotate=seed % 2 == 0)
        assert (run is None) == (decodable(broken) == 0), seed
        if run is None:
            continue
        assert frames(run)
        times = [float(row["timestamp"]) for row in rows(run)]
        assert all(a <= b for a, b in pairwise(times)), seed


def test_bytes_lost_behind_the_first_picture(film: Film) -> None:
    """Case 50 of the fuzzer with seed 1: FFmpeg's threads drop the pictures that decode, as those after them do not."""
    video = film("film.mp4", movflags="+faststart")
    with av.open(str(video)) as container:
        first = next(container.demux(video=0))
    assert first.pos is not None
    data = video.read_bytes()
    video.write_bytes(data[: first.pos + first.size] + data[first.pos + first.size + 3 :])
    there = decodable(video)
    assert 0 < there < 6
    run = watch(video)
    assert frames(run) == list(range(there))
    assert run.warnings == (f"damaged: {there} of 6 declared frames decode",)


def test_a_cut_film_of_a_camera(ferwatch: Callable[..., Result], clip: Callable[[str], Path], tmp_path: Path) -> None:
    """A .mov keeps its index at its end: cut in half, FFmpeg cannot open it. With the index in front, half is there."""
    source = clip("face_noface.mov")
    cut = tmp_path / "cut.mov"
    cut.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert decodable(cut) == 0
    assert "cut off" in refused(cut)

    with (
        av.open(str(source)) as film,
        av.open(str(tmp_path / "front.mov"), "w", options={"movflags": "faststart"}) as out,
    ):
        track = out.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                out.mux(packet)
    front = (tmp_path / "front.mov").read_bytes()
    cut.write_bytes(front[: len(front) // 2])
    there = decodable(cut)
    with av.open(str(cut)) as container:
        declared = container.streams.video[0].frames
    assert 0 < there < declared
    done = ferwatch(cut, "--all-frames", "--no-video", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"ferwatch: warning: damaged: {there} of {declared} declared frames decode\n"
    with open(tmp_path / "run/frames.csv", encoding="utf-8", newline="") as f:
        assert {int(row["frame"]) for row in csv.DictReader(f)} == set(range(there))
