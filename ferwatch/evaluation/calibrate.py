"""Fits the calibration of a head's probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

from ferwatch.models.calibration import Calibration

SCALE_PENALTY, OFFSET_PENALTY = 3e-3, 3e-4
"""Weights, beside the mean cross-entropy, of the squared distances of the logarithms of the scales from their mean, and
of the squared offsets."""
FOLDS = 5
"""Number of folds in cross-fitting."""

Fit = Callable[[NDArray[np.float64], NDArray[np.int64]], Calibration]
"""Function that fits a calibration to logits (N, 7) and labels (N,)."""


def fit_temperature(
    logits: NDArray[np.float64], labels: NDArray[np.int64], offsets: Sequence[float] = ()
) -> Calibration:
    """Return the calibration with these offsets whose temperature gives the least cross-entropy."""
    shifted = Calibration(offsets=tuple(offsets)).calibrated_logits(logits)

    def loss(log_t: float) -> float:
        return float(-log_softmax(shifted / np.exp(log_t), axis=1)[np.arange(len(labels)), labels].mean())

    return Calibration(float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)), tuple(offsets))


def fit_vector_scaling(logits: NDArray[np.float64], labels: NDArray[np.int64], rarity: float = 0.0) -> Calibration:
    """Return the calibration with a scale and an offset for each emotion that gives the least cross-entropy.

    Args:
        rarity: each label weighs as much as its emotion's share of all labels to the power of minus this, so that
            rare emotions are answered more often.
    """
    n, classes = logits.shape
    counts = np.bincount(labels, minlength=classes)
    weights = np.maximum(counts, 1.0)[labels] ** -rarity
    weights /= weights.sum()
    rows = np.arange(n)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_scales, offsets = np.split(values, 2)
        scales, uneven = np.exp(log_scales), log_scales - log_scales.mean()
        logarithms = log_softmax(logits * scales + offsets, axis=1)
        penalty = SCALE_PENALTY * np.square(uneven).sum() + OFFSET_PENALTY * np.square(offsets).sum()
        slopes = weights[:, None] * np.exp(logarithms)
        slopes[rows, labels] -= weights
        by_scale = (slopes * logits).sum(axis=0) * scales + 2 * SCALE_PENALTY * uneven
        by_offset = slopes.sum(axis=0) + 2 * OFFSET_PENALTY * offsets
        return float(-weights @ logarithms[rows, labels] + penalty), np.concatenate([by_scale, by_offset])

    log_scales, offsets = np.split(minimize(loss, np.zeros(2 * classes), jac=True, method="L-BFGS-B").x, 2)
    mean = log_scales.mean()
    temperature = float(np.exp(-mean))
    return Calibration(
        temperature,
        tuple((temperature * offsets).tolist()),
        tuple(np.exp(log_scales - mean).tolist()),
    )


def cross_fit_probabilities(
    logits: NDArray[np.float64],
    labels: NDArray[np.int64],
    fit: Fit = fit_temperature,
    labelled: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return probabilities (N, 7) of which each fifth is calibrated by what was fitted on the other four.

    Args:
        labelled: (N,) marks the rows whose label is valid, such as images with a majority; nothing is fitted on the
            others, which still get probabilities. None: all are.
    """
    fold = np.arange(len(labels)) % FOLDS
    usable = np.ones(len(labels), bool) if labelled is None else labelled
    probabilities = np.empty_like(logits)
    for number in range(FOLDS):
        part = fold == number
        others = ~part & usable
        probabilities[part] = fit(logits[others], labels[others]).probabilities(logits[part])
    return probabilities
