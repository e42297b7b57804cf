"""Segments of a video hold the frames of the whole, whatever the file is like; where they cannot, this is noticed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import make_clip

from ferwatch.records import Frame
from ferwatch.video.index import IndexedPicture, IndexMismatch, VideoSegment, plan_segments, read_index
from ferwatch.video.picture import Geometry, GeometryReader
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling, TimedPicture
from ferwatch.video.segment_reader import SegmentReader

PERIOD = 1.0
"""Seconds between two cuts."""


def moving(number: int, size: tuple[int, int] = (160, 96)) -> np.ndarray:
    """A picture with noise that moves from one to the next, so that each is predicted from its neighbours."""
    noise = np.random.default_rng(7).integers(0, 255, (size[1] // 8 + 40, size[0] // 8 + 40, 3), np.uint8)
    large = noise.repeat(8, 0).repeat(8, 1)
    return np.ascontiguousarray(large[number : number + size[1], 2 * number : 2 * number + size[0]])


def encoded(
    path: Path, codec: str, options: dict[str, str], seconds: float = 6.0, times: Callable[[int], float] | None = None
) -> Path:
    """A clip at 25 pictures a second, or at the times that a function of their number gives."""
    with av.open(str(path), "w") as out:
        track = out.add_stream(codec, rate=25, options=options)
        track.width, track.height, track.pix_fmt = 160, 96, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        track.codec_context.time_base = Fraction(1, 1000)
        for number in range(round(25 * seconds)):
            frame = av.VideoFrame.from_ndarray(moving(number % 60), format="bgr24").reformat(format=track.pix_fmt)
            time = number / 25 if times is None else times(number)
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return path


def segments_of(
    path: Path, sampling: Sampling, start: float = 0.0, end: float | None = None, at_keyframes: bool = False
) -> list[VideoSegment]:
    with VideoReader(path, sampling, start, end) as reader:
        index = read_index(path, reader.info)
    return [] if index is None else plan_segments(index, sampling, start, end, PERIOD, at_keyframes=at_keyframes)


def read_in_segments(path: Path, segments: list[VideoSegment], *, backwards: bool = True) -> list[Frame]:
    """The frames of all segments; those may be decoded in the opposite order, as none may need the one before."""
    with VideoReader(path) as reader:
        info = reader.info
    segment_reader = SegmentReader(path, info)
    parts = {s.number: list(segment_reader.read(s)) for s in (segments[::-1] if backwards else segments)}
    segment_reader.close()
    return [frame for segment in segments for frame in parts[segment.number]]


def assert_same(
    path: Path, sampling: Sampling, start: float = 0.0, end: float | None = None, at_keyframes: bool = False
) -> int:
    """Returns the number of segments."""
    segments = segments_of(path, sampling, start, end, at_keyframes)
    with VideoReader(path, sampling, start, end) as reader:
        whole = list(reader)
        assert sum(segment.pictures for segment in segments) == reader.frames_decoded
        assert reader.warnings == []
    for backwards in (True, False):
        parts = read_in_segments(path, segments, backwards=backwards)
        assert [(f.index, f.timestamp, f.duration) for f in parts] == [
            (f.index, f.timestamp, f.duration) for f in whole
        ]
        for part, frame in zip(parts, whole, strict=True):
            np.testing.assert_array_equal(part.image, frame.image)
    return len(segments)


X264 = {"g": "20", "sc_threshold": "0"}
CLIPS = {
    "closed.mp4": ("libx264", {**X264, "bf": "0"}),
    "b-frames.mp4": ("libx264", {**X264, "bf": "3"}),
    "open-gop.mp4": ("libx264", {**X264, "bf": "3", "x264-params": "open-gop=1"}),
    "open-gop.mkv": ("libx264", {**X264, "bf": "3", "x264-params": "open-gop=1"}),
    "open-gop.ts": ("libx264", {**X264, "bf": "3", "x264-params": "open-gop=1"}),
    "hevc-open-gop.mp4": ("libx265", {"x265-params": "keyint=20:min-keyint=20:scenecut=0:bframes=3:log-level=none"}),
    "mpeg4.mkv": ("mpeg4", {"g": "20", "bf": "2"}),
    "mjpeg.mov": ("mjpeg", {}),
    "vp9.webm": ("libvpx-vp9", {"g": "20", "deadline": "realtime", "cpu-used": "8"}),
}


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("sampling", [Sampling(fps=10), Sampling()])
def test_segments_hold_the_frames_of_the_whole(tmp_path: Path, name: str, sampling: Sampling) -> None:
    path = encoded(tmp_path / name, *CLIPS[name])
    assert assert_same(path, sampling) >= 3


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("start", [0.0, 1.5])
def test_segments_that_begin_at_key_frames(tmp_path: Path, name: str, start: float) -> None:
    path = encoded(tmp_path / name, *CLIPS[name])
    assert assert_same(path, Sampling(), start, at_keyframes=True) >= 3
    segments = segments_of(path, Sampling(), start, at_keyframes=True)
    numbers = [segment.number for segment in segments]
    assert numbers == sorted(set(numbers))
    with av.open(str(path)) as clip:
        keys = {packet.pts for packet in clip.demux(video=0) if packet.is_keyframe}
    assert all(segment.pts[0] in keys for segment in segments[1:])


@pytest.mark.parametrize(("start", "end"), [(0.0, 3.3), (2.5, None), (1.98, 4.02)])
def test_a_range_of_a_video(tmp_path: Path, start: float, end: float | None) -> None:
    path = encoded(tmp_path / "clip.mp4", *CLIPS["b-frames.mp4"])
    assert assert_same(path, Sampling(fps=10), start, end) >= 2


def test_a_variable_rate_with_a_long_pause(tmp_path: Path) -> None:
    def uneven(number: int) -> float:
        return number / 25 + 0.013 * (number % 3) + (2.3 if number > 70 else 0)

    path = encoded(tmp_path / "uneven.mp4", "libx264", {**X264, "g": "5", "bf": "2"}, times=uneven)
    for sampling in (Sampling(fps=10), Sampling(fps=40), Sampling(every=3)):
        assert assert_same(path, sampling) >= 3


@pytest.mark.parametrize("offset", [-0.5, 0.7])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_an_edit_list_and_sound_that_begins_at_another_time(tmp_path: Path, name: str, offset: float) -> None:
    if name == "clip.mkv" and offset < 0:
        pytest.skip("Matroska has no edit lists")
    times = [n / 25 for n in range(375)]
    path = make_clip(tmp_path / name, times, sound="aac", seconds=15.0, bframes=2, offset=offset)
    assert assert_same(path, Sampling(fps=10)) >= 2


@pytest.mark.parametrize("name", ["b-frames.mp4", "hevc-open-gop.mp4"])
def test_pictures_that_nothing_needs_are_not_decoded(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encoded(tmp_path / name, *CLIPS[name])
    decoded: list[int] = []
    read = GeometryReader.read

    def counting(reader: GeometryReader, picture: av.VideoFrame) -> Geometry:
        decoded.append(picture.pts)
        return read(reader, picture)

    monkeypatch.setattr(GeometryReader, "read", counting)
    segments = segments_of(path, Sampling(fps=5))
    decoded.clear()
    assert len(read_in_segments(path, segments)) == 30
    assert len(decoded) < 0.8 * 150


def test_key_frames_far_apart_make_longer_segments(tmp_path: Path) -> None:
    path = encoded(tmp_path / "far.mp4", "libx264", {"g": "1000", "bf": "0", "sc_threshold": "0"})
    assert assert_same(path, Sampling(fps=10)) == 1


KEYFRAMES = {
    "a phone, one a second": lambda time: 1.0,
    "x264, one in 250": lambda time: 250 / 30,
    "a screen recording, one in 20 s": lambda time: 20.0,
    "x264 with cuts of the film": lambda time: (3.3, 250 / 30, 5.1)[int(time) % 3],
}


@pytest.mark.parametrize("name", KEYFRAMES)
@pytest.mark.parametrize("minutes", [1, 10])
def test_few_pictures_are_decoded_twice(name: str, minutes: int) -> None:
    pictures, keyframe_at = [], 0.0
    for number in range(1800 * minutes):
        is_keyframe = number / 30 >= keyframe_at
        if is_keyframe:
            keyframe_at = number / 30 + KEYFRAMES[name](number / 30)
        packet = IndexedPicture(number, 1, Fraction(1, 30), number, is_keyframe)
        pictures.append(TimedPicture(number, number / 30, 1 / 30, packet))
    segments = plan_segments(pictures, Sampling(fps=10), 0.0, None, 4.0)
    decoded = sum(segment.pts[-1] + 1 - segment.seek_time for segment in segments)
    assert decoded < 1.15 * len(pictures)
    assert len({sample.number for segment in segments for sample in segment.samples}) == 600 * minutes
    longest = max(segment.pictures for segment in segments) / 30
    print(f"{name}, {minutes} min: {len(segments)} segments, longest {longest:.0f} s, {decoded / len(pictures):.3f}")
    assert longest <= 32, "each of two workers has something to do"


def damaged(path: Path, at: float) -> Path:
    data = bytearray(path.read_bytes())
    place = int(at * len(data))
    data[place : place + 400] = np.random.default_rng(0).integers(0, 256, 400, np.uint8).tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(fps=10), Sampling(fps=3)])
@pytest.mark.parametrize("at", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("name", ["closed.mp4", "b-frames.mp4", "open-gop.ts", "mpeg4.mkv", "hevc-open-gop.mp4"])
def test_damage_is_noticed_or_does_not_matter(tmp_path: Path, name: str, at: float, sampling: Sampling) -> None:
    path = damaged(encoded(tmp_path / name, *CLIPS[name]), at)
    segments = segments_of(path, sampling)
    if not segments:
        return
    try:
        parts = read_in_segments(path, segments)
    except IndexMismatch:
        return
    with VideoReader(path, sampling) as reader:
        whole = list(reader)
    assert [(f.index, f.timestamp) for f in parts] == [(f.index, f.timestamp) for f in whole]
    for part, frame in zip(parts, whole, strict=True):
        np.testing.assert_array_equal(part.image, frame.image)


def test_a_file_without_times_has_no_index(tmp_path: Path) -> None:
    path = encoded(tmp_path / "raw.h264", *CLIPS["closed.mp4"])
    assert segments_of(path, Sampling()) == []


def test_pictures_that_are_not_those_of_the_index_are_refused(tmp_path: Path) -> None:
    """The index of one file, the pictures of another: one of them is missing."""
    path = encoded(tmp_path / "clip.mkv", *CLIPS["closed.mp4"])
    segments = segments_of(path, Sampling())
    encoded(path, *CLIPS["closed.mp4"], times=lambda n: n / 25 + (0.04 if n >= 80 else 0))
    with pytest.raises(IndexMismatch, match="picture"):
        read_in_segments(path, segments)
