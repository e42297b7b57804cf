"""Snapshots show the same faces as a run over the same pixels."""

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from conftest import needs_weights

from ferwatch.errors import VideoError
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.pipeline.analyzer import track
from ferwatch.pipeline.snapshot import image_snapshot, is_image, video_snapshots
from ferwatch.video.reader import VideoReader


@needs_weights
def test_snapshots_of_a_video_agree_with_its_run(clip: Callable[[str], Path]) -> None:
    video = clip("single_face.mp4")
    run = list(track(video))
    with MediaPipeDetector() as detector:
        early, late = video_snapshots(video, [0.16, run[12].timestamp], detector)
        assert [early.timestamp, late.timestamp] == [
            run[2].timestamp,
            run[12].timestamp,
        ]  # the sample of 0.2 is the nearest
        assert [f.index for f in late.neighbours] == [run[12].index + i for i in (-3, -2, -1, 1, 2, 3)]
        for shot, result in ((early, run[2]), (late, run[12])):
            assert [(f.face_id, f.bbox) for f in shot.faces] == [(f.face_id, f.bbox) for f in result.faces]
        with pytest.raises(VideoError, match=r"ends at 0:02\.\d+: there is no frame at 0:09\.000"):
            video_snapshots(video, [0.1, 9.0], detector)


def test_what_is_an_image(clip: Callable[[str], Path], tmp_path: Path) -> None:
    video = clip("single_face.mp4")
    with VideoReader(video) as reader:
        cv2.imwrite(str(tmp_path / "über 1.jpg"), next(iter(reader)).image)
    assert is_image(tmp_path / "über 1.jpg")
    assert not is_image(video)
    assert not is_image(tmp_path / "missing.jpg")
    with MediaPipeDetector() as detector:
        assert [f.face_id for f in image_snapshot(tmp_path / "über 1.jpg", detector).faces] == [1]
