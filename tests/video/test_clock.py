from __future__ import annotations

import struct
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import pytest
from av.packet import Packet
from clips import make_clip, number_of, write_edits
from conftest import SHARED

from ferwatch.errors import VideoError
from ferwatch.records import Frame
from ferwatch.video.index import read_index
from ferwatch.video.opencv import OpenCVReader
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling

FAULTS = SHARED / "faults"
THIRTY = [i / 30 for i in range(60)]
PICTURE_CODE = b"\0\0\1\xb6"
"""Begins a picture of MPEG-4."""
NO_PICTURE = b"\x50\x4f"
"""Follows PICTURE_CODE where the picture before is shown again."""


def fault(name: str) -> Path:
    if not (FAULTS / name).exists():
        pytest.skip("the shared faults are not on this machine")
    return FAULTS / name


def read(path: Path, sampling: Sampling | None = None, **options: float) -> tuple[list[Frame], VideoReader]:
    with VideoReader(path, sampling, **options) as reader:
        return list(reader), reader


def test_a_stream_without_times_is_counted_at_a_rate_that_a_warning_calls_a_guess(tmp_path):
    frames, reader = read(make_clip(tmp_path / "raw.mjpeg", THIRTY, codec="mjpeg", pix_fmt="yuvj420p"))
    assert reader.info.timestamp_source == "index/fps"
    assert [frame.timestamp for frame in frames] == pytest.approx([i / 25 for i in range(60)])
    assert reader.warnings == ["it holds no times: 25 frames a second is a guess; give the true rate with --fps"]


def test_the_rate_of_a_stream_without_times_can_be_given(tmp_path):
    frames, reader = read(make_clip(tmp_path / "raw.mjpeg", THIRTY, codec="mjpeg", pix_fmt="yuvj420p"), fps=30)
    assert [frame.timestamp for frame in frames] == pytest.approx(THIRTY)
    assert {round(frame.duration, 6) for frame in frames} == {round(1 / 30, 6)}
    assert reader.info.duration == pytest.approx(2.0)
    assert reader.warnings == []


def test_the_rate_in_a_raw_streams_header_is_no_guess(tmp_path):
    frames, reader = read(make_clip(tmp_path / "raw.m2v", THIRTY, codec="mpeg2video", rate=30))
    assert [frame.timestamp for frame in frames] == pytest.approx(THIRTY)
    assert reader.warnings == []


def test_a_rate_for_a_file_with_times_is_refused(tmp_path):
    with pytest.raises(VideoError, match=r"has times of its own.*leave out --fps"):
        VideoReader(make_clip(tmp_path / "c.mp4", THIRTY[:5]), fps=30)


def test_raw_video_of_a_camera():
    frames, _ = read(fault("raw_h264/pi.h264"), fps=30)
    assert (len(frames), frames[-1].timestamp) == (72, pytest.approx(71 / 30))
    assert any("guess" in warning for warning in read(fault("raw_h264/pi.h264"))[1].warnings)


@pytest.mark.parametrize("second", [3, 900], ids=["back", "ahead"])
def test_a_clock_that_restarts_is_continued(tmp_path, second):
    one = make_clip(tmp_path / "a.ts", [5 + t for t in THIRTY[:20]])
    two = make_clip(tmp_path / "b.ts", [second + t for t in THIRTY[:20]], first=20)
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    frames, reader = read(both)
    assert [number_of(frame.image) for frame in frames] == list(range(40))
    assert [frame.timestamp for frame in frames] == pytest.approx([i / 30 for i in range(40)], abs=0.002)
    assert reader.warnings == ["its clock starts again at 0.667 s; time goes on from there, as players do it"]
    assert reader.info.duration == pytest.approx(1.333, abs=0.04)


def test_a_joined_recording_is_whole():
    frames, reader = read(fault("joined_ts/joined.ts"))
    assert len(frames) == 100
    assert frames[-1].timestamp + frames[-1].duration == pytest.approx(4.0, abs=0.002)
    assert not any("damage" in warning or "backwards" in warning for warning in reader.warnings)


def test_a_time_that_differs_by_rounding_alone_does_not_run_backwards():
    assert read(fault("ts_false_warning/clip.m2t"))[1].warnings == []


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_every_frame_lasts_until_the_next_and_the_last_one_as_long_as_the_container_says(tmp_path, suffix):
    lengths = [0.04, 0.04, 4.0, 0.1, 1.25, 3.5]
    path = make_clip(tmp_path / f"c.{suffix}", [0.0, *accumulate(lengths[:-1])], last=lengths[-1])
    frames, _ = read(path)
    assert [frame.duration for frame in frames] == pytest.approx(lengths, abs=0.002)


