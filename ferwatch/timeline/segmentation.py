"""Cuts a row of samples into pieces of one label each. Times are whole milliseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Piece:
    """A stretch of time under one label."""

    start: int  # milliseconds
    end: int
    label: int


def segment(
    edges: NDArray[np.int64], probabilities: NDArray[np.float64], price: float, minimum: int, interval: int
) -> list[Piece]:
    """The pieces with the largest sum of (probability of the label x time) - price x changes, none under `minimum`.

    Nothing where all of it is shorter than `minimum`. The optimum is exact: optimal partitioning (Jackson et al. 2005)
    with a minimum length, in a time that grows with samples x labels.

    edges: (n + 1,) sample i stands for the time from edge i to edge i + 1. probabilities: (n, labels). price:
    milliseconds of certainty that a change has to be worth, besides half a sample. interval: the usual time between
    samples.
    """
    n, labels = probabilities.shape
    price += interval / 2
    # A sample beside missing ones stands for a longer time, but not for all of it.
    trusted = np.minimum(np.diff(edges), 2 * interval)
    # gained[i, k]: what label k gains over the samples before i.
    gained = np.vstack([np.zeros(labels), np.cumsum(probabilities * trusted[:, None], axis=0)])

    # best[i]: of all ways to cut the samples before i. Their last piece starts at some sample j, far enough back, and
    # its label k adds gained[i, k] - gained[j, k]. opened[k]: the largest best[j] - gained[j, k] so far; since[k]: its
    # j. Plain lists, because at eight labels they are several times faster than arrays.
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
        best[i] = total - price
    if best[n] == -math.inf:
        return []
    cuts = []
    i = n
    while i > 0:
        cuts.append((start[i], i, label[i]))
        i = start[i]
    return _place_changes(cuts[::-1], edges, gained, minimum, interval)


def runs(edges: NDArray[np.int64], labels: NDArray[np.intp]) -> list[Piece]:
    """The runs of equal labels (n,), however short."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1])
    ends = np.append(starts[1:], len(labels))
    pieces = [Piece(int(edges[i]), int(edges[j]), int(labels[i])) for i, j in zip(starts, ends, strict=True)]
    return [piece for piece in pieces if piece.end > piece.start]


def _place_changes(
    cuts: list[tuple[int, int, int]],
    edges: NDArray[np.int64],
    gained: NDArray[np.float64],
    minimum: int,
    interval: int,
) -> list[Piece]:
    """Turns cuts (first sample, sample after the last, label) into pieces, each change at its mean position.

    The best position alone is arbitrary where samples at a change are missing or show a third label. Positions are
    weighted by how well they explain the samples: a usual sample on the wrong side of the change makes one less likely
    by a factor of exp(4 x the difference of its two probabilities). No piece gets shorter than `minimum` or loses its
    central sample.
    """
    pieces = []
    begin = int(edges[0])
    for (first, middle, before), (_, last, after) in pairwise(cuts):
        samples = np.arange((first + middle - 1) // 2 + 1, (middle + last - 1) // 2 + 1)
        places = edges[samples]
        allowed = (places - begin >= minimum) & (edges[last] - places >= minimum)
        fit = (gained[samples, before] - gained[samples, after])[allowed]
        weights = np.exp(4 * (fit - fit.max()) / interval)
        # Relative to one of them, so that all times shifted give the same result, shifted, to the last bit.
        change = int(edges[middle]) + round(float(np.average(places[allowed] - edges[middle], weights=weights)))
        pieces.append(Piece(begin, change, before))
        begin = change
    return [*pieces, Piece(begin, int(edges[-1]), cuts[-1][2])]
