"""timeline.png, looked at by its pixels."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ferwatch.export import timeline_plot
from ferwatch.export.timeline_plot import write_png
from ferwatch.records import EMOTIONS
from ferwatch.render.palette import PALETTE
from ferwatch.timeline.build import build_timeline
from ferwatch.timeline.model import Timeline
from ferwatch.timeline.table import FrameTable


def table(stories: dict[int, list[str | None]], rate: float) -> FrameTable:
    """Faces that show one emotion a sample, or are gone."""
    rows = []
    length = max(len(story) for story in stories.values())
    for i in range(length):
        for face_id, story in stories.items():
            emotion = story[i]
            if emotion:
                shown = [0.9 if e == emotion else 0.1 / 6 for e in EMOTIONS]
                rows.append([i, i / rate, face_id, 0.9, 0, 0, 9, 9, *shown])
    table = np.array(rows).reshape(-1, 8 + len(EMOTIONS))
    ids = table[:, [0, 2]].astype(np.int64)
    return FrameTable(ids[:, 0], table[:, 1], ids[:, 1], table[:, 3], table[:, 4:8], table[:, 8:])


def draw(timeline: Timeline, folder: Path) -> NDArray[np.uint8]:
    """(height, width, 3) RGB. A warning of any kind is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_png(folder / "timeline.png", timeline)
    image = cv2.imread(str(folder / "timeline.png"))
    assert image is not None
    return image[:, :, ::-1]  # type: ignore[return-value]


def columns_of(image: NDArray[np.uint8], emotion: str) -> NDArray[np.intp]:
    """Where along the time axis some row of the picture has a long run of exactly this colour: a band."""
    colour = [int(PALETTE[emotion][i : i + 2], 16) for i in (1, 3, 5)]
    same = (image == colour).all(axis=2)
    # Bands are 20 pixels high and more, curves a few.
    high = cv2.erode(same.astype(np.uint8), np.ones((15, 1), np.uint8))
    return np.flatnonzero(high[150:].any(axis=0))


def test_bands_are_where_the_episodes_are(tmp_path: Path) -> None:
    story: list[str | None] = [*["happy"] * 40, *["sad"] * 20, *[None] * 20, *["fear"] * 20]
    image = draw(build_timeline(table({1: story}, rate=10)), tmp_path)
    # The axis goes from 0 to 10 s, 1.35 inches from the left to 0.3 from the right, at 160 pixels an inch.
    left, right = 1.35 * 160, (11 - 0.3) * 160
    for emotion, start, end in (("happy", 0, 3.95), ("sad", 3.95, 6), ("fear", 8, 10)):
        columns = columns_of(image, emotion)
        shown = (columns[[0, -1]] - left) / (right - left) * 10
        assert shown == pytest.approx([start, end], abs=0.03), emotion
    for emotion in ("angry", "disgust", "surprise"):
        assert not len(columns_of(image, emotion))


def test_as_high_as_its_faces_need(tmp_path: Path) -> None:
    heights = []
    for count in (1, 2, 20):
        stories: dict[int, list[str | None]] = {i + 1: [EMOTIONS[i % 7]] * 30 for i in range(count)}
        image = draw(build_timeline(table(stories, rate=10)), tmp_path)
        assert image.shape[1] == 1760
        heights.append(image.shape[0])
    assert heights[0] < heights[1] < heights[2] < 3000


def test_of_too_many_faces_those_that_are_longest_on_screen_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline_plot, "_MAX_LANES", 2)
    gone: list[str | None] = [None] * 20
    stories: dict[int, list[str | None]] = {1: ["angry"] * 10 + gone, 2: ["disgust"] * 30, 3: ["surprise"] * 30}
    image = draw(build_timeline(table(stories, rate=10)), tmp_path)
    two = draw(build_timeline(table({face: stories[face] for face in (2, 3)}, rate=10)), tmp_path)
    assert image.shape == two.shape
    legend = round(0.8 * 160)
    assert not len(columns_of(image[legend:], "angry"))
    for emotion in ("disgust", "surprise"):
        assert len(columns_of(image[legend:], emotion))
    assert (image[:legend] != two[:legend]).any(), "a note says how many are left out"


@pytest.mark.parametrize(
    "source", ["東京 👩‍🔬 עברית.mp4", "$a_1$ \\frac{ %.mp4", "x" * 400 + ".mp4", "a\udcffb.mp4", "\n\x01.mp4"]
)
def test_any_file_name_and_any_name(tmp_path: Path, source: str) -> None:
    faces = table({1: ["happy"] * 20, 2: ["sad"] * 20}, rate=10)
    draw(build_timeline(faces, source=source, names={1: "</script>", 2: "$" + "名" * 40}), tmp_path)


@pytest.mark.parametrize(("samples", "rate"), [(0, 10), (1, 10), (2, 30), (30, 30), (3 * 3600 * 4, 4)])
def test_from_no_sample_to_three_hours(tmp_path: Path, samples: int, rate: float) -> None:
    story: list[str | None] = [EMOTIONS[i // 40 % 7] for i in range(samples)]
    draw(build_timeline(table({1: story}, rate)), tmp_path)


def test_the_state_of_pyplot_is_left_alone(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw(build_timeline(table({1: ["happy"] * 20}, rate=10)), tmp_path)
    assert dict(matplotlib.rcParams) == before
