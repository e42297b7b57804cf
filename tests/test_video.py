from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import make_clip, number_of, numbered, presentation_times

from ferwatch.errors import VideoError
from ferwatch.video.picture import letterbox
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling

SHARED = Path(__file__).parents[2] / "shared" / "videos"
THIRTY = [i / 30 for i in range(60)]
UNEVEN = [0.0, 0.033, 0.21, 0.25, 0.5, 0.51, 0.52, 0.9, 1.5, 1.533, 2.2]


def read(path: Path, sampling: Sampling | None = None, **of_range: float) -> tuple[list[int], list[float], VideoReader]:
    with VideoReader(path, sampling, **of_range) as reader:
        frames = [(frame.index, frame.timestamp) for frame in reader]
    return [i for i, _ in frames], [t for _, t in frames], reader


@pytest.mark.parametrize("name", ["single_face.mp4", "face_noface.mov", "phone.mp4"])
def test_times_of_real_clips_are_those_of_presentation(name):
    if not (SHARED / name).exists():
        pytest.skip("the shared clips are not on this machine")
    indices, times, reader = read(SHARED / name)
    truth = presentation_times(SHARED / name)
    assert indices == list(range(len(truth)))
    assert times == pytest.approx(truth, abs=0.002)
    assert reader.frames_decoded == len(truth)
    assert reader.warnings == []


@pytest.mark.parametrize(
    ("suffix", "times", "how"),
    [
        ("late.mp4", [0.8 + t for t in THIRTY], {"sound": "aac", "bframes": 2}),
        ("uneven.mp4", UNEVEN, {"bframes": 2}),
        ("uneven.mkv", UNEVEN, {"sound": "aac", "bframes": 2}),
        ("far.ts", [9000 + t for t in THIRTY], {"bframes": 2}),
        ("thirty.webm", THIRTY, {"codec": "libvpx"}),
        ("thirty.avi", THIRTY, {"codec": "mpeg4"}),
    ],
)
def test_times_and_order_of_made_clips(tmp_path, suffix, times, how):
    path = make_clip(tmp_path / suffix, times, **how)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [number_of(frame.image) for frame in frames] == list(range(len(times)))
    assert [frame.timestamp for frame in frames] == pytest.approx(presentation_times(path), abs=0.002)
    begin = 9000 if suffix == "far.ts" else 0
    assert [frame.timestamp for frame in frames] == pytest.approx([t - begin for t in times], abs=0.035)
    assert reader.info.timestamp_source == "container"
    assert reader.warnings == []


def test_an_edit_list_hides_frames_and_shifts_the_rest(tmp_path):
    path = make_clip(tmp_path / "edited.mp4", THIRTY, sound="aac", bframes=2, offset=-0.4)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [number_of(frame.image) for frame in frames] == list(range(12, 60))
    assert [frame.timestamp for frame in frames] == pytest.approx(presentation_times(path), abs=0.002)
    assert frames[0].timestamp == pytest.approx(0, abs=0.03)
    assert reader.warnings == [], "frames that are not meant to be shown are no damage"


def test_a_stream_without_times_gets_index_over_fps(tmp_path):
    path = make_clip(tmp_path / "raw.h264", THIRTY)
    indices, times, reader = read(path)
    assert reader.info.timestamp_source == "index/fps"
    assert times == pytest.approx([i / reader.info.fps for i in indices])
    assert len(times) == 60


def test_info_tells_the_facts(tmp_path):
    info = read(make_clip(tmp_path / "c.mp4", THIRTY, sound="aac", turned=90))[2].info
    assert (info.width, info.height, info.rotation) == (160, 96, 90)
    assert (info.codec, info.has_audio, info.frames_declared) == ("h264", True, 60)
    assert info.fps == pytest.approx(30, rel=0.01)
    assert info.duration == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_turned_clip_comes_out_upright(tmp_path, turned):
    path = make_clip(tmp_path / "turned.mp4", THIRTY[:5], turned=turned)
    with VideoReader(path) as reader:
        frames = list(reader)
    for number, frame in enumerate(frames):
        assert frame.image.shape == (96, 160, 3)
        assert np.abs(frame.image.astype(int) - numbered(number)).mean() < 8
    # An independent reader turns it the same way.
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    theirs = capture.read()[1]
    assert np.abs(frames[0].image.astype(int) - theirs).mean() < 4


