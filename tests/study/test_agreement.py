"""The figures of an agreement: against scikit-learn, and against cases worked by hand in docs/study.md."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix, precision_recall_fscore_support

from ferwatch.errors import DataError
from ferwatch.study.agreement import Agreement, compute_agreement, link_events
from ferwatch.study.bands import Event, band_of, fill
from ferwatch.study.codes import Code
from ferwatch.study.kappa import cohen_kappa, event_kappa
from ferwatch.study.pairing import Pair, Side

Codes = list[tuple[float, float, str]]


def agreement_of(*recordings: tuple[Codes, Codes]) -> Agreement:
    """The agreement of two coders; times in seconds."""
    pairs = []
    for number, sides in enumerate(recordings):
        codes = [tuple(Code(round(s * 1000), round(e * 1000), label) for s, e, label in side) for side in sides]
        named = [Side(name, (name,), own) for name, own in zip(("coder 1", "coder 2"), codes, strict=True)]
        pairs.append(Pair(f"recording {number}", *named, *(band_of(own) for own in codes)))
    return compute_agreement(pairs)


def random_codes(rng: np.random.Generator, seconds: float, gaps: bool) -> Codes:
    codes: Codes = []
    at = 0.0
    while at < seconds:
        end = min(at + rng.exponential(1.5) + 0.01, seconds)
        if not (gaps and rng.random() < 0.2):
            codes.append((round(at, 3), round(end, 3), str(rng.choice(["happy", "sad", "neutral", "smirk"]))))
        at = end
    return codes


def by_milliseconds(codes: Codes, seconds: float) -> np.ndarray:
    """The label of every millisecond, as a person would lay it out; "" without a code."""
    labels = np.full(round(seconds * 1000), "", "U10")
    for start, end, label in codes:
        labels[round(start * 1000) : round(end * 1000)] = label
    return labels


@pytest.mark.parametrize("gaps", [False, True])
def test_time_figures_are_those_of_scikit_learn_over_milliseconds(gaps: bool) -> None:
    rng = np.random.default_rng(3)
    one, two = (random_codes(rng, 60, gaps) for _ in range(2))
    first, second = by_milliseconds(one, 60), by_milliseconds(two, 60)
    both = (first != "") & (second != "")
    first, second = first[both], second[both]
    found = agreement_of((one, two))

    assert found.seconds.sum() == pytest.approx(both.sum() / 1000)
    assert found.kappa == pytest.approx(cohen_kappa_score(first, second))
    labels = list(found.labels)
    assert found.seconds == pytest.approx(confusion_matrix(first, second, labels=labels) / 1000)
    precision, recall, f1, _ = precision_recall_fscore_support(first, second, labels=labels)
    for i, label in enumerate(found.by_label):
        assert (label.precision, label.recall, label.f1) == pytest.approx((precision[i], recall[i], f1[i]))
        assert label.kappa == pytest.approx(cohen_kappa_score(first == label.label, second == label.label))


def test_kappa_by_time_of_the_case_in_the_docs() -> None:
    found = agreement_of(([(0, 6, "happy"), (6, 10, "neutral")], [(0, 4, "happy"), (4, 10, "neutral")]))
    assert found.seconds.tolist() == [[4, 2], [0, 4]]
    assert found.raw_agreement == 0.8
    assert found.kappa == pytest.approx((0.8 - 0.48) / (1 - 0.48))


CODER_1: Codes = [(0, 10, "happy"), (20, 30, "sad"), (40, 50, "happy"), (60, 70, "sad")]
CODER_2: Codes = [(1, 10, "happy"), (20, 28, "happy"), (45, 55, "happy"), (60, 70, "sad")]


def test_events_of_the_case_in_the_docs() -> None:
    found = agreement_of((CODER_1, CODER_2))
    assert found.labels == ("happy", "sad")
    assert found.events.tolist() == [[1, 0, 1], [1, 1, 0], [1, 0, 0]]
    assert found.events_raw_agreement == 0.5
    # Quasi-independence, solved by hand in the docs: 90/49 and 48/49 of 8 events agree by chance.
    chance = (90 / 49 + 48 / 49) / 8
    assert found.events_kappa == pytest.approx((0.5 - chance) / (1 - chance))
    assert (found.onset.count, found.onset.median) == (2, 0.5)
    assert (found.onset.lower_quartile, found.onset.upper_quartile) == (0.25, 0.75)
    assert (found.offset.count, found.offset.median) == (2, 0)


def test_an_overlap_of_exactly_sixty_percent_of_the_longer_event_links() -> None:
    long = Event(0, 1000, "happy")
    assert link_events([long], [Event(400, 1000, "sad")]) == [(long, Event(400, 1000, "sad"))]
    assert link_events([long], [Event(401, 1000, "sad")]) == []
    assert link_events([Event(400, 1000, "sad")], [long]) == [(Event(400, 1000, "sad"), long)]


def test_kappa_of_events_that_all_have_a_partner_is_cohens() -> None:
    counts = np.array([[7, 2, 1], [0, 5, 3], [2, 2, 9]])
    with_none = np.zeros((4, 4))
    with_none[:3, :3] = counts
    assert event_kappa(with_none) == pytest.approx(float(cohen_kappa(counts)))


def test_events_mostly_outside_the_compared_time_are_left_out_and_counted() -> None:
    found = agreement_of(([(0, 10, "happy")], [(0, 9, "happy"), (9.5, 30, "sad")]))
    assert found.events.sum() == 1
    assert found.events_left_out == 1
    assert found.only_other == pytest.approx(20.0)


def test_intervals_draw_recordings_or_blocks_and_say_which() -> None:
    rng = np.random.default_rng(5)
    many = [(random_codes(rng, 20, False), random_codes(rng, 20, False)) for _ in range(8)]
    recordings = agreement_of(*many)
    assert recordings.units == "bootstrap over 8 recordings"
    blocks = agreement_of((random_codes(rng, 40, False), random_codes(rng, 40, False)))
    assert blocks.units == "bootstrap over 8 blocks of 5 s"
    for found in (recordings, blocks):
        assert found.kappa_interval is not None
        low, high = found.kappa_interval
        assert low < found.kappa < high
    few = agreement_of(([(0, 6, "happy")], [(0, 6, "happy")]))
    assert few.kappa_interval is None
    assert few.units.startswith("no intervals")


def test_an_interval_over_alike_recordings_has_no_width() -> None:
    one: Codes = [(0, 6, "happy"), (6, 10, "neutral")]
    two: Codes = [(0, 4, "happy"), (4, 10, "neutral")]
    found = agreement_of(*[(one, two)] * 9)
    assert found.kappa_interval == pytest.approx((found.kappa, found.kappa))


def test_codes_at_once_count_as_the_one_that_started_last() -> None:
    band = band_of([Code(0, 1000, "happy"), Code(400, 600, "surprise")])
    assert band.events == (Event(0, 400, "happy"), Event(400, 600, "surprise"), Event(600, 1000, "happy"))
    assert band.overlapped == 200


def test_labels_are_renamed_joined_and_dropped() -> None:
    codes = [Code(0, 500, "smile"), Code(500, 900, "laugh"), Code(900, 1200, "unclear")]
    assert band_of(codes, {"smile": "happy", "laugh": "happy", "unclear": ""}).events == (Event(0, 900, "happy"),)


def test_time_without_a_code_can_count_as_a_label() -> None:
    band = band_of([Code(200, 300, "happy"), Code(500, 600, "neutral")])
    events = (Event(0, 200, "neutral"), Event(200, 300, "happy"), Event(300, 700, "neutral"))
    assert fill(band, "neutral", 0, 700).events == events


def test_sides_without_common_time_are_an_error() -> None:
    with pytest.raises(DataError, match="no time in which both have a code"):
        agreement_of(([(0, 1, "happy")], [(2, 3, "happy")]))