@pytest.mark.parametrize("decoder", ["ffmpeg", "opencv", "index"])
def test_the_last_picture_of_an_uneven_mp4_with_b_frames_does_not_last_until_another_is_decoded(tmp_path, decoder):
    """Like the film that FFmpeg makes of slides: in MP4, lengths are those between decoding times."""
    times = [0.0, 3.0, 8.0, 12.0]
    path = make_clip(tmp_path / "slides.mp4", times, bframes=2)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert max(packets, key=lambda packet: packet.pts) is not packets[-1], "pictures are decoded in their order"
    with (OpenCVReader if decoder == "opencv" else VideoReader)(path) as reader:
        lengths = [frame.duration for frame in reader]
        if decoder == "index":
            lengths[-1:] = [read_index(path, reader.info)[-1].length]
    assert lengths == pytest.approx([3.0, 5.0, 4.0, 1 / 30], abs=0.002)


def test_a_webm_whose_header_names_less_time_than_it_holds_ends_with_its_last_picture(tmp_path):
    path = make_clip(tmp_path / "c.webm", [0.0, 0.5, 1.0], codec="libvpx", last=2.0)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # the header's Duration, a double of milliseconds
    data[at : at + 8] = bytes.fromhex("4069000000000000")  # 200 ms
    path.write_bytes(data)
    frames, reader = read(path)
    assert reader.info.duration == pytest.approx(3.0, abs=0.002)
    assert frames[-1].timestamp + frames[-1].duration == pytest.approx(3.0, abs=0.002)


def test_a_picture_that_stands_is_one_sample_of_its_duration(tmp_path):
    """Also where another picture came so shortly before it that both lie in the same interval of the grid."""
    path = make_clip(tmp_path / "c.mp4", [0.0, 0.04, 8.04, 8.08], last=0.04)
    frames, _ = read(path, Sampling(fps=10))
    assert [(frame.index, round(frame.duration, 3)) for frame in frames] == [(0, 0.04), (1, 8.0), (2, 0.04)]


def test_a_range_ends_the_duration_of_its_last_picture(tmp_path):
    frames, _ = read(make_clip(tmp_path / "c.mp4", [0.0, 1.0, 5.0], last=1.0), end=3.0)
    assert [frame.duration for frame in frames] == pytest.approx([1.0, 2.0], abs=0.002)


def test_an_avis_empty_frames_repeat_the_picture_and_are_no_damage(tmp_path):
    path = make_clip(tmp_path / "c.avi", [0.0, 0.04, 8.0, 8.04], codec="mpeg4", rate=25)
    frames, reader = read(path)
    assert [frame.duration for frame in frames] == pytest.approx([0.04, 7.96, 0.04, 0.04], abs=0.002)
    assert reader.warnings == []


def test_an_avi_that_is_cut_off_is_damaged(tmp_path):
    path = make_clip(tmp_path / "c.avi", [i / 25 for i in range(100)], codec="mpeg4", rate=25, grain=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, reader = read(path)
    assert reader.warnings == [f"damaged: {len(frames)} of 100 declared frames decode"]


def test_pictures_that_an_avis_index_loses_are_counted_and_the_last_one_does_not_stand_for_them(tmp_path):
    path = make_clip(tmp_path / "c.avi", [0.0, 0.04, *(1 + i / 25 for i in range(23))], codec="mpeg4", rate=25)
    data = bytearray(path.read_bytes())
    index = data.index(b"idx1") + 8
    for entry in range(index, len(data), 16):
        data[entry + 8 : entry + 12] = struct.pack("<I", 4)  # every picture lies where the first one does
    path.write_bytes(data)
    frames, reader = read(path)
    assert len(frames) < 25
    assert reader.warnings == [f"damaged: {len(frames)} of 25 declared frames decode"]
    assert frames[-1].duration < 0.5


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_packets_that_the_decoder_drops_without_a_word_are_damage(tmp_path, suffix):
    """A bit of an MPEG-4 packet says that it holds a picture; FFmpeg believes it."""
    path = make_clip(tmp_path / f"c.{suffix}", [i / 25 for i in range(25)], codec="mpeg4", rate=25, grain=True)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(packet.pos, bytes(packet)) for packet in container.demux(video=0) if packet.size]
    for number in (3, 4, 5, 7, 8, 9):
        at, packet = packets[number]
        assert packet[:4] == PICTURE_CODE
        assert len(packet) > 19
        data[at + 4 : at + 6] = NO_PICTURE
    path.write_bytes(data)
    frames, reader = read(path)
    assert len(frames) < 22
    assert reader.warnings == [f"damaged: {len(frames)} of 25 declared frames decode"]


