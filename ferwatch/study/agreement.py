"""Measures how far two sides agree: by time, by events, at onsets and offsets, and by the largest peak."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import DataError
from ferwatch.study.bands import Band, Event, Overlap, blocks, confusion, overlay
from ferwatch.study.kappa import cohen_kappa, double_linked, event_kappa, interval, one_against_rest, resampled_sums
from ferwatch.study.matching import MatchingScore, matching_score
from ferwatch.study.pairing import Pair
from ferwatch.timeline.model import LABELS

MIN_OVERLAP = 0.6
"""Share of the longer of two events that both must cover to count as the same event (Holle & Rein 2015)."""

BLOCK_MILLISECONDS = 5_000
"""Length of the blocks that the bootstrap draws where there are too few recordings."""
MIN_UNITS = 8
"""Smallest number of recordings or blocks that gives an interval."""

Interval = tuple[float, float] | None
"""Lower and upper end of a 95% interval; None where there is none."""


@dataclass(frozen=True)
class LabelAgreement:
    """Agreement of both sides on one label against all others, by time and by events."""

    label: str
    reference_seconds: float
    other_seconds: float
    kappa: float
    kappa_interval: Interval
    precision: float
    """Share of the other side's time under the label in which the reference has it too; NaN where it never has it."""
    recall: float
    """Share of the reference's time under the label in which the other side has it too; NaN where it never has it."""
    f1: float
    reference_events: int
    other_events: int
    agreed_events: int
    event_kappa: float


@dataclass(frozen=True)
class Shift:
    """Delay in seconds of the other side at the beginning or end of events on which both agree; NaN without any."""

    count: int
    median: float
    lower_quartile: float
    upper_quartile: float


@dataclass(frozen=True)
class Agreement:
    """Agreement of two sides. Rows of tables are the reference's labels, columns the other side's."""

    labels: tuple[str, ...]
    seconds: NDArray[np.float64]
    """(L, L) seconds under each pair of labels."""
    only_reference: float
    """Seconds that only the reference covers; they are not compared."""
    only_other: float
    """Seconds that only the other side covers; they are not compared."""
    raw_agreement: float
    """Share of the compared time in which both have the same label."""
    kappa: float
    kappa_interval: Interval
    units: str
    """Unit that the bootstrap of the intervals draws, or the reason why there is none."""
    by_label: tuple[LabelAgreement, ...]
    events: NDArray[np.int64]
    """(L + 1, L + 1) pairs of linked events; the last row and column hold the events without a partner."""
    events_raw_agreement: float
    """Share of both sides' events that are linked to one with the same label."""
    events_kappa: float
    events_left_out: int
    """Events of which more than half is not covered by the other side; they are in no table."""
    onset: Shift
    offset: Shift
    matching: MatchingScore | None
    pairs: tuple[Pair, ...]
    warnings: tuple[str, ...]


def compute_agreement(pairs: Sequence[Pair], warnings: Iterable[str] = ()) -> Agreement:
    """Compares the two sides of every recording; raises DataError where they have no time in common."""
    overlaps = [overlay(pair.reference_band, pair.other_band) for pair in pairs]
    labels = _labels(label for one in overlaps for o in one for label in (o.reference, o.other))
    if not labels:
        names = ", ".join(f"{pair.reference.name} and {pair.other.name}" for pair in pairs)
        raise DataError(f"{names}: there is no time in which both have a code, so nothing can be compared")
    milliseconds = np.sum([confusion(one, labels) for one in overlaps], axis=0, dtype=np.int64)
    units, drawn = _units(overlaps, labels)
    samples = None if units is None else resampled_sums(units)
    events, linked, left_out = _events(pairs, overlaps, labels)
    scored = double_linked(events)
    total = int(milliseconds.sum())
    notes = [
        f"{pair.recording}: {seconds:.1f} s have several codes of {side.name} at once; the one that started last counts"
        for pair in pairs
        for side, band in ((pair.reference, pair.reference_band), (pair.other, pair.other_band))
        if (seconds := band.overlapped / 1000)
    ]
    return Agreement(
        labels=labels,
        seconds=milliseconds / 1000,
        only_reference=(_covered(p.reference_band for p in pairs) - total) / 1000,
        only_other=(_covered(p.other_band for p in pairs) - total) / 1000,
        raw_agreement=float(np.trace(milliseconds)) / total,
        kappa=float(cohen_kappa(milliseconds)),
        kappa_interval=None if samples is None else interval(cohen_kappa(samples)),
        units=drawn,
        by_label=tuple(_by_label(i, label, milliseconds, samples, events) for i, label in enumerate(labels)),
        events=events,
        events_raw_agreement=_ratio(float(np.trace(scored)), int(scored.sum())),
        events_kappa=event_kappa(scored),
        events_left_out=left_out,
        onset=_shift([other.start - reference.start for reference, other in linked]),
        offset=_shift([other.end - reference.end for reference, other in linked]),
        matching=matching_score(pairs),
        pairs=tuple(pairs),
        warnings=(*warnings, *notes),
    )


