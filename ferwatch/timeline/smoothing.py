"""Smoothing of probabilities over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 0.2
"""Seconds of certainty that an interruption of one emotion by another has to weigh, besides one sample."""


def _smooth(
    times: NDArray[np.int64], weights: NDArray[np.int64], raw: NDArray[np.float64], deviation: float
) -> NDArray[np.float64]:
    """Each row (n, 7) averaged with its neighbours in time under a Gaussian; its standard deviation in milliseconds."""
    if not deviation:
        return raw
    reach = 3 * deviation
    furthest = int((np.searchsorted(times, times + reach, side="right") - np.arange(len(times))).max()) - 1
    weights = np.maximum(weights, 1)  # samples of one and the same millisecond
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