def test_mpeg_4_packets_that_repeat_the_picture_are_no_damage(tmp_path):
    source = make_clip(tmp_path / "s.avi", [i / 25 for i in range(10)], codec="mpeg4", rate=25)
    path = tmp_path / "c.avi"
    with av.open(str(source)) as film, av.open(str(path), "w") as out:
        track = out.add_stream_from_template(film.streams.video[0])
        for number, packet in enumerate(film.demux(video=0)):
            for part, content in enumerate((packet, Packet(PICTURE_CODE + NO_PICTURE)) if packet.size else ()):
                content.dts = content.pts = 2 * number + part
                content.time_base, content.stream = Fraction(1, 25), track
                out.mux(content)
    frames, reader = read(path)
    # FFmpeg's decoder shows the last picture once more at its end.
    assert [round(frame.timestamp, 2) for frame in frames[:10]] == [round(n * 0.08, 2) for n in range(10)]
    assert len(frames) <= 11
    assert reader.warnings == []


@pytest.mark.parametrize("bframes", [0, 2])
@pytest.mark.parametrize("reader", [VideoReader, OpenCVReader])
def test_h264_in_an_avi_keeps_its_order_and_its_gaps(tmp_path, bframes, reader):
    """An AVI tells no presentation times; FFmpeg 8 takes the place of the next packet for them."""
    times = THIRTY if bframes else [time for time in THIRTY if not 0.5 < time < 1]
    with reader(make_clip(tmp_path / "c.avi", times, bframes=bframes)) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == list(range(len(times)))
    assert [frame.timestamp for frame in frames] == pytest.approx(times, abs=0.001)
    assert source.warnings == []


def test_a_piece_that_was_cut_out_of_the_middle(tmp_path):
    """Two edits; decoding of the second begins before it, at a key frame that is not shown."""
    path = make_clip(tmp_path / "c.mp4", [i / 30 for i in range(150)], bframes=2, sound="aac", seconds=5.0)
    write_edits(path, [(0.5, 1.5), (3.4, 4.4)])
    frames, reader = read(path)
    assert [number_of(frame.image) for frame in frames] == [*range(15, 45), *range(102, 132)]
    assert [frame.timestamp for frame in frames] == pytest.approx([i / 30 for i in range(60)], abs=0.001)
    assert reader.warnings == []


@pytest.mark.parametrize("edit", [(0.0, 1.0), (4.0, 5.0)])
def test_a_film_that_was_trimmed_by_seconds_is_whole(tmp_path, edit):
    """FFmpeg gives none of the packets that the edit list neither shows nor needs."""
    path = make_clip(tmp_path / "c.mp4", [i / 30 for i in range(150)], bframes=2)
    write_edits(path, [edit])
    frames, reader = read(path)
    assert [number_of(frame.image) for frame in frames] == list(range(round(edit[0] * 30), round(edit[1] * 30)))
    assert reader.warnings == []
    assert read_index(path, reader.info) is not None


def test_an_ivf_that_counts_ticks_is_whole(tmp_path):
    """Some versions of FFmpeg write the length in ticks into the field for the number of frames."""
    path = make_clip(tmp_path / "c.ivf", THIRTY, codec="libvpx-vp9")
    data = path.read_bytes()
    path.write_bytes(data[:24] + struct.pack("<I", 180_000) + data[28:])
    frames, reader = read(path)
    assert [frame.timestamp for frame in frames] == pytest.approx(THIRTY, abs=0.001)
    assert reader.warnings == []


def test_sound_that_outlasts_the_pictures_of_a_whole_matroska_is_no_damage(tmp_path):
    path = make_clip(tmp_path / "c.mkv", THIRTY, sound="pcm_s16le", seconds=5.0)
    _, reader = read(path)
    assert reader.warnings == []
    assert read_index(path, reader.info) is not None
    path.write_bytes(path.read_bytes()[:-2000])
    _, reader = read(path)
    assert [warning[:23] for warning in reader.warnings] == ["its pictures end at 2.0"]


@pytest.mark.parametrize("sound", [None, "pcm_s16le"])
def test_matroska_whose_clock_starts_late(tmp_path, sound):
    """Its durations are times of the end on its own clock."""
    path = make_clip(tmp_path / "c.mkv", THIRTY, sound=sound, seconds=2.0, sound_from=0.0, offset=3600.0)
    frames, reader = read(path)
    assert frames[-1].duration == pytest.approx(1 / 30, abs=0.03)
    assert reader.info.duration == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "seconds"), [("avi_repeated_frames/dup.avi", 12.0), ("long_lasting_frames/stimuli.mp4", 16.0)]
)
def test_pictures_that_stand_in_files_of_other_programs(name, seconds):
    frames, reader = read(fault(name))
    assert frames[-1].timestamp + frames[-1].duration == pytest.approx(seconds, abs=0.01)
    assert max(frame.duration for frame in read(fault(name), Sampling(fps=10))[0]) >= 4
    assert reader.warnings == []
