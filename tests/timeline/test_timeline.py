"""The timeline against series whose true changes are known."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tables import one_face, showing, write_frames

from ferwatch.errors import DataError
from ferwatch.records import EMOTIONS, BoundingBox, FaceResult, FrameResult
from ferwatch.timeline.build import MIN_EPISODE_SECONDS, build_timeline
from ferwatch.timeline.model import LABELS
from ferwatch.timeline.schema import COLUMNS
from ferwatch.timeline.table import FrameTable, read_frames_csv


def noisy_series(
    seed: int, rate: float, confidence: float, seconds: float = 600
) -> tuple[NDArray[np.float64], NDArray[np.int64], FrameTable]:
    """True change times, the label from each on, and rows: irregular, a fifth missing, 15% of them of another label."""
    rng = np.random.default_rng(seed)
    changes = np.cumsum(np.append(0, rng.uniform(1.5, 9, int(seconds))))
    changes = changes[changes < seconds]
    labels = np.cumsum(np.append(rng.integers(7), rng.integers(1, 7, len(changes) - 1))) % 7
    times = (np.arange(int(seconds * rate)) + rng.uniform(0, 0.5, int(seconds * rate))) / rate
    times = times.round(3)[rng.random(len(times)) > 0.2]
    shown = labels[np.searchsorted(changes, times, side="right") - 1]
    wrong = rng.random(len(times)) < 0.15
    shown[wrong] = (shown[wrong] + rng.integers(1, 7, wrong.sum())) % 7
    rows = rng.dirichlet(np.full(7, 2.0), len(times)) * (1 - confidence)
    rows[np.arange(len(times)), shown] += confidence
    return changes, labels, one_face(times, rows.round(4))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("rate", "confidence"), [(30, 0.5), (30, 0.9), (20, 0.7)])
def test_finds_known_changes(seed: int, rate: float, confidence: float) -> None:
    changes, labels, table = noisy_series(seed, rate, confidence)
    timeline = build_timeline(table)

    onsets = {label: np.array([e.start for e in timeline.episodes if e.emotion == label]) for label in LABELS}
    found = [
        np.any(np.abs(onsets[EMOTIONS[label]] - change) <= 0.15)
        for change, label in zip(changes[1:], labels[1:], strict=True)
    ]
    assert np.mean(found) >= 0.95
    assert min(e.duration for e in timeline.episodes) >= MIN_EPISODE_SECONDS
    raw_changes = np.count_nonzero(np.diff(table.probabilities.argmax(axis=1)))
    assert len(timeline.episodes) - 1 <= raw_changes / 10


def test_onsets_are_neither_late_nor_early() -> None:
    late = []
    for seed in range(4):
        changes, _, table = noisy_series(seed, 15, 0.7)
        starts = np.array([e.start for e in build_timeline(table).episodes])
        offsets = starts[:, None] - changes[1:]
        nearest = offsets[np.abs(offsets).argmin(axis=0), np.arange(len(changes) - 1)]
        late.append(nearest[np.abs(nearest) < 0.3])
    # Each has a spread of about 0.06 s, and there are 450 of them.
    assert abs(np.concatenate(late).mean()) < 0.01


@pytest.mark.parametrize("shift", [0.001, 12.345, 3600.0, 86399.999])
def test_all_times_shifted_shift_the_episodes(shift: float) -> None:
    _, _, table = noisy_series(7, 12, 0.6, seconds=120)
    moved = one_face(table.timestamp + shift, table.probabilities)
    here, there = build_timeline(table), build_timeline(moved)
    assert [e.emotion for e in here.episodes] == [e.emotion for e in there.episodes]
    for a, b in zip(here.episodes, there.episodes, strict=True):
        assert (b.start, b.end, b.peak_time) == pytest.approx((a.start + shift, a.end + shift, a.peak_time + shift))
        assert (b.mean_confidence, b.peak_confidence) == (a.mean_confidence, a.peak_confidence)


def test_smoothing_has_no_direction() -> None:
    _, _, table = noisy_series(3, 12, 0.7, seconds=60)
    backwards = one_face(table.timestamp[-1] - table.timestamp[::-1], table.probabilities[::-1])
    ahead, back = build_timeline(table), build_timeline(backwards)
    # Apart from the ends, where the last sample lasts on and the first does not begin earlier.
    np.testing.assert_allclose(ahead.smoothed[9:-9], back.smoothed[::-1][9:-9], atol=0.01)


def test_time_counts_and_not_rows() -> None:
    times = np.concatenate([np.arange(0, 5, 0.02), np.arange(5, 10, 0.1)])
    rows = showing(["sad"] * 250 + ["happy"] * 50)
    timeline = build_timeline(one_face(times, rows))
    first, second = timeline.episodes
    assert (first.emotion, second.emotion) == ("sad", "happy")
    assert first.start == 0
    assert first.end == second.start == pytest.approx(4.99, abs=0.02)
    assert second.end == pytest.approx(9.92, abs=0.02)
    assert timeline.summary.shares["sad"] == pytest.approx(0.5, abs=0.01)


def test_gaps_stay_gaps() -> None:
    times = np.concatenate([np.arange(0, 3, 0.1), np.arange(7, 10, 0.1)])
    timeline = build_timeline(one_face(times, showing(["happy"] * 60)))
    assert [(e.emotion, e.start, e.end) for e in timeline.episodes] == [("happy", 0, 3), ("happy", 7, 10)]
    face = timeline.summary.faces[0]
    assert (face.first_seen, face.last_seen, face.on_screen) == (0, 10, 6)


def test_smoothing_does_not_reach_across_a_gap() -> None:
    times = np.concatenate([np.arange(30) / 10, 4.1 + np.arange(30) / 10])
    rows = showing(["happy"] * 30 + ["sad"] * 30)
    smoothed = build_timeline(one_face(times, rows), smoothing=2).smoothed
    np.testing.assert_allclose(smoothed, rows, atol=1e-12)


def test_a_short_dropout_does_not_part_an_episode() -> None:
    times = np.concatenate([np.arange(0, 3, 0.1), np.arange(3.5, 6, 0.1)])
    assert len(build_timeline(one_face(times, showing(["happy"] * 55))).episodes) == 1


def test_the_minimum_is_kept() -> None:
    """What is a little too short is extended, what is much too short joins its neighbours."""

    def episodes(samples: int, minimum: float) -> list[tuple[str, float, float]]:
        rows = showing(["neutral"] * 40 + ["surprise"] * samples + ["neutral"] * 40, confidence=0.95)
        found = build_timeline(one_face(np.arange(len(rows)) / 20, rows), min_episode=minimum).episodes
        return [(e.emotion, e.start, e.end) for e in found]

    assert episodes(8, minimum=0.3)[1] == ("surprise", pytest.approx(1.975, abs=0.002), pytest.approx(2.375, abs=0.002))
    emotion, start, end = episodes(8, minimum=0.5)[1]
    assert emotion == "surprise"
    assert (start, end) == pytest.approx((1.975, 2.375), abs=0.11)
    assert round(end - start, 3) >= 0.5
    assert [emotion for emotion, *_ in episodes(4, minimum=0.5)] == ["neutral"]


def test_a_clear_short_expression_stays_where_the_neutral_around_it_is_short() -> None:
    """0.9 s of angry at 0.57, nine samples in a row, between two short neutral moments."""
    angry = np.array([0.57, 0.04, 0.04, 0.04, 0.04, 0.04, 0.23])
    for before, after in ((3, 3), (4, 2), (2, 4), (4, 4), (1, 3)):
        rows = np.vstack(
            [
                *(showing(["happy"] * 30), showing(["neutral"] * before), np.tile(angry, (9, 1))),
                *(showing(["neutral"] * after), showing(["happy"] * 30)),
            ]
        )
        timeline = build_timeline(one_face(np.arange(len(rows)) / 10, rows))
        short = [e for e in timeline.episodes if e.emotion == "angry"]
        assert len(short) == 1, (before, after)
        assert short[0].duration >= 0.6
        assert short[0].start == pytest.approx(3 + before / 10 - 0.05, abs=0.3)
        assert min(e.duration for e in timeline.episodes) >= 0.5
    long = build_timeline(one_face(np.arange(len(rows)) / 10, rows), min_episode=1.5)
    assert "angry" not in [e.emotion for e in long.episodes]


def test_a_face_seen_too_shortly_has_no_episode() -> None:
    timeline = build_timeline(one_face(np.arange(8) / 20, showing(["happy"] * 8)))
    assert timeline.episodes == ()
    assert timeline.summary.faces[0].on_screen == pytest.approx(0.4)
    assert set(timeline.summary.shares.values()) == {0.0}


def test_nothing_that_stands_out_is_uncertain() -> None:
    rows = np.vstack([showing(["sad"] * 60), np.tile([0.1, 0.1, 0.2, 0.2, 0.2, 0.1, 0.1], (60, 1))])
    table = one_face(np.arange(120) / 30, rows)
    sad, uncertain = build_timeline(table).episodes
    assert (sad.emotion, uncertain.emotion) == ("sad", "uncertain")
    assert uncertain.mean_confidence == pytest.approx(0.2, abs=0.02)
    assert [e.emotion for e in build_timeline(table, uncertain_below=0.1).episodes] == ["sad"]


def test_smoothing_off_gives_the_runs_of_raw_labels() -> None:
    _, _, table = noisy_series(1, 10, 0.6, seconds=30)
    timeline = build_timeline(table, smoothing=0)
    labels = [EMOTIONS[i] for i in table.probabilities.argmax(axis=1)]
    expected = [label for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    assert [e.emotion for e in timeline.episodes] == expected
    np.testing.assert_array_equal(timeline.smoothed, table.probabilities)


def test_more_smoothing_gives_fewer_episodes() -> None:
    _, _, table = noisy_series(1, 20, 0.6, seconds=120)
    counts = [len(build_timeline(table, smoothing=s).episodes) for s in (0, 0.2, 2, 20)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 10 * counts[1]
    assert counts[1] > counts[3]


def test_several_faces_and_their_summary() -> None:
    rows = [showing([a, "fear"]) for a in ["happy"] * 60 + ["sad"] * 40]
    both = FrameTable(
        frame=np.repeat(np.arange(100), 2),
        timestamp=np.repeat(np.arange(100) / 10, 2),
        face_id=np.tile([1, 4], 100),
        score=np.full(200, 0.9),
        bbox=np.zeros((200, 4)),
        probabilities=np.vstack(rows),
    )
    summary = build_timeline(both.select(~((both.face_id == 4) & (both.timestamp > 4.95)))).summary
    assert [f.face_id for f in summary.faces] == [1, 4]
    first, second = summary.faces
    assert (first.on_screen, second.on_screen) == (10, 5)
    assert first.shares["happy"] == pytest.approx(0.595, abs=0.006)
    assert second.shares["fear"] == 1
    assert summary.shares["fear"] == pytest.approx(1 / 3, abs=1e-3)
    assert sum(summary.shares.values()) == pytest.approx(1)
    assert (summary.sampled_frames, summary.frames_with_faces, summary.episodes) == (100, 100, 3)
    assert first.mean_confidence == pytest.approx(0.8, abs=0.03)


def test_episodes_end_with_the_video() -> None:
    table = one_face(np.arange(20) / 10, showing(["happy"] * 20))
    assert build_timeline(table).episodes[-1].end == 2.0
    assert build_timeline(table, duration=1.95).episodes[-1].end == 1.95


def test_names_are_unique_and_fit_on_a_line() -> None:
    one, two = (one_face(np.arange(30) / 10, showing(["happy"] * 30), face_id) for face_id in (1, 2))
    both = FrameTable(*(np.concatenate([vars(one)[name], vars(two)[name]]) for name in vars(one)))
    timeline = build_timeline(both, names={1: "A\tn\nna\x00", 2: "A n na"})
    assert (timeline.name_of(1), timeline.name_of(2)) == ("A n na", "A n na (2)")
    assert build_timeline(both).name_of(2) == "Face 2"


def test_frames_csv_read_back_gives_the_same_timeline(tmp_path: Path) -> None:
    _, _, table = noisy_series(2, 10, 0.6, seconds=60)
    faces = [FaceResult(1, 0.9, BoundingBox(10, 20, 100, 100), tuple(row.tolist())) for row in table.probabilities]
    frames = (FrameResult(i, float(table.timestamp[i]), (face,)) for i, face in enumerate(faces))
    again = build_timeline(read_frames_csv(write_frames(tmp_path / "frames.csv", frames)))
    assert again.episodes == build_timeline(table).episodes


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1,0.1,1,1,0.9,1,2,3,4,happy,0.7,0.1,0.1,inf,0.7,0,0,0.1", "inf does not lie between 0 and 1"),
        ("1,0.1,1,1,0.9,1,2,3,4,happy,0.7,0.1,0.1,-0.1,0.7,0.1,0,0.1", "-0.1 does not lie between 0 and 1"),
        ("1,0.1,1,1,0.9,1,2,3,4,happy,0.7,0.1,0.1,0.5,0.7,0,0,0.1", "probabilities sum to 1.5"),
        ("1,0.1,1,1,0.9,1,nan,3,4,happy,0.7,0.1,0.1,0,0.7,0,0,0.1", "nan does not"),
        ("1,0.1,0,1,0.9,1,2,3,4,happy,0.7,0.1,0.1,0,0.7,0,0,0.1", "0 does not lie between 1"),
        ("1,0.1,1.5,1,0.9,1,2,3,4,happy,0.7,0.1,0.1,0,0.7,0,0,0.1", "face_id: 1.5 is no whole number"),
        ("1,-inf,1,1,0.9,1,2,3,4,happy,0.7,0.1,0.1,0,0.7,0,0,0.1", "-inf does not"),
        ("1,nan,,0" + 14 * ",", "nan does not"),
        ("1e99,0.1,,0" + 14 * ",", "1e99 does not"),
        ("1,0.1,1,1,0.9", "5 fields instead of 18"),
        ("one,0.1,,0" + 14 * ",", "frame: 'one' is no number"),
    ],
)
def test_values_that_cannot_be_are_named_with_their_line(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "frames.csv"
    path.write_text("\n".join([",".join(COLUMNS), "0,0.0,,0" + 14 * ",", line, ""]))
    with pytest.raises(DataError, match=rf"frames\.csv, line 3: .*{says}"):
        read_frames_csv(path)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_hardly_any_rows(rows: int) -> None:
    timeline = build_timeline(one_face(np.arange(rows) / 2, showing(["happy"] * rows)), min_episode=0.1)
    assert len(timeline.episodes) == (rows == 2)


def test_equal_timestamps_are_no_trouble() -> None:
    assert build_timeline(one_face(np.zeros(50), showing(["happy"] * 50))).episodes == ()


def test_an_hour_takes_seconds() -> None:
    times = np.arange(3600 * 30) / 30
    labels = [EMOTIONS[i] for i in np.random.default_rng(0).integers(0, 7, 3600)]
    rows = np.repeat(showing(labels), 30, axis=0)
    start = time.process_time()
    timeline = build_timeline(one_face(times, rows))
    assert time.process_time() - start < 10
    assert len(timeline.episodes) > 2000
