"""Finds faces that never move: posters, and photos on a shared screen.

Noise and compression shift the box and the probabilities of such a face too, but not for long: their means over a
second stay where they are. A person sways, even one who tries to hold still, and the expression changes. In a noisy,
compressed film a photo was seen to move by 2% of its side, and people in video clips by 2 to 52%; the probabilities of
those who moved by that little changed by 0.2 and more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ferwatch.timeline.table import FrameTable

MIN_STILL_SECONDS = 5
"""Number of different seconds in which a face has to be seen to be judged."""

MAX_MOVE = 0.025
"""Largest distance of a second's mean position or size from that of all seconds, in units of the face's side."""

MAX_MOVE_PIXELS = 2.0
"""The same in pixels, which allows small faces more: their boxes are no more exact than that."""

MAX_CHANGE = 0.1
"""Largest total variation distance of a second's mean probabilities from those of all seconds."""


def still_faces(table: FrameTable) -> tuple[int, ...]:
    """Return the face_ids, ascending, of faces that neither move nor change while they are seen."""
    return tuple(face_id for face_id in table.face_ids if _is_still(table, face_id))


def still_text(still: Sequence[int]) -> str:
    """Return a line on faces that never move; "" where there are none."""
    if not still:
        return ""
    listed = ", ".join(map(str, still))
    if len(still) == 1:
        return f"face {listed} is still: it never moves, as a picture of a face, and is not counted"
    return f"faces {listed} are still: they never move, as pictures of faces, and are not counted"


def _is_still(table: FrameTable, face_id: int) -> bool:
    rows = table.face_id == face_id
    if not rows.any():
        return False
    box, probabilities, times = table.bbox[rows], table.probabilities[rows], table.timestamp[rows]
    second = np.unique(np.floor(times - times[0]), return_inverse=True)[1]
    if second.max() + 1 < MIN_STILL_SECONDS:
        return False
    side = np.sqrt(box[:, 2] * box[:, 3])
    if not np.median(side):
        return False
    places = np.column_stack([box[:, :2] + box[:, 2:] / 2, side]) / np.median(side)
    moved = _deviations(places, second)
    changed = _deviations(probabilities, second)
    move = max(float(np.hypot(moved[:, 0], moved[:, 1]).max()), float(np.abs(moved[:, 2]).max()))
    allowed = max(MAX_MOVE, MAX_MOVE_PIXELS / float(np.median(side)))
    return move <= allowed and float(np.abs(changed).sum(axis=1).max()) / 2 <= MAX_CHANGE


def _deviations(values: NDArray[np.float64], second: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the mean of the values (n, k) over each second (s, k), less the median of these means."""
    counts = np.bincount(second)
    means = np.column_stack([np.bincount(second, column) / counts for column in values.T])
    return means - np.median(means, axis=0)
