"""Bands: events of one label at a time over one recording, and the overlay of two bands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ferwatch.study.codes import Code


@dataclass(frozen=True)
class Event:
    """A stretch of time with one label. Times in milliseconds."""

    start: int
    end: int
    label: str

    @property
    def duration(self) -> int:
        """Duration in milliseconds."""
        return self.end - self.start


@dataclass(frozen=True)
class Band:
    """The events of one side over one recording: ordered, never overlapping; gaps are time without a code."""

    events: tuple[Event, ...]
    overlapped: int = 0
    """Milliseconds in which several codes held at once; the one that started last counts."""


def band_of(codes: Iterable[Code], rename: Mapping[str, str] | None = None) -> Band:
    """Returns the band of some codes. Adjacent codes of one label become one event.

    rename: label -> the label to count it as; an empty one drops the code, which leaves its time without a code.
    """
    renamed = [(c.start, c.end, (rename or {}).get(c.label, c.label)) for c in codes]
    kept = sorted((start, end, label) for start, end, label in renamed if label)
    cuts = sorted({time for start, end, _ in kept for time in (start, end)})
    events: list[Event] = []
    overlapped, i = 0, 0
    open_codes: list[tuple[int, int, str]] = []
    for start, end in pairwise(cuts):
        while i < len(kept) and kept[i][0] <= start:
            open_codes.append(kept[i])
            i += 1
        open_codes = [code for code in open_codes if code[1] > start]
        if not open_codes:
            continue
        if len({label for *_, label in open_codes}) > 1:
            overlapped += end - start
        events.append(Event(start, end, open_codes[-1][2]))
    return Band(tuple(_joined(events)), overlapped)


def fill(band: Band, label: str, start: int, end: int) -> Band:
    """Returns the band with `label` wherever there is no code from `start` to `end` (milliseconds)."""
    filled: list[Event] = []
    filled_until = start
    for event in band.events:
        if event.start > filled_until:
            filled.append(Event(filled_until, min(event.start, end), label))
        filled.append(event)
        filled_until = max(filled_until, event.end)
    if filled_until < end:
        filled.append(Event(filled_until, end, label))
    return Band(tuple(_joined([event for event in filled if event.duration > 0])), band.overlapped)


@dataclass(frozen=True)
class Overlap:
    """A stretch of time in which both sides have one code each. Times in milliseconds."""

    start: int
    end: int
    reference: str
    other: str


def overlay(reference: Band, other: Band) -> list[Overlap]:
    """Returns the stretches of time that both bands cover, each with its pair of labels."""
    overlaps = []
    j = 0
    for event in reference.events:
        while j < len(other.events) and other.events[j].end <= event.start:
            j += 1
        k = j
        while k < len(other.events) and other.events[k].start < event.end:
            against = other.events[k]
            start, end = max(event.start, against.start), min(event.end, against.end)
            overlaps.append(Overlap(start, end, event.label, against.label))
            k += 1
    return overlaps


def confusion(overlaps: Iterable[Overlap], labels: Sequence[str]) -> NDArray[np.int64]:
    """(L, L) milliseconds: rows are the reference's labels, columns the other side's."""
    position = {label: i for i, label in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    for overlap in overlaps:
        matrix[position[overlap.reference], position[overlap.other]] += overlap.end - overlap.start
    return matrix


def blocks(overlaps: Iterable[Overlap], length: int) -> dict[int, list[Overlap]]:
    """Cuts overlaps at every multiple of `length` milliseconds; returns those of each block by its number."""
    parts: dict[int, list[Overlap]] = {}
    for overlap in overlaps:
        start = overlap.start
        while start < overlap.end:
            number = start // length
            end = min(overlap.end, (number + 1) * length)
            parts.setdefault(number, []).append(Overlap(start, end, overlap.reference, overlap.other))
            start = end
    return parts


def _joined(events: Sequence[Event]) -> list[Event]:
    joined: list[Event] = []
    for event in events:
        if joined and joined[-1].label == event.label and joined[-1].end == event.start:
            joined[-1] = Event(joined[-1].start, event.end, event.label)
        else:
            joined.append(event)
    return joined
