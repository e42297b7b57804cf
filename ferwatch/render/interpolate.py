"""Which faces stand where at any time, between the samples of a table too."""

from __future__ import annotations

import numpy as np

from ferwatch.records import BoundingBox, FaceResult
from ferwatch.timeline.table import FrameTable


class Overlay:
    """Looks up a table by time. Between two samples of a face its box and probabilities glide.

    `bridge`: seconds between two samples over which a face is taken to have been there all along; never less than two
    sample intervals. `hold`: seconds for which a face stays before the first and after the last sample of such a
    stretch; never less than half a sample interval.
    """

    def __init__(self, table: FrameTable, bridge: float = 0.5, hold: float = 0.0) -> None:
        times = table.sample_times()
        interval = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        self._recording = table
        # Times have three decimals, so that a difference of two may be 1 ms too large.
        self._bridge = max(2 * interval, bridge) + 0.001
        self._hold = max(interval / 2, hold) + 0.001

    @classmethod
    def for_blur(cls, table: FrameTable) -> Overlay:
        """One that would rather hide a face for too long: a second bridged, half a second before and after."""
        return cls(table, bridge=1.0, hold=0.5)

    def at(self, timestamp: float) -> list[FaceResult]:
        """The faces at a time in seconds, in the order of their ids."""
        rows = self._recording
        reach = max(self._bridge, self._hold)
        first, split, last = np.searchsorted(rows.timestamp, (timestamp - reach, timestamp + 1e-9, timestamp + reach))
        # The nearest row of each face on either side: the last one written wins.
        before = dict(zip(rows.face_id[first:split].tolist(), range(first, split), strict=True))
        after = dict(zip(rows.face_id[split:last][::-1].tolist(), range(last - 1, split - 1, -1), strict=True))
        faces = (self._face(i, before.get(i), after.get(i), timestamp) for i in sorted({*before, *after} - {0}))
        return [face for face in faces if face is not None]

    def _face(self, face_id: int, before: int | None, after: int | None, timestamp: float) -> FaceResult | None:
        times = self._recording.timestamp
        if before is not None and after is not None and times[after] - times[before] <= self._bridge:
            return self._mix(face_id, before, after, (timestamp - times[before]) / (times[after] - times[before]))
        if before is not None and timestamp - times[before] <= self._hold:
            return self._mix(face_id, before, before, 0.0)
        if after is not None and times[after] - timestamp <= self._hold:
            return self._mix(face_id, after, after, 0.0)
        return None

    def _mix(self, face_id: int, one: int, other: int, share: float) -> FaceResult:
        rows = self._recording
        score, box, probabilities = (
            ((1 - share) * column[one] + share * column[other]).tolist()
            for column in (rows.score, rows.bbox, rows.probabilities)
        )
        return FaceResult(face_id, score, BoundingBox(*box), tuple(probabilities))
