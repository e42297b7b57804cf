"""Pictures that stand: a sample counts for as long as its picture is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tables import showing

from ferwatch.records import EMOTIONS, FrameResult
from ferwatch.timeline.build import build_timeline
from ferwatch.timeline.schema import rows_of
from ferwatch.timeline.table import FrameTable


def shown(pictures: Sequence[tuple[float, float, int, str]], known: bool = True) -> FrameTable:
    """A table of pictures: time, duration, face id (0: no face), emotion."""
    times, durations, ids, emotions = (np.array(column) for column in zip(*pictures, strict=True))
    rows = showing([e or "neutral" for e in emotions])
    rows[ids == 0] = np.nan
    empty = np.where(ids == 0, np.nan, 0.9)
    given = durations if known else np.empty(0)
    return FrameTable(np.arange(len(times)), times, ids, empty, np.tile(empty[:, None], (1, 4)), rows, given)


BLACK = [(i / 25, 0.04, 0, "") for i in range(50)]
STIMULI = [
    *BLACK,
    *((2.0, 4.0, 1, "happy"), (6.0, 1.0, 0, ""), (7.0, 4.0, 2, "sad")),
    *((11.0, 1.0, 0, ""), (12.0, 4.0, 3, "fear")),
]


def test_a_stimulus_counts_as_long_as_it_is_shown() -> None:
    timeline = build_timeline(shown(STIMULI), duration=16.0)
    episodes = [(e.face_id, e.emotion, e.start, e.end) for e in timeline.episodes]
    assert episodes == [(1, "happy", 2, 6), (2, "sad", 7, 11), (3, "fear", 12, 16)]
    assert [face.on_screen for face in timeline.summary.faces] == [4, 4, 4]


def test_one_face_in_three_pictures_is_gone_in_between() -> None:
    stimuli = [(time + (time > 6) + (time > 11), length, min(face, 1), e) for time, length, face, e in STIMULI]
    stimuli = [(t, 2.0 if length == 1 else length, face, e) for t, length, face, e in stimuli]
    face = build_timeline(shown(stimuli), duration=18.0).summary.faces[0]
    assert (face.first_seen, face.last_seen, face.on_screen) == (2, 18, 12)


def test_a_recording_that_stands_still_goes_on() -> None:
    moving = [(i / 25, 0.04, 1, "happy") for i in range(50)]
    later = [(10 + i / 25, 0.04, 1, "sad") for i in range(50)]
    frozen = [*moving[:-1], (moving[-1][0], 10 - moving[-1][0], 1, "happy"), *later]
    timeline = build_timeline(shown(frozen), duration=12.0)
    assert [(e.emotion, e.start, e.end) for e in timeline.episodes] == [
        ("happy", 0, pytest.approx(10, abs=0.041)),
        ("sad", pytest.approx(10, abs=0.041), 12),
    ]
    assert timeline.summary.faces[0].on_screen == 12
    # The picture that stands is smoothed with what lies beside it in time, not with all that it covers.
    happy = EMOTIONS.index("happy")
    assert timeline.smoothed[49, happy] > 0.75
    assert timeline.smoothed[50, happy] == pytest.approx(0.45, abs=0.1)
    assert timeline.smoothed[60, happy] < 0.1
    # Without durations the face is gone from 2 to 10 s.
    assert build_timeline(shown(frozen, known=False), duration=12.0).summary.faces[0].on_screen == pytest.approx(4)


def test_slides_of_four_seconds_each() -> None:
    slides = [(4.0 * i, 4.0, 1 if i % 2 else 0, "happy" if i % 2 else "") for i in range(6)]
    face = build_timeline(shown(slides), duration=24.0).summary.faces[0]
    assert face.on_screen == 12
    assert face.episodes == 3


def test_a_face_that_leaves_ends_with_its_picture_and_not_behind_the_end() -> None:
    pictures = [(i / 10, 0.1, 1 if i < 20 else 0, "happy" if i < 20 else "") for i in range(40)]
    timeline = build_timeline(shown(pictures), duration=4.0)
    assert timeline.episodes[0].end == 2.0
    pictures = [(6 + i / 25, 0.04, 1, "happy") for i in range(0, 75, 3)]
    assert build_timeline(shown(pictures), duration=20.0, start=6.0, end=9.0).episodes[0].end == 9.0


def test_a_header_that_names_less_time_than_the_last_picture_lasts() -> None:
    pictures = [(i / 10, 0.1, 1, "happy") for i in range(30)]
    assert build_timeline(shown(pictures), duration=2.5).episodes[0].end == 3.0


def test_durations_are_written_for_every_sampled_frame() -> None:
    assert rows_of(FrameResult(3, 0.12, (), 0.04))[0][-2:] == ["0.040", ""]
    assert rows_of(FrameResult(3, 0.12, ()))[0][-2:] == ["", ""]
