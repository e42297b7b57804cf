"""One contract for every source of frames."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from clips import make_clip, number_of, numbered

from ferwatch.errors import DataError, VideoError
from ferwatch.video.arrays import ArraySource
from ferwatch.video.sampling import Sampling
from ferwatch.video.source import FrameSource, open_source

THIRTY = [i / 30 for i in range(60)]
UNEVEN = [0.0, 0.033, 0.21, 0.25, 0.5, 0.51, 0.52, 0.9, 1.5, 1.533, 2.2]
PLAIN = [
    ("late.mp4", [0.8 + t for t in THIRTY], {"sound": "aac", "bframes": 2}),
    ("uneven.mp4", UNEVEN, {"bframes": 2}),
    ("uneven.mkv", UNEVEN, {"sound": "aac", "bframes": 2}),
    ("far.ts", [9000 + t for t in THIRTY], {"bframes": 2}),
    ("thirty.webm", THIRTY, {"codec": "libvpx"}),
    ("thirty.avi", THIRTY, {"codec": "mpeg4"}),
    ("edited.mp4", THIRTY, {"sound": "aac", "bframes": 2, "offset": -0.4}),
    ("turned.mp4", THIRTY, {"turned": 90}),
    ("wide.mp4", THIRTY, {"shape": Fraction(4, 3)}),
]


@pytest.mark.parametrize(("name", "times", "how"), PLAIN, ids=[name for name, _, _ in PLAIN])
def test_both_decoders_give_the_same_frames_of_plain_clips(tmp_path, name, times, how):
    path = make_clip(tmp_path / name, times, **how)
    with open_source(path) as one, open_source(path, decoder="opencv") as other:
        ours, theirs = list(one), list(other)
    assert one.info == other.info
    assert one.warnings == other.warnings == []
    assert one.frames_decoded == other.frames_decoded == len(ours)
    assert [frame.index for frame in ours] == [frame.index for frame in theirs]
    assert [frame.timestamp for frame in ours] == pytest.approx([frame.timestamp for frame in theirs], abs=0.002)
    assert [frame.duration for frame in ours] == pytest.approx([frame.duration for frame in theirs], abs=0.002)
    for a, b in zip(ours, theirs, strict=True):
        assert a.image.shape == b.image.shape
        assert np.abs(a.image.astype(int) - b.image).mean() < 4


@pytest.mark.parametrize("decoder", ["ffmpeg", "opencv"])
def test_every_file_source_keeps_the_contract(tmp_path, decoder):
    path = make_clip(tmp_path / "c.mp4", THIRTY)
    with open_source(path, decoder=decoder, sampling=Sampling(fps=10), start=0.5, end=1.5) as source:
        assert isinstance(source, FrameSource)
        frames = list(source)
        assert source.frames_decoded == 30
    assert [frame.index for frame in frames] == list(range(15, 45, 3))
    assert all(a.timestamp < b.timestamp for a, b in pairwise(frames))
    assert {frame.image.dtype for frame in frames} == {np.dtype(np.uint8)}


def hdr(path: Path) -> Path:
    return make_clip(path, THIRTY[:4], pix_fmt="yuv420p10le", color_trc="smpte2084")


def resized(path: Path) -> Path:
    pieces = [make_clip(path.with_name(f"{w}.ts"), THIRTY[:10], size=(w, 96)) for w in (160, 240)]
    path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    return path


def test_opencv_says_what_it_cannot_do(tmp_path):
    with pytest.raises(VideoError, match="OpenCV does not follow a size that changes; leave out --decoder opencv"):
        open_source(resized(tmp_path / "sizes.ts"), decoder="opencv")
    with pytest.raises(VideoError, match="no video stream 3"):
        open_source(make_clip(tmp_path / "c.mp4", THIRTY[:4]), decoder="opencv", stream=3)
    with pytest.raises(VideoError, match="no such file"):
        open_source(tmp_path / "nothing.mp4", decoder="opencv")


def test_a_clip_cut_in_half_gives_what_opencv_decodes(tmp_path):
    path = make_clip(tmp_path / "whole.mp4", THIRTY, grain=True, movflags="+faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with open_source(path, decoder="opencv") as source:
        numbers = [number_of(frame.image) for frame in source]
    assert 5 < len(numbers) < 55
    assert numbers[:5] == [0, 1, 2, 3, 4]
    assert any("damaged" in warning for warning in source.warnings)


def test_images_with_times_are_a_source():
    images = [(time, numbered(number)) for number, time in enumerate([0.0, 0.5, 0.6])]
    with ArraySource(images) as source:
        assert isinstance(source, FrameSource)
        assert (source.info.width, source.info.height, source.info.timestamp_source) == (160, 96, "given")
        frames = list(source)
        assert list(source) == [], "they can be read once"
        assert source.info.width == 160
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2]
    assert [frame.timestamp for frame in frames] == [0.0, 0.5, 0.6]
    assert [frame.duration for frame in frames] == pytest.approx([0.5, 0.1, 0.1])
    assert source.frames_decoded == 3


def test_images_without_times_are_counted_at_a_rate():
    frames = list(ArraySource((numbered(number) for number in range(3)), fps=10))
    assert [frame.timestamp for frame in frames] == pytest.approx([0.0, 0.1, 0.2])
    assert [frame.duration for frame in frames] == pytest.approx([0.1] * 3)


def test_a_caller_may_use_its_array_again():
    image = numbered(0)

    def film():
        for number in range(4):
            image[:] = numbered(number)
            yield number / 10, image

    assert [number_of(frame.image) for frame in ArraySource(film())] == [0, 1, 2, 3]


def test_an_image_of_another_size_has_its_place_in_the_first():
    frames = list(ArraySource([(0, numbered(0)), (1, numbered(1, 320, 192))]))
    assert [frame.placement for frame in frames] == [None, (0.5, 0, 0)]


@pytest.mark.parametrize(
    ("images", "cause"),
    [
        ([(1.0, numbered(0)), (0.5, numbered(1))], "before the picture before it"),
        ([(float("nan"), numbered(0))], "number of seconds"),
        ([numbered(0)[..., 0]], r"shape \(H, W, 3\)"),
        ([numbered(0).astype(float)], "uint8"),
        (["film.mp4"], "it is str"),
    ],
)
def test_what_is_no_image_or_no_time_is_named(images, cause):
    with pytest.raises(DataError, match=cause):
        list(ArraySource(images, fps=25))


def test_no_image_at_all_is_named():
    with pytest.raises(VideoError, match="no image to analyse"):
        _ = ArraySource([]).info
