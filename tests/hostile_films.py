"""Small videos of the demo's pictures, and the main job on them, for tests of unusual and damaged files."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from conftest import DEMO

from ferwatch import Run, analyze
from ferwatch.errors import VideoError
from ferwatch.video.sampling import Sampling

EVEN = [i / 10 for i in range(6)]


@pytest.fixture(scope="module")
def demo_frames() -> list[av.VideoFrame]:
    with av.open(str(DEMO)) as container:
        return [frame for frame, _ in zip(container.decode(video=0), range(30), strict=False)]


Film = Callable[..., Path]


@pytest.fixture
def film(demo_frames: list[av.VideoFrame], tmp_path: Path) -> Film:
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
                for picture, time in zip(demo_frames, times, strict=False):
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
    """The main job on every frame; None where the file is refused."""
    try:
        shutil.rmtree(video.parent / "run", ignore_errors=True)
        return watch(video, **options)
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
