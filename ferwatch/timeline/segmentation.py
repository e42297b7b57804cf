"""Segmentation of a series of samples by label. Times are whole milliseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Segment:
    """A span of time with one label."""

    start: int
    """Start in milliseconds."""
    end: int
    """End in milliseconds."""
    label: int
    """Index of the label in timeline.model.LABELS."""


def segment(
    edges: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    penalty: float,
    minimum: int,
    interval: int,
    shown: NDArray[np.int64],
) -> list[Segment]:
    """Return the segments with the largest sum of (probability of the label x time) - penalty x changes.

    No segment is shorter than `minimum`; the list is empty where the whole series is shorter. First the best segments
    of any length are found. Those that are long enough stay, and the short ones between them are extended or join their
    neighbours, so that the sum is largest: a clear expression is not lost because what lies beside it is short.
    Each of the two searches is exact: optimal partitioning (Jackson et al. 2005), with a minimum length in the second,
    in a time that grows with samples x labels.

    Args:
        edges: (n + 1,) milliseconds; sample i stands for the time from edge i to edge i + 1.
        probabilities: (n, labels).
        penalty: milliseconds of certainty that a change has to gain, besides half a sample.
        minimum: milliseconds, the shortest segment.
        interval: milliseconds, the usual time between samples.
        shown: (n,) milliseconds for which each sample's picture is known to be shown; 0 where it is not known.
    """
    penalty += interval / 2
    # A sample beside missing ones stands for more time, but not for all of it, unless its picture is shown so long.
    trusted = np.minimum(np.diff(edges), np.maximum(2 * interval, shown))
    gained = _cumulative(probabilities, trusted)
    cuts = _best_path(edges, gained, penalty, 0)
    if any(edges[last] - edges[first] < minimum for first, last, _ in cuts):
        kept = _kept(cuts, edges, minimum, labels=probabilities.shape[1])
        cuts = _best_path(edges, _cumulative(probabilities + kept, trusted), penalty, minimum)
    return _place_changes(cuts, edges, gained, minimum, interval) if cuts else []


_KEEP_BONUS = 1000.0
"""Added to the probability of a label to keep a sample under it: more than any neighbour can gain."""


def _kept(cuts: list[tuple[int, int, int]], edges: NDArray[np.int64], minimum: int, labels: int) -> NDArray[np.float64]:
    """(n, labels) bonus on the probabilities that keeps every segment of at least `minimum` milliseconds.

    Samples beside a short segment get none, so that it can grow on either side by half of what it lacks.
    """
    lacking = [0.0, *(max(minimum - (edges[last] - edges[first]), 0) / 2 for first, last, _ in cuts), 0.0]
    kept = np.zeros((len(edges) - 1, labels))
    for i, (first, last, label) in enumerate(cuts):
        if not lacking[i + 1]:
            inside = (edges[first:last] >= edges[first] + lacking[i]) & (
                edges[first + 1 : last + 1] <= edges[last] - lacking[i + 2]
            )
            kept[first:last, label][inside] = _KEEP_BONUS
    return kept


def _cumulative(probabilities: NDArray[np.float64], milliseconds: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n + 1, labels) time-weighted sum of each label's probability over the samples before i."""
    return np.vstack([np.zeros(probabilities.shape[1]), np.cumsum(probabilities * milliseconds[:, None], axis=0)])


def _best_path(
    edges: NDArray[np.int64], gained: NDArray[np.float64], penalty: float, minimum: int
) -> list[tuple[int, int, int]]:
    """Return the best segmentation: first sample, sample after the last, and label of each segment.

    The list is empty where no segmentation has segments of at least `minimum` milliseconds.
    """
    n, labels = len(edges) - 1, gained.shape[1]
    # best[i]: the best score of any segmentation of the samples before i. Its last segment starts at some sample j, at
    # least `minimum` earlier, and its label k adds gained[i, k] - gained[j, k]. opened[k]: the largest
    # best[j] - gained[j, k] so far; since[k]: its j. Plain lists are several times faster than arrays at eight labels.
    times = edges.tolist()
    best = [0.0] + [-math.inf] * n
    opened, since = [-math.inf] * labels, [0] * labels
    start, label = [0] * (n + 1), [0] * (n + 1)
    j = 0
    for i in range(1, n + 1):
        while j < i and times[i] - times[j] >= minimum:
            for k, before in enumerate(gained[j].tolist()):
                if best[j] - before > opened[k]:
                    opened[k], since[k] = best[j] - before, j
            j += 1
        totals = [ahead + until for ahead, until in zip(opened, gained[i].tolist(), strict=True)]
        total = max(totals)
        label[i] = totals.index(total)
        start[i] = since[label[i]]
        best[i] = total - penalty
    cuts = []
    i = n
    while i > 0 and best[n] > -math.inf:
        cuts.append((start[i], i, label[i]))
        i = start[i]
    return cuts[::-1]


def runs(edges: NDArray[np.int64], labels: NDArray[np.intp]) -> list[Segment]:
    """Return the runs of equal labels (n,) as segments, however short."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1])
    ends = np.append(starts[1:], len(labels))
    segments = [Segment(int(edges[i]), int(edges[j]), int(labels[i])) for i, j in zip(starts, ends, strict=True)]
    return [run for run in segments if run.end > run.start]


def _place_changes(
    cuts: list[tuple[int, int, int]],
    edges: NDArray[np.int64],
    gained: NDArray[np.float64],
    minimum: int,
    interval: int,
) -> list[Segment]:
    """Return segments from cuts (first sample, sample after the last, label), each change at its mean position.

    The best position alone is arbitrary where samples at a change are missing or show a third label. Positions are
    weighted by how well they explain the samples: a usual sample on the wrong side of the change makes one less likely
    by a factor of exp(4 x the difference of its two probabilities). No segment gets shorter than `minimum` or loses its
    central sample.
    """
    segments = []
    begin = int(edges[0])
    for (first, middle, before), (_, last, after) in pairwise(cuts):
        samples = np.arange((first + middle - 1) // 2 + 1, (middle + last - 1) // 2 + 1)
        places = edges[samples]
        allowed = (places - begin >= minimum) & (edges[last] - places >= minimum)
        fit = (gained[samples, before] - gained[samples, after])[allowed]
        weights = np.exp(4 * (fit - fit.max()) / interval)
        # Averaged relative to one of the times, so that shifting all times shifts the result exactly.
        change = int(edges[middle]) + round(float(np.average(places[allowed] - edges[middle], weights=weights)))
        segments.append(Segment(begin, change, before))
        begin = change
    return [*segments, Segment(begin, int(edges[-1]), cuts[-1][2])]
