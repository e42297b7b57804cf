"""Smoothing of probabilities over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMOOTHING_SECONDS = 0.2
"""The default smoothing: how many seconds of certainty an interruption of an emotion has to weigh, besides a sample."""


def smooth(
    times: NDArray[np.int64], weights: NDArray[np.int64], raw: NDArray[np.float64], deviation: float
) -> NDArray[np.float64]:
    """(n, 7) probabilities averaged over their neighbours in time under a Gaussian kernel.

    Args:
        times: (n,) milliseconds, ascending.
        weights: (n,) milliseconds that each sample stands for.
        raw: (n, 7) probabilities.
        deviation: standard deviation of the kernel in milliseconds; 0 leaves the rows as they are.
    """
    if not deviation:
        return raw
    reach = 3 * deviation
    furthest = int((np.searchsorted(times, times + reach, side="right") - np.arange(len(times))).max()) - 1
    weights = np.maximum(weights, 1)  # samples of the same millisecond have no width
    weight = weights.astype(np.float64)
    total = raw * weight[:, None]
    for step in range(1, furthest + 1):
        away = (times[step:] - times[:-step]) / deviation
        kernel = np.where(away <= 3, np.exp(-(away**2) / 2), 0)
        for here, there in ((slice(None, -step), slice(step, None)), (slice(step, None), slice(None, -step))):
            share = kernel * weights[there]
            total[here] += share[:, None] * raw[there]
            weight[here] += share
    return total / weight[:, None]
