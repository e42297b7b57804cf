"""Films as phones, calls, cameras and editing programs leave them, where several oddities meet."""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import make_clip, number_of, numbered

from ferwatch.errors import VideoError
from ferwatch.records import Frame
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling


def read(path: Path, *arguments, **options) -> tuple[list[Frame], VideoReader]:
    with VideoReader(path, *arguments, **options) as reader:
        return list(reader), reader


@pytest.mark.parametrize("matrix", [(0, 1, 1, 0), (0, -1, -1, 0)])
def test_a_mirrored_and_turned_picture_of_odd_pixels_is_upright_and_square(tmp_path, matrix):
    """A front camera held upright, whose app wrote pixels half as wide again as high."""
    frames, reader = read(make_clip(tmp_path / "c.mp4", [0.0, 0.04], matrix=matrix, shape=Fraction(3, 2)))
    assert reader.info.mirrored
    for number, frame in enumerate(frames):
        assert frame.image.shape == (144, 160, 3)  # stored 96 wide and 160 high: 144 by 160, lying
        assert np.abs(cv2.resize(frame.image, (160, 96)).astype(int) - numbered(number)).mean() < 10


def test_pq_film_whose_size_changes_is_tone_mapped_throughout(tmp_path):
    """The signal 0.4425 is 50.75 cd/m2, a quarter of diffuse white (BT.2408)."""
    data = b""
    for number, size in enumerate([(64, 32), (128, 96)]):
        piece = tmp_path / f"{number}.ts"
        with av.open(str(piece), "w") as out:
            stream = out.add_stream("libx265", rate=25, options={"x265-params": "log-level=none"})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p10le"
            context = stream.codec_context
            context.color_trc, context.color_primaries, context.colorspace, context.color_range = 16, 9, 9, 1
            for time in range(5):
                frame = av.VideoFrame(*size, "yuv420p10le")
                for plane, level in zip(frame.planes, (round(64 + 876 * 0.4425), 512, 512), strict=True):
                    plane.update(np.full(plane.buffer_size // 2, level, np.uint16).tobytes())
                frame.pts, frame.time_base = time + 5 * number, Fraction(1, 25)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        data += piece.read_bytes()
    (tmp_path / "c.ts").write_bytes(data)
    frames, reader = read(tmp_path / "c.ts")
    assert reader.info.dynamic_range == "PQ"
    assert {frame.image.shape for frame in frames} == {(32, 64, 3), (96, 128, 3)}
    for frame in frames:
        assert frame.image.mean() == pytest.approx(255 * 0.25 ** (1 / 2.4), abs=3)


def test_an_avi_that_begins_with_empty_frames_is_whole(tmp_path):
    """A capture card that had no signal yet: players show the first picture when its time has come."""
    path = make_clip(tmp_path / "c.avi", [0.0, *(i / 25 for i in range(11, 20))], codec="mpeg4", rate=25)
    data = bytearray(path.read_bytes())
    # The writer puts the empty chunks behind the first picture: they change places, in the index too.
    first = data.index(b"movi") + 4
    size = int.from_bytes(data[first + 4 : first + 8], "little")
    length = 8 + size + size % 2
    empty = b"00dc\0\0\0\0"
    assert data[first + length : first + length + 80] == 10 * empty
    data[first : first + length + 80] = 10 * empty + data[first : first + length]
    index = data.index(b"idx1") + 8
    picture = data[index : index + 8] + struct.pack("<2I", 4 + 80, size)
    data[index : index + 176] = b"".join(b"00dc" + struct.pack("<3I", 0, 4 + 8 * n, 0) for n in range(10)) + picture
    path.write_bytes(data)
    frames, reader = read(path)
    assert [number_of(frame.image) for frame in frames] == [*range(10)]
    assert [frame.duration for frame in frames] == pytest.approx([0.04] * 10, abs=0.002)
    assert reader.warnings == []


def test_stimulus_pictures_of_different_lengths_last_as_long_with_any_sampling(tmp_path):
    lengths = [1.3, 0.4, 2.7, 0.05, 5.0, 0.9]
    path = make_clip(tmp_path / "c.mp4", [0.0, *accumulate(lengths[:-1])], last=lengths[-1])
    for sampling, shown in ((Sampling(fps=10), lengths), (Sampling(every=2), lengths[::2])):
        frames, _ = read(path, sampling)
        assert [frame.duration for frame in frames] == pytest.approx(shown, abs=0.002)


def test_a_joined_film_whose_clock_jumps_an_hour_back_goes_on(tmp_path):
    pieces = [
        make_clip(tmp_path / f"{n}.ts", [i / 25 for i in range(25)], rate=25, first=25 * n, offset=offset)
        for n, offset in enumerate([3600.0, 0.0])
    ]
    (tmp_path / "c.ts").write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    frames, reader = read(tmp_path / "c.ts")
    assert [number_of(frame.image) for frame in frames] == [*range(50)]
    assert [frame.timestamp for frame in frames] == pytest.approx([i / 25 for i in range(50)], abs=0.002)
    assert len(reader.warnings) == 1
    assert "starts again at 1.000 s" in reader.warnings[0]


@pytest.mark.parametrize("start", [1.1, 1.5, 1.9])
def test_a_start_within_a_damaged_stretch_gives_the_frames_of_the_whole_from_there_on(tmp_path, start):
    path = make_clip(tmp_path / "c.ts", [i / 30 for i in range(120)], grain=True)
    data = bytearray(path.read_bytes())
    begin, end = (round(len(data) * second / 4) // 188 * 188 for second in (1.2, 1.7))
    data[begin:end] = bytes(end - begin)
    path.write_bytes(data)
    whole, _ = read(path)
    frames, _ = read(path, start=start)
    assert [f.timestamp for f in frames] == pytest.approx([f.timestamp for f in whole if f.timestamp >= start])
    intact = [number_of(frame.image) for frame in frames if frame.timestamp >= 2]
    assert intact == [*range(60, 120)]
    assert frames[0].timestamp >= start


def test_sound_with_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        sound = out.add_stream("aac", rate=44_100, layout="mono")
        cover = out.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 160, 96, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(numbered(1), format="bgr24")
        picture.pts, picture.time_base = 0, Fraction(1, 25)
        packets = [*cover.encode(picture), *cover.encode(None)]
        for start in range(0, 44_100, 1024):
            part = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = 44_100, start, Fraction(1, 44_100)
            packets += sound.encode(part)
        for packet in [*packets, *sound.encode(None)]:
            out.mux(packet)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1, "it has no cover"
    with pytest.raises(VideoError, match="it holds only sound"):
        VideoReader(path)


def test_a_call_whose_picture_comes_after_its_sound_keeps_the_sounds_clock(tmp_path):
    path = make_clip(tmp_path / "c.mkv", [3 + i / 25 for i in range(10)], sound="aac", seconds=4.0, rate=25)
    frames, _ = read(path)
    assert frames[0].timestamp == pytest.approx(3.0, abs=0.03)
    assert frames[-1].timestamp == pytest.approx(3.36, abs=0.03)


def test_an_animated_gif_has_the_times_of_its_pictures(tmp_path):
    path = make_clip(tmp_path / "c.gif", [0.0, 0.1, 2.1, 2.6], codec="gif", pix_fmt="rgb8", last=0.7)
    frames, _ = read(path)
    assert [frame.timestamp for frame in frames] == pytest.approx([0.0, 0.1, 2.1, 2.6], abs=0.011)
    assert [frame.duration for frame in frames][:3] == pytest.approx([0.1, 2.0, 0.5], abs=0.011)


def test_a_time_lapse_of_one_picture_in_five_seconds_is_shown_throughout(tmp_path):
    frames, _ = read(make_clip(tmp_path / "c.mp4", [0.0, 5.0, 10.0], last=5.0), Sampling(fps=10))
    assert [(frame.timestamp, frame.duration) for frame in frames] == [(0.0, 5.0), (5.0, 5.0), (10.0, 5.0)]
