"""The main job on files that are not what they say: results for what decodes and a warning, or one clear line."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from conftest import DEMO, Result, needs_weights

from ferwatch import Run, analyze
from ferwatch.errors import VideoError
from ferwatch.video.sampling import Sampling

pytestmark = needs_weights
EVEN = [i / 10 for i in range(6)]


@pytest.fixture(scope="module")
def pictures() -> list[av.VideoFrame]:
    with av.open(str(DEMO)) as container:
        return [frame for frame, _ in zip(container.decode(video=0), range(30), strict=False)]


Film = Callable[..., Path]


@pytest.fixture
def film(pictures: list[av.VideoFrame], tmp_path: Path) -> Film:
    """Makes small videos of the demo's first pictures, shown at `times` (seconds)."""

    def make(
        name: str,
        times: Sequence[float] = EVEN,
        size: tuple[int, int] = (160, 90),
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        streams: int = 1,
        **options: str,
    ) -> Path:
        with av.open(str(tmp_path / name), "w", options=options) as out:
            for _ in range(streams):
                track = out.add_stream(codec, rate=10, options={"g": "3", "bf": "0"} if codec == "libx264" else {})
                track.width, track.height, track.pix_fmt = *size, pix_fmt
                track.codec_context.time_base = track.time_base = Fraction(1, 1000)
            for track in out.streams.video:
                for picture, time in zip(pictures, times, strict=False):
                    frame = picture.reformat(*size, pix_fmt)
                    frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
                    out.mux(track.encode(frame))
                out.mux(track.encode(None))
        return tmp_path / name

    return make


def watch(video: Path, **options: Any) -> Run:
    """The main job on every frame of a video; the run folder is beside it."""
    return analyze(video, video.parent / "run", sampling=Sampling(every=1), threads=1, **options)


def rows(run: Run) -> list[dict[str, str]]:
    with open(run.folder / "frames.csv", encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def frames(run: Run) -> list[int]:
    return sorted({int(row["frame"]) for row in rows(run)})


def decodable(video: Path) -> int:
    """How many pictures PyAV decodes of a video by itself, damaged packets left out; 0 if it does not open."""
    pictures = 0
    try:
        with av.open(str(video)) as container:
            for packet in container.demux(video=0):
                try:
                    pictures += len(packet.decode())
                except av.FFmpegError:
                    continue
    except (av.FFmpegError, IndexError):
        pass
    return pictures


def watch_if_it_can(video: Path, **options: Any) -> Run | None:
    """The same; None where the file is refused."""
    try:
        return watch(video, overwrite=True, **options)
    except VideoError:
        return None


def refused(video: Path) -> str:
    """The one line by which the job refuses a file; nothing may be left behind."""
    with pytest.raises(VideoError) as refusal:
        watch(video)
    line = str(refusal.value)
    assert line.startswith(str(video))
    assert "\n" not in line
    assert not (video.parent / "run").exists()
    return line


# Files that are no video


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"Dear diary,\n" * 100, "no video"), (bytes(5000), "no video"), (b"\x00\x00\x00\x18ftyp", "no")],
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "film.mp4").write_bytes(content)
    assert says in refused(tmp_path / "film.mp4")


def test_folder_picture_pipe_and_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((40, 40, 3), np.uint8))
    (tmp_path / "photo.mp4").write_bytes((tmp_path / "photo.png").read_bytes())
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    assert "folder" in refused(tmp_path / "folder.mp4")
    assert "no video" in refused(tmp_path / "photo.png")
    assert "no video" in refused(tmp_path / "photo.mp4")
    assert "pipe" in refused(tmp_path / "pipe.mp4")
    assert "symbolic links" in refused(tmp_path / "loop.mp4")
    assert "no such file" in refused(tmp_path / "nothing.mp4")
    assert "too long" in refused(tmp_path / ("n" * 300 + ".mp4"))


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    with av.open(str(DEMO)) as source, av.open(str(tmp_path / "talk.mp4"), "w") as out:
        track = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = track
                out.mux(packet)
    assert "only sound" in refused(tmp_path / "talk.mp4")


def test_no_frames_are_refused_and_one_is_enough(film: Film) -> None:
    video = film("one.mp4", times=[0.0])
    run = watch(video)
    assert frames(run) == [0]
    assert run.warnings == ()
    data = video.read_bytes()
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    hollow = video.with_name("hollow.mp4")
    hollow.write_bytes(data[:start] + bytes(end - start) + data[end:])
    shutil.rmtree(run.folder)
    assert "not one of its pictures decodes" in refused(hollow)


# Files that are damaged


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


# Files that are unusual


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
    assert len(run.warnings) == 1
    assert run.warnings[0].startswith("it holds 2 video streams (0, 1); stream 0 was read")


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


def test_a_clock_that_jumps_back_goes_on_and_is_named(film: Film, tmp_path: Path) -> None:
    both = tmp_path / "both.ts"
    both.write_bytes(film("a.ts", times=[5 + t for t in EVEN]).read_bytes() + film("b.ts").read_bytes())
    run = watch(both)
    times = [float(row["timestamp"]) for row in rows(run)]
    assert len(times) == 12
    assert all(a < b for a, b in pairwise(times))
    assert any("its clock starts again" in warning for warning in run.warnings)


# Names

NAMES = ["with space.mp4", 'it\'s "quoted".mp4', "顔 🎬.mp4", "50%d.mp4", "http:colon.mp4", "a\nb.mp4", b"\xff\xfe.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_will_do(film: Film, tmp_path: Path, name: str | bytes) -> None:
    video = film("plain.mp4", times=[0.0]).rename(tmp_path / os.fsdecode(name))
    run = analyze(video, tmp_path / f"{video.stem}-ferwatch", exports=["json", "eaf", "boris", "html"], threads=1)
    facts = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    assert facts["video"]["file"] == str(video)
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
