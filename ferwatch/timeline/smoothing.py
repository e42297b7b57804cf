"""Smoothing of probabilities over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMOOTHING_SECONDS = 0.2
"""Default smoothing in seconds: twice the kernel's standard deviation, and the certainty that interrupts an emotion."""

STANDING_MS = 500
"""Milliseconds: a picture shown for longer is smoothed as if it had been sampled repeatedly while it was shown."""

_STANDING_STEP_MS = 100
"""Milliseconds between these repeated samples."""
_MAX_STANDING_STEPS = 200
"""Largest number of repeated samples of one picture."""


def smooth(
    times: NDArray[np.int64],
    weights: NDArray[np.int64],
    raw: NDArray[np.float64],
    deviation: float,
    shown: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Return (n, 7) probabilities averaged over their neighbours in time with a Gaussian kernel.

    Args:
        times: (n,) milliseconds, ascending.
        weights: (n,) milliseconds that each sample stands for.
        raw: (n, 7) probabilities.
        deviation: standard deviation of the kernel in milliseconds; 0 leaves the rows as they are.
        shown: (n,) milliseconds for which each picture is shown; 0 where it is not known.
    """
    if not deviation:
        return raw
    if shown is None or shown.max() <= STANDING_MS:
        return _smooth(times.astype(np.float64), weights, raw, deviation)
    steps = np.where(shown > STANDING_MS, np.minimum(shown // _STANDING_STEP_MS, _MAX_STANDING_STEPS), 1)
    first = np.cumsum(steps) - steps
    row = np.repeat(np.arange(len(times)), steps)
    step = np.arange(len(row)) - first[row]
    stands = steps[row] > 1
    at = times[row] + np.where(stands, (step + 0.5) * shown[row] / steps[row], 0)
    weight = np.where(stands, shown[row] // steps[row], weights[row])
    smoothed = _smooth(at, weight, raw[row], deviation)
    mean: NDArray[np.float64] = np.add.reduceat(smoothed, first) / steps[:, None]
    return mean


def _smooth(
    times: NDArray[np.float64], weights: NDArray[np.int64], raw: NDArray[np.float64], deviation: float
) -> NDArray[np.float64]:
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
