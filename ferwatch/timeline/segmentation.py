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
    """Milliseconds."""
    end: int
    """Milliseconds."""
    label: int
    """Index of the label."""


def segment(
    edges: NDArray[np.int64], probabilities: NDArray[np.float64], penalty: float, minimum: int, interval: int
) -> list[Segment]:
    """The segments with the largest sum of (probability of the label x time) - penalty x changes.

    None is shorter than `minimum`; the list is empty where all of the series is. The optimum is exact: optimal
    partitioning (Jackson et al. 2005) with a minimum length, in a time that grows with samples x labels.

    Args:
        edges: (n + 1,) milliseconds; sample i stands for the time from edge i to edge i + 1.
        probabilities: (n, labels).
        penalty: milliseconds of certainty that a change has to gain, besides half a sample.
        minimum: milliseconds, the shortest segment.
        interval: milliseconds, the usual time between samples.
    """
    n, labels = probabilities.shape
    penalty += interval / 2
    # A sample beside missing ones stands for a longer time, but not for all of it.
    trusted = np.minimum(np.diff(edges), 2 * interval)
    # gained[i, k]: the sum of label k over the samples before i.
    gained = np.vstack([np.zeros(labels), np.cumsum(probabilities * trusted[:, None], axis=0)])

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
    if best[n] == -math.inf:
        return []
    cuts = []
    i = n
    while i > 0:
        cuts.append((start[i], i, label[i]))
        i = start[i]
    return _place_changes(cuts[::-1], edges, gained, minimum, interval)


def runs(edges: NDArray[np.int64], labels: NDArray[np.intp]) -> list[Segment]:
    """The runs of equal labels (n,), however short."""
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
    """Turns cuts (first sample, sample after the last, label) into segments, each change at its mean position.

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
        # Relative to one of them, so that all times shifted give the same result, shifted, to the last bit.
        change = int(edges[middle]) + round(float(np.average(places[allowed] - edges[middle], weights=weights)))
        segments.append(Segment(begin, change, before))
        begin = change
    return [*segments, Segment(begin, int(edges[-1]), cuts[-1][2])]
