from __future__ import annotations

import numpy as np
import pytest

from ferwatch.records import Episode
from ferwatch.render.interpolate import EpisodeLabels, FaceInterpolator
from ferwatch.timeline.table import FrameTable

HAPPY = (0.01, 0.005, 0.015, 0.93, 0.01, 0.01, 0.02)


def table(*rows: tuple[float, int, float]) -> FrameTable:
    """Rows of (time, face_id, x); face_id 0 is a sample without a face."""
    time, ids, x = (np.array(column) for column in zip(*rows, strict=True))
    box = np.stack([x, x * 0 + 10, x * 0 + 50, x * 0 + 50], axis=1)
    probabilities = np.tile(HAPPY, (len(rows), 1))
    return FrameTable(np.unique(time, return_inverse=True)[1], time, ids.astype(int), x * 0 + 1, box, probabilities)


def test_boxes_glide_between_samples():
    interpolator = FaceInterpolator(table((0.0, 1, 100.0), (0.1, 1, 200.0), (0.2, 1, 200.0)))
    assert [round(interpolator.at(t)[0].bbox[0]) for t in (0.0, 0.025, 0.05, 0.1, 0.15)] == [100, 125, 150, 200, 200]
    assert sum(interpolator.at(0.033)[0].probabilities) == pytest.approx(1)


def test_a_face_ends_half_a_sample_after_its_last_and_begins_half_before_its_first():
    samples = [(i / 10, 1 if 10 <= i <= 20 else 0, 100.0) for i in range(40)]
    interpolator = FaceInterpolator(table(*samples))
    seen = [t / 1000 for t in range(4000) if interpolator.at(t / 1000)]
    assert seen[0] == pytest.approx(0.95, abs=0.002)
    assert seen[-1] == pytest.approx(2.05, abs=0.002)


def test_a_long_gap_stays_a_gap_a_short_one_is_bridged():
    interpolator = FaceInterpolator(
        table((0.0, 1, 0.0), (0.1, 1, 0.0), (0.2, 0, 0.0), (0.3, 1, 40.0), (0.4, 1, 0), (1.4, 1, 0), (1.5, 1, 0))
    )
    assert interpolator.at(0.2)[0].bbox[0] == pytest.approx(20)
    assert interpolator.at(0.9) == []


def test_faces_come_by_id_and_do_not_mix():
    interpolator = FaceInterpolator(table((0.0, 2, 300.0), (0.0, 1, 100.0), (0.1, 1, 110.0), (0.1, 2, 310.0)))
    assert [(f.face_id, round(f.bbox[0])) for f in interpolator.at(0.05)] == [(1, 105), (2, 305)]


def test_blur_bridges_a_second_and_has_a_margin_in_time():
    samples = [(i / 10, 0 if 10 <= i <= 16 or i > 30 else 1, 100.0) for i in range(60)]
    hidden = FaceInterpolator.for_blur(table(*samples))
    assert all(hidden.at(t / 100) for t in range(0, 350)), "no flicker in the gap, half a second more at the end"
    assert not hidden.at(3.6)


def test_an_empty_recording_shows_nothing():
    nothing = table((0.0, 0, 0.0))
    assert FaceInterpolator(nothing).at(0.0) == []
    empty = np.zeros(0)
    rows = FrameTable(empty.astype(int), empty, empty.astype(int), empty, np.zeros((0, 4)), np.zeros((0, 7)))
    assert FaceInterpolator(rows).at(1.0) == []


def test_labels_are_those_of_the_episodes():
    labels = EpisodeLabels(
        [
            Episode(1, "happy", 1.0, 2.0, 0.9, 1.5, 0.9),
            Episode(1, "sad", 2.0, 3.0, 0.9, 2.5, 0.9),
            Episode(2, "uncertain", 0.0, 1.5, 0.4, 1.0, 0.4),
        ]
    )
    assert [labels.at(t) for t in (0.5, 1.2, 2.0, 3.0)] == [
        {2: "uncertain"},
        {1: "happy", 2: "uncertain"},
        {1: "sad"},
        {},
    ]
