from __future__ import annotations

import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import make_clip, number_of, numbered

from ferwatch.errors import VideoError
from ferwatch.video.container import is_video
from ferwatch.video.reader import VideoReader

THIRTY = [i / 30 for i in range(60)]


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
    assert count(Path(name)) == 4


def count(path: Path) -> int:
    with VideoReader(path) as reader:
        return len(list(reader))


@pytest.mark.parametrize("suffix", ["vob", "MOD", "m2t", "asf", "3g2", "lrv", "m2v", "data", "txt"])
def test_a_video_is_known_by_what_it_holds(tmp_path, suffix):
    made = {"vob": "vob", "m2v": "mpeg2video", "asf": "asf", "m2t": "mpegts", "MOD": "mpeg"}.get(suffix, "mp4")
    path = make_clip(tmp_path / "made.bin", THIRTY[:5], codec="mpeg2video", rate=30, container=made)
    assert is_video(path.rename(tmp_path / f"clip.{suffix}"))


@pytest.mark.parametrize("make", [playlist, concat, sound_only, lambda path: path.mkdir(), lambda path: path.touch()])
def test_what_is_no_video_is_known_too(tmp_path, make):
    make(tmp_path / "clip.mp4")
    assert not is_video(tmp_path / "clip.mp4")
    assert not is_video(tmp_path / "nothing.mp4")


def two_streams(path: Path, default: int | None) -> Path:
    """Pictures 0 to 4 in stream 0, pictures 100 to 104 in stream 1; one of them is marked as default."""
    pieces = [make_clip(path.with_name(f"{n}.mp4"), THIRTY[:5], first=n) for n in (0, 100)]
    with av.open(str(path), "w") as out:
        inputs = [av.open(str(piece)) for piece in pieces]
        tracks = [out.add_stream_from_template(container.streams.video[0]) for container in inputs]
        for index, track in enumerate(tracks):
            track.disposition = av.stream.Disposition(av.stream.Disposition.default if index == default else 0)
        for container, track in zip(inputs, tracks, strict=True):
            for packet in container.demux(video=0):
                if packet.size:
                    packet.stream = track
                    out.mux(packet)
            container.close()
    return path


@pytest.mark.parametrize(("default", "first"), [(0, 0), (1, 100)])
def test_the_stream_that_is_marked_as_default_is_read(tmp_path, default, first):
    with VideoReader(two_streams(tmp_path / "two.mkv", default)) as reader:
        assert [number_of(frame.image) for frame in reader] == list(range(first, first + 5))
        assert reader.info.stream == default
        assert len(reader.warnings) == 1
        assert f"stream {default} was read" in reader.warnings[0]


def test_another_stream_is_read_when_it_is_named(tmp_path):
    path = two_streams(tmp_path / "two.mkv", 1)
    with VideoReader(path, stream=0) as reader:
        assert [number_of(frame.image) for frame in reader] == list(range(5))
        assert reader.warnings == []
    with pytest.raises(VideoError, match=r"no video stream 7; its video streams: 0, 1"):
        VideoReader(path, stream=7)
