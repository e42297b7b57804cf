"""Fits the calibration of a head's probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from ferwatch.models.calibration import Calibration

SCALE_PENALTY, OFFSET_PENALTY = 3e-3, 3e-4
"""Weights of the squared logarithms of the scales and of the squared offsets, beside the mean cross-entropy."""
FOLDS = 5
"""Number of parts of which each is calibrated by the others."""

Fit = Callable[[NDArray[np.float64], NDArray[np.int64]], Calibration]
"""Function that fits a calibration to logits (N, 7) and labels (N,)."""


def fit_temperature(
    logits: NDArray[np.float64], labels: NDArray[np.int64], offsets: Sequence[float] = ()
) -> Calibration:
    """Return the calibration with these offsets whose temperature gives the least cross-entropy."""
    shifted = logits + np.array(offsets) if len(offsets) else logits

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
        log_scales, offsets, log_common = values[:classes], values[classes:-1], values[-1]
        scales = np.exp(log_scales + log_common)
        logarithms = log_softmax(logits * scales + offsets, axis=1)
        penalty = SCALE_PENALTY * np.square(log_scales).sum() + OFFSET_PENALTY * np.square(offsets).sum()
        slopes = weights[:, None] * softmax(logits * scales + offsets, axis=1)
        slopes[rows, labels] -= weights
        by_scale = (slopes * logits).sum(axis=0) * scales
        gradient = [
            by_scale + 2 * SCALE_PENALTY * log_scales,
            slopes.sum(axis=0) + 2 * OFFSET_PENALTY * offsets,
            [by_scale.sum()],
        ]
        return float(-weights @ logarithms[rows, labels] + penalty), np.concatenate(gradient)

    values = minimize(loss, np.zeros(2 * classes + 1), jac=True, method="L-BFGS-B").x
    log_scales, offsets, log_common = values[:classes], values[classes:-1], values[-1]
    mean = log_scales.mean()
    temperature = float(np.exp(-log_common - mean))
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
        labelled: (N,) the rows whose label may be used in fitting; None: all.
    """
    fold = np.arange(len(labels)) % FOLDS
    usable = np.ones(len(labels), bool) if labelled is None else labelled
    probabilities = np.empty_like(logits)
    for number in range(FOLDS):
        part = fold == number
        others = ~part & usable
        probabilities[part] = fit(logits[others], labels[others]).probabilities(logits[part])
    return probabilities
