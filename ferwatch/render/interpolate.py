"""Looks up faces and labels at any time, also between the samples of a table: FaceInterpolator, EpisodeLabels."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from copy import copy
from itertools import chain

import numpy as np

from ferwatch.records import BoundingBox, Episode, FaceResult
from ferwatch.timeline.table import FrameTable


class FaceInterpolator:
    """Looks up the faces of a table by time; between two samples, box and probabilities are interpolated linearly.

    Args:
        table: the rows of a run.
        max_gap: seconds between two samples of a face over which it counts as present throughout; never less than two
            sample intervals.
        hold: seconds for which a face is shown before the first and after the last sample of such a stretch; never
            less than half a sample interval.
    """

    def __init__(self, table: FrameTable, max_gap: float = 0.5, hold: float = 0.0) -> None:
        times = table.sample_times()
        interval = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        self._table = table
        # Times have three decimals, so a difference of two may be 1 ms too large.
        self._max_gap = max(2 * interval, max_gap) + 0.001
        self._hold = max(interval / 2, hold) + 0.001

    @classmethod
    def for_blur(cls, table: FrameTable) -> FaceInterpolator:
        """Return an interpolator for blurring, which shows a face too long rather than too short.

        It bridges gaps of up to a second, and begins half a second before the first sample and ends as long after the
        last one.
        """
        return cls(table, max_gap=1.0, hold=0.5)

    def between(self, start: float, end: float) -> FaceInterpolator:
        """Return an interpolator that gives the same faces from `start` to `end` (seconds), with fewer rows."""
        reach = max(self._max_gap, self._hold) + 0.001
        first, last = np.searchsorted(self._table.timestamp, (start - reach, end + reach))
        part = copy(self)
        part._table = self._table.select(np.arange(first, last))
        return part

    def at(self, timestamp: float) -> list[FaceResult]:
        """Return the faces at a time in seconds, in the order of their ids."""
        table = self._table
        reach = max(self._max_gap, self._hold)
        first, split, last = np.searchsorted(table.timestamp, (timestamp - reach, timestamp + 1e-9, timestamp + reach))
        # The nearest row of each face on either side: a later entry of the same id replaces an earlier one.
        before = dict(zip(table.face_id[first:split].tolist(), range(first, split), strict=True))
        after = dict(zip(table.face_id[split:last][::-1].tolist(), range(last - 1, split - 1, -1), strict=True))
        faces = (self._face(i, before.get(i), after.get(i), timestamp) for i in sorted({*before, *after} - {0}))
        return [face for face in faces if face is not None]

    def _face(self, face_id: int, before: int | None, after: int | None, timestamp: float) -> FaceResult | None:
        """Return a face at a time in seconds, from its nearest rows on either side; None where it is not shown."""
        times = self._table.timestamp
        if before is not None and after is not None and times[after] - times[before] <= self._max_gap:
            return self._mix(face_id, before, after, (timestamp - times[before]) / (times[after] - times[before]))
        if before is not None and timestamp - times[before] <= self._hold:
            return self._mix(face_id, before, before, 0.0)
        if after is not None and times[after] - timestamp <= self._hold:
            return self._mix(face_id, after, after, 0.0)
        return None

    def _mix(self, face_id: int, first: int, second: int, weight: float) -> FaceResult:
        """Return the weighted mean of two rows; a `weight` of 1 gives the second."""
        table = self._table
        score, box, probabilities = (
            ((1 - weight) * column[first] + weight * column[second]).tolist()
            for column in (table.score, table.bbox, table.probabilities)
        )
        return FaceResult(face_id, score, BoundingBox(*box), tuple(probabilities))


class EpisodeLabels:
    """Looks up the label of each face's episode by time."""

    def __init__(self, episodes: Iterable[Episode]) -> None:
        self._episodes: dict[int, list[Episode]] = defaultdict(list)
        for episode in sorted(episodes, key=lambda episode: episode.start):
            self._episodes[episode.face_id].append(episode)

    def between(self, start: float, end: float) -> EpisodeLabels:
        """Return the labels from `start` to `end` (seconds) alone."""
        every = chain.from_iterable(self._episodes.values())
        return EpisodeLabels(e for e in every if e.start <= end + 1e-9 and e.end > start)

    def at(self, timestamp: float) -> dict[int, str]:
        """Return the labels at a time in seconds, by face_id; faces without an episode at that time are left out."""
        labels = {}
        for face_id, episodes in self._episodes.items():
            number = bisect_right(episodes, timestamp + 1e-9, key=lambda episode: episode.start) - 1
            if number >= 0 and timestamp < episodes[number].end:
                labels[face_id] = episodes[number].emotion
        return labels
