"""Annotated films of real clips: no chart touches a face, and the file stays small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import DEMO, needs_weights, shared

from ferwatch import Analyzer
from ferwatch.records import FaceResult
from ferwatch.render.draw import ChartPlaces, draw
from ferwatch.timeline.table import read_frames_csv

CLIPS = ("demo", "lp_d0", "st_furious_talk2_clip1", "lp_s13")


def clip(name: str) -> Path:
    return DEMO if name == "demo" else shared(f"people/clips/{name}.mp4")


@needs_weights
@pytest.mark.parametrize("name", CLIPS)
def test_no_chart_touches_a_face_and_the_film_is_at_most_3_times_its_source(name: str, tmp_path: Path) -> None:
    video = clip(name)
    run = Analyzer().analyze(video, tmp_path / "run")
    assert (run.folder / "annotated.mp4").stat().st_size <= 3 * video.stat().st_size

    table = read_frames_csv(run.folder / "frames.csv")
    frames: dict[int, list[FaceResult]] = {}
    for number, face in zip(table.frame.tolist(), table.faces(), strict=True):
        frames.setdefault(number, []).extend([face] if face else [])
    width, height = (round(size) for size in np.nanmax(table.bbox[:, :2] + table.bbox[:, 2:], axis=0) + 300)
    places: ChartPlaces = {}
    charts = 0
    for faces in frames.values():
        plain = draw(np.full((height, width, 3), 90, np.uint8), faces, charts=False)
        charted = draw(np.full((height, width, 3), 90, np.uint8), faces, places)
        changed = (plain != charted).any(axis=2)
        charts += bool(changed.any())
        for face in faces:
            left, top = (max(0, int(value)) for value in face.bbox[:2])
            right, bottom = int(face.bbox.x + face.bbox.width) + 1, int(face.bbox.y + face.bbox.height) + 1
            assert not changed[top:bottom, left:right].any(), faces
    assert charts, "there was no chart to be tested"
