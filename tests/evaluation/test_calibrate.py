"""Calibrations are fitted: temperatures, and a scale and an offset for each emotion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from ferwatch.evaluation.calibrate import cross_fit_probabilities, fit_temperature, fit_vector_scaling
from ferwatch.evaluation.metrics import calibration_error


def drawn_labels(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (chances.cumsum(axis=1) < rng.random((len(chances), 1))).sum(axis=1).clip(max=6)


def test_the_temperature_undoes_an_overconfidence_that_is_known() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (20_000, 7))
    chances = softmax(logits, axis=1)
    labels = drawn_labels(chances, rng)
    assert fit_temperature(logits * 2.5, labels).temperature == pytest.approx(2.5, rel=0.05)
    probabilities = cross_fit_probabilities(logits * 2.5, labels)
    assert (
        calibration_error(probabilities, labels)
        < 0.015
        < 0.1
        < calibration_error(softmax(logits * 2.5, axis=1), labels)
    )


def test_a_part_is_not_calibrated_by_its_own_labels() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, (200, 7)), rng.integers(0, 7, 200)
    changed = labels.copy()
    changed[::5] = logits[::5].argmax(axis=1)  # the labels of a part now please the network
    before, after = cross_fit_probabilities(logits, labels), cross_fit_probabilities(logits, changed)
    assert np.allclose(before[::5], after[::5])
    assert not np.allclose(before[1::5], after[1::5])


def test_vector_scaling_finds_the_scales_and_offsets() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, (40_000, 7))
    labels = drawn_labels(softmax(true, axis=1), rng)
    scales, offsets = np.array([1, 1, 2, 1, 1, 0.5, 1]), np.array([0, 1, 0, -1, 0, 0, 0])
    logits = (true - offsets) / scales
    calibration = fit_vector_scaling(logits, labels)
    assert np.prod(calibration.scales) == pytest.approx(1)
    found = np.array(calibration.scales) / calibration.temperature
    assert found == pytest.approx(scales, rel=0.1)
    assert np.abs(calibration.probabilities(logits) - softmax(true, axis=1)).max() < 0.05
    alone = fit_temperature(logits, labels).probabilities(logits)
    assert np.abs(alone - softmax(true, axis=1)).max() > 0.2


def test_with_rarity_rare_emotions_are_answered_more_often() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1, (20_000, 7)) + np.array([0, -3, 0, 2, 0, 0, 1])
    labels = drawn_labels(softmax(logits, axis=1), rng)
    answers = [fit_vector_scaling(logits, labels, rarity).probabilities(logits).argmax(1) for rarity in (0, 0.3, 0.6)]
    rare = [int((answer == 1).sum()) for answer in answers]
    assert rare[0] < rare[1] < rare[2]
    right = [float((answer == labels).mean()) for answer in answers]
    assert right[0] > right[2]
