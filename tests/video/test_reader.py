from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import av
import pytest
from clips import make_clip, number_of, presentation_times

from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling

SHARED = Path(__file__).parents[3] / "shared" / "videos"
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


def test_info_tells_the_facts(tmp_path):
    info = read(make_clip(tmp_path / "c.mp4", THIRTY, sound="aac", turned=90))[2].info
    assert (info.width, info.height, info.rotation) == (160, 96, 90)
    assert (info.codec, info.has_audio, info.frames_declared) == ("h264", True, 60)
    assert info.fps == pytest.approx(30, rel=0.01)
    assert info.duration == pytest.approx(2.0, abs=0.05)


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