def link_events(reference: Sequence[Event], other: Sequence[Event]) -> list[tuple[Event, Event]]:
    """Pairs the events that overlap by at least 60% of the longer one (Holle & Rein 2015).

    Events of one side never overlap each other, so none can have two partners.
    """
    linked = []
    j = 0
    for event in reference:
        while j < len(other) and other[j].end <= event.start:
            j += 1
        k = j
        while k < len(other) and other[k].start < event.end:
            both = min(event.end, other[k].end) - max(event.start, other[k].start)
            # In whole numbers: 0.6 is no binary fraction, and an overlap of exactly 60% counts.
            if round(100 * both) >= round(100 * MIN_OVERLAP) * max(event.duration, other[k].duration):
                linked.append((event, other[k]))
            k += 1
    return linked


def _events(
    pairs: Sequence[Pair], overlaps: Sequence[Sequence[Overlap]], labels: Sequence[str]
) -> tuple[NDArray[np.int64], list[tuple[Event, Event]], int]:
    """Return the table of events, the linked events on whose label both agree, and the number of events left out."""
    position = {label: i for i, label in enumerate(labels)}
    table = np.zeros((len(labels) + 1, len(labels) + 1), np.int64)
    agreed, left_out = [], 0
    for pair, shared in zip(pairs, overlaps, strict=True):
        reference = _mostly_covered(pair.reference_band, shared)
        other = _mostly_covered(pair.other_band, shared)
        linked = link_events(reference, other)
        for mine, theirs in linked:
            table[position[mine.label], position[theirs.label]] += 1
            if mine.label == theirs.label:
                agreed.append((mine, theirs))
        for event in set(reference) - {mine for mine, _ in linked}:
            table[position[event.label], -1] += 1
        for event in set(other) - {theirs for _, theirs in linked}:
            table[-1, position[event.label]] += 1
        left_out += len(pair.reference_band.events) + len(pair.other_band.events) - len(reference) - len(other)
    return table, agreed, left_out


def _mostly_covered(band: Band, shared: Sequence[Overlap]) -> list[Event]:
    """Return the events of which the other side covers at least half; it says too little about the rest."""
    kept, i = [], 0
    for event in band.events:
        while i < len(shared) and shared[i].end <= event.start:
            i += 1
        k, covered = i, 0
        while k < len(shared) and shared[k].start < event.end:
            covered += min(shared[k].end, event.end) - max(shared[k].start, event.start)
            k += 1
        if 2 * covered >= event.duration:
            kept.append(event)
    return kept


def _units(overlaps: Sequence[Sequence[Overlap]], labels: Sequence[str]) -> tuple[NDArray[np.int64] | None, str]:
    """Return the (U, L, L) milliseconds of each unit that the bootstrap draws, and the unit's name."""
    recordings = [confusion(one, labels) for one in overlaps if one]
    if len(recordings) >= MIN_UNITS:
        return np.stack(recordings), f"bootstrap over {len(recordings)} recordings"
    parts = [confusion(part, labels) for one in overlaps for part in blocks(one, BLOCK_MILLISECONDS).values()]
    seconds = BLOCK_MILLISECONDS / 1000
    if len(parts) >= MIN_UNITS:
        return np.stack(parts), f"bootstrap over {len(parts)} blocks of {seconds:g} s"
    return None, f"no intervals: they need {MIN_UNITS} recordings or {MIN_UNITS} blocks of {seconds:g} s"


def _by_label(
    i: int, label: str, milliseconds: NDArray[np.int64], samples: NDArray[np.float64] | None, events: NDArray[np.int64]
) -> LabelAgreement:
    both = int(milliseconds[i, i])
    reference, other = int(milliseconds[i].sum()), int(milliseconds[:, i].sum())
    return LabelAgreement(
        label=label,
        reference_seconds=reference / 1000,
        other_seconds=other / 1000,
        kappa=float(cohen_kappa(one_against_rest(milliseconds, i))),
        kappa_interval=None if samples is None else interval(cohen_kappa(one_against_rest(samples, i))),
        precision=_ratio(both, other),
        recall=_ratio(both, reference),
        f1=_ratio(2 * both, reference + other),
        reference_events=int(events[i].sum()),
        other_events=int(events[:, i].sum()),
        agreed_events=int(events[i, i]),
        event_kappa=float(cohen_kappa(one_against_rest(double_linked(events), i))),
    )


def _shift(differences: Sequence[int]) -> Shift:
    if not differences:
        return Shift(0, *[float("nan")] * 3)
    lower, median, upper = np.quantile(np.array(differences) / 1000, [0.25, 0.5, 0.75])
    return Shift(len(differences), float(median), float(lower), float(upper))


def _covered(bands: Iterable[Band]) -> int:
    return sum(event.duration for band in bands for event in band.events)


def _labels(used: Iterable[str]) -> tuple[str, ...]:
    """Return the labels in use: the emotions in their usual order, then all others in alphabetical order."""
    present = set(used)
    return (*(label for label in LABELS if label in present), *sorted(present - set(LABELS)))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
