"""A video that is replaced or written to while it is read gives no run of two videos."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from clips import make_clip
from conftest import DEMO

import ferwatch
from ferwatch.errors import VideoError


def replace_video(video: Path) -> None:
    """As a synchronising program does: the name then leads to another file."""
    other = make_clip(video.with_name("other.mp4"), [i / 25 for i in range(100)], size=(640, 360))
    other.replace(video)


def lengthen(video: Path) -> None:
    with open(video, "ab") as file:
        file.write(bytes(1000))


@pytest.mark.parametrize(
    ("stage", "change"), [("analysing", replace_video), ("timeline", replace_video), ("annotating", lengthen)]
)
def test_a_video_that_changes_is_refused(tmp_path: Path, stage: str, change: Callable[[Path], None]) -> None:
    video, changed = tmp_path / "interview.mp4", []
    shutil.copy(DEMO, video)

    def progress(now: str, _done: int, _total: int) -> None:
        if now == stage and not changed:
            changed.append(now)
            change(video)

    with pytest.raises(VideoError, match=r"interview\.mp4 changed while it was read; run the command again"):
        ferwatch.analyze(video, tmp_path / "run", end=1, blur_faces=True, exports=["json"], progress=progress)
    assert changed
    assert not (tmp_path / "run" / "run.json").exists()
    assert not list((tmp_path / "run").glob("annotated*")), "faces of another video are not blurred where they are"
    again = ferwatch.analyze(video, tmp_path / "run", end=1, annotate=False)
    assert again.warnings == ()
