"""The main job refuses files that are no video, in one clear line."""

from __future__ import annotations

import os
import shutil
import wave
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import DEMO, needs_weights
from hostile_films import Film, frames, refused, watch

pytestmark = needs_weights


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
    with wave.open(str(tmp_path / "talk.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    assert "it is no video but sound, a picture" in refused(tmp_path / "talk.wav")
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