def test_samples_by_rate_lie_on_a_grid_in_time(tmp_path):
    path = make_clip(tmp_path / "c.mp4", THIRTY)
    indices, times, reader = read(path, Sampling(fps=10))
    assert indices == list(range(0, 60, 3))
    assert times == pytest.approx([i / 10 for i in range(20)])
    assert reader.frames_decoded == 60
    # 4 a second of 30: the first frame at or after each quarter.
    assert read(path, Sampling(fps=4))[0] == [0, 8, 15, 23, 30, 38, 45, 53]


def test_samples_of_an_uneven_clip_are_the_first_after_each_tick_and_those_that_stand(tmp_path):
    path = make_clip(tmp_path / "c.mp4", UNEVEN)
    first, standing = {0, 0.21, 0.5, 0.9, 1.5, 2.2}, {0.25, 0.52, 1.533}
    assert read(path, Sampling(fps=5))[1] == pytest.approx(sorted(first | standing), abs=1e-4)


@pytest.mark.parametrize("rate", [30, 60])
def test_a_video_no_faster_than_the_rate_gives_all_its_frames(tmp_path, rate):
    # Matroska rounds 1/30 s to 33 ms: before the grid's own tick.
    assert len(read(make_clip(tmp_path / "c.mkv", THIRTY), Sampling(fps=rate))[0]) == 60


def test_every_nth_and_a_range_count_from_the_right_places(tmp_path):
    path = make_clip(tmp_path / "c.mp4", THIRTY)
    indices, times, reader = read(path, Sampling(every=7), start=0.5, end=1.5)
    assert indices == [15, 22, 29, 36, 43]
    assert times[0] == pytest.approx(0.5)
    assert reader.frames_decoded == 30
    # A time as frames.csv writes it means that frame; two ranges that meet share none and lose none.
    first, second = read(path, end=1.033)[0], read(path, start=1.033)[0]
    assert second[0] == 31
    assert first + second == list(range(60))


@pytest.mark.parametrize("wrong", [{"every": 0}, {"fps": 0.0}, {"fps": float("nan")}, {"fps": float("inf")}])
def test_sampling_refuses_what_makes_no_sense(wrong):
    with pytest.raises(ValueError, match="must be"):
        Sampling(**wrong)


def playlist(path: Path) -> None:
    make_clip(path.with_name("secret.mp4"), THIRTY[:3])
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mp4\n#EXT-X-ENDLIST\n")


def concat(path: Path) -> None:
    make_clip(path.with_name("secret.mp4"), THIRTY[:3])
    path.write_text("ffconcat version 1.0\nfile secret.mp4\n")


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as out:
        track = out.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44_100
        out.mux(track.encode(frame) + track.encode(None))


def hollow(path: Path) -> None:
    """A header that promises frames, and zeros in their place."""
    make_clip(path, THIRTY, movflags="+faststart")
    data = path.read_bytes()
    start = data.index(b"mdat") + 4
    path.write_bytes(data[:start] + bytes(len(data) - start))


