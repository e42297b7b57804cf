"""Computes the matching score of validation studies: how often the largest peak is that of the emotion shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferwatch.records import EMOTIONS
from ferwatch.study.bands import Event
from ferwatch.study.pairing import Pair, Side

PEAK_EMOTIONS = tuple(emotion for emotion in EMOTIONS if emotion != "neutral")
"""Emotions whose peaks are compared: all but neutral."""


@dataclass(frozen=True)
class MatchingScore:
    """Numbers of coded events whose largest peak is that of their emotion.

    Stöckli, S., Schulte-Mecklenbeck, M., Borer, S., & Samson, A. C. (2018). Facial expression analysis with AFFDEX and
    FACET: A validation study. Behavior Research Methods, 50, 1446-1460. https://doi.org/10.3758/s13428-017-0996-1
    """

    matched: dict[str, int]
    """Emotion -> number of its events whose largest peak is that of the emotion."""
    events: dict[str, int]
    """Emotion -> number of its events; emotions without an event are left out."""
    without_face: int
    """Number of events in which the face was never found; they count as not matched."""

    @property
    def overall(self) -> float:
        """Share of all events that match."""
        return sum(self.matched.values()) / sum(self.events.values())

    @property
    def mean(self) -> float:
        """Mean over emotions of the share that matches, each emotion counted alike."""
        return float(np.mean([self.matched[emotion] / count for emotion, count in self.events.items()]))


def matching_score(pairs: Sequence[Pair]) -> MatchingScore | None:
    """Return the score of all coded events of emotions other than neutral, from the raw probabilities of a run's rows.

    Returns None where no side but the reference is a run, or no event is coded with the name of an emotion.
    """
    events, matched = dict.fromkeys(PEAK_EMOTIONS, 0), dict.fromkeys(PEAK_EMOTIONS, 0)
    without_face = 0
    for pair in pairs:
        if pair.other.run is None:
            continue
        for event in pair.reference_band.events:
            if event.label not in PEAK_EMOTIONS:
                continue
            peak = _largest_peak(pair.other, event)
            events[event.label] += 1
            matched[event.label] += peak == event.label
            without_face += peak is None
    present = [emotion for emotion in PEAK_EMOTIONS if events[emotion]]
    if not present:
        return None
    return MatchingScore({e: matched[e] for e in present}, {e: events[e] for e in present}, without_face)


def _largest_peak(side: Side, event: Event) -> str | None:
    assert side.run is not None
    table = side.run.table
    times = np.round(table.timestamp * 1000)
    rows = (table.face_id == (side.face_id or -1)) & (times >= event.start) & (times < event.end)
    if not rows.any():
        return None
    peaks = table.probabilities[rows].max(axis=0)
    return max(PEAK_EMOTIONS, key=lambda emotion: peaks[EMOTIONS.index(emotion)])