@pytest.mark.parametrize(
    ("name", "make", "cause"),
    [
        ("nothing.mp4", lambda _: None, "no such file"),
        ("folder.mp4", lambda path: path.mkdir(), "folder"),
        ("empty.mp4", lambda path: path.touch(), "empty"),
        ("text.mp4", lambda path: path.write_text("Dear diary,\n" * 100), "no video"),
        ("notes.txt", lambda path: path.write_text("Dear diary,\n" * 100), "no video"),
        ("photo.png", lambda path: cv2.imwrite(str(path), numbered(1)), "no video"),
        ("sound.mp4", sound_only, "only sound"),
        ("hollow.mp4", hollow, "not one of its pictures decodes"),
        ("playlist.mp4", playlist, "no video"),
        ("concat.mp4", concat, "no video"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(tmp_path, capfd, name, make, cause):
    path = tmp_path / name
    make(path)
    with pytest.raises(VideoError) as refusal:
        VideoReader(path)
    message = str(refusal.value)
    assert message.startswith(str(path))
    assert cause in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", ""), "FFmpeg's own lines stay out"


@pytest.mark.parametrize(
    "name",
    [
        "Ünïcode 顔 🎬.mp4",
        'it\'s "quoted".mp4',
        "-rf.mp4",
        "http:colon.mp4",
        "50%d done.mp4",
        "a\nb.mp4",
        b"\xff\xfe.mp4",
    ],
)
def test_any_file_name_will_do(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(name)
    make_clip(Path("plain.mp4"), THIRTY[:4]).rename(name)
    assert len(read(Path(name))[0]) == 4


@pytest.mark.parametrize("size", [(160, 96), (800, 600)], ids=["decoded in one thread", "in several"])
def test_a_clip_cut_in_half_gives_what_decodes_and_says_so(tmp_path, capfd, size):
    path = make_clip(tmp_path / "whole.mp4", THIRTY, size=size, bframes=2, grain=True, movflags="+faststart")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    theirs = []
    with av.open(str(cut)) as container:
        for packet in container.demux(video=0):
            with suppress(av.FFmpegError):
                theirs += [frame.time for frame in packet.decode()]
    assert 5 < len(theirs) < 55
    _, times, reader = read(cut)
    assert times == pytest.approx(theirs, abs=0.002)
    assert reader.warnings == [f"damaged: {len(theirs)} of 60 declared frames decode"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [(160, 96), (800, 600)], ids=["decoded in one thread", "in several"])
def test_damage_in_the_middle_costs_only_its_own_frames(tmp_path, size):
    path = make_clip(tmp_path / "c.mkv", THIRTY, size=size, grain=True)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = os.urandom(200)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        numbers = {number_of(frame.image) for frame in reader}
    assert {0, 1, 2, 57, 58, 59} <= numbers


def test_a_picture_whose_size_changes_is_given_as_it_is_with_its_place_in_the_largest(tmp_path):
    one = make_clip(tmp_path / "a.h264", THIRTY[:10])
    two = make_clip(tmp_path / "b.h264", THIRTY[:10], size=(320, 320))
    both = tmp_path / "both.h264"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    with VideoReader(both) as reader:
        frames = list(reader)
    assert (reader.info.width, reader.info.height) == (320, 320)
    assert [frame.image.shape for frame in frames] == [(96, 160, 3)] * 10 + [(320, 320, 3)] * 10
    assert len([w for w in reader.warnings if "size of its picture changes" in w]) == 1
    assert frames[15].placement is None
    assert frames[0].placement == pytest.approx((2, 0, 64)), "centred, as large as fits"
    framed = letterbox(frames[0].image, frames[0].placement, (320, 320))
    assert framed.shape == (320, 320, 3)
    assert framed[:63].max() == 0
    assert framed[257:].max() == 0
    assert framed[245:255, 2:10, 2].mean() > 180, "the whole picture, not a corner of it"


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [("libx264", "yuv422p10le", "mp4"), ("libx264", "yuv444p", "mp4"), ("libvpx-vp9", "yuva420p", "webm"),
     ("libsvtav1", "yuv420p", "mp4"), ("mjpeg", "yuvj420p", "mov")],
)  # fmt: skip
def test_other_codecs_and_pixel_formats(tmp_path, codec, pix_fmt, suffix):
    path = make_clip(tmp_path / f"c.{suffix}", THIRTY[:6], codec=codec, pix_fmt=pix_fmt)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [number_of(frame.image) for frame in frames] == list(range(6))
    assert np.abs(frames[3].image.astype(int) - numbered(3)).mean() < 8


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [("c.flv", "flashsv", "bgr24"), ("c.avi", "zmbv", "bgr0"), ("c.mp4", "libx264", "yuv420p")],
)
def test_a_frame_that_is_drawn_on_does_not_show_in_the_next(tmp_path, name, codec, pix_fmt):
    """flashsv's decoder gives out the very picture that it draws the next one's differences into."""
    path = make_clip(tmp_path / name, THIRTY[:8], size=(50, 30), codec=codec, pix_fmt=pix_fmt)
    with VideoReader(path) as reader:
        untouched = [frame.image.copy() for frame in reader]
    with VideoReader(path) as reader:
        for frame, image in zip(reader, untouched, strict=True):
            assert np.array_equal(frame.image, image)
            frame.image[:] = 7


@pytest.mark.parametrize("size", [(2, 2), (128, 33), (161, 97)])
def test_small_and_odd_sizes(tmp_path, size):
    codec, pix_fmt = ("libx264", "yuv444p") if size[0] > 2 else ("libx264", "yuv420p")
    path = make_clip(tmp_path / "c.mp4", THIRTY[:3], size=size, codec=codec, pix_fmt=pix_fmt)
    with VideoReader(path) as reader:
        assert [frame.image.shape for frame in reader] == [(size[1], size[0], 3)] * 3


def test_a_clock_that_restarts_is_continued(tmp_path):
    one = make_clip(tmp_path / "a.ts", [5 + t for t in THIRTY[:20]])
    two = make_clip(tmp_path / "b.ts", [3 + t for t in THIRTY[:20]])
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    _, times, reader = read(both)
    assert times == pytest.approx([i / 30 for i in range(40)], abs=0.002)
    assert reader.warnings == ["its clock starts again at 0.667 s; time goes on from there, as players do it"]
