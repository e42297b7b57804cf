"""The figures against worked examples and against scikit-learn's definitions done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from ferwatch.evaluation.metrics import calibration_error, cross_fit_probabilities, fit_temperature, reliability, score


def sure_of(answers: list[int], confidence: float = 0.7) -> np.ndarray:
    rows = np.full((len(answers), 7), (1 - confidence) / 6)
    rows[np.arange(len(answers)), answers] = confidence
    return rows


def test_scores_of_a_worked_example() -> None:
    labels = np.array([0, 0, 3, 3, 3, 6])
    scores = score(sure_of([0, 3, 3, 3, 6, 6]), labels)
    assert (scores.n, scores.correct, scores.accuracy) == (6, 4, pytest.approx(4 / 6))
    # F1 of angry: precision 1, recall 1/2; happy: 2/3, 2/3; neutral: 1/2, 1; the four classes without a face: 0
    assert scores.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 2 / 3) / 7)
    assert scores.per_class["happy"] == [2, 3]
    assert scores.per_class["fear"] == [0, 0]
    assert scores.confusion[0] == [1, 0, 0, 1, 0, 0, 0]
    assert scores.loss == pytest.approx(-(4 * np.log(0.7) + 2 * np.log(0.05)) / 6)


def test_calibration_error_of_a_worked_example() -> None:
    right = sure_of([1] * 10, 0.9)  # 9 of 10 right at confidence 0.9: no error
    labels = np.array([1] * 9 + [2])
    assert calibration_error(right, labels) == pytest.approx(0, abs=1e-9)
    both = np.concatenate([right, sure_of([1] * 30, 0.5)])  # 30 answers at 0.5, all right: 0.5 off, three quarters
    assert calibration_error(both, np.concatenate([labels, [1] * 30])) == pytest.approx(0.75 * 0.5)


def test_every_confidence_falls_into_one_of_fifteen_bins() -> None:
    counts, _, _ = reliability(
        np.concatenate([sure_of([0], 1.0), sure_of([0], 1 / 7), sure_of([0], 14 / 15)]), np.zeros(3)
    )
    assert counts.sum() == 3
    assert counts[14] == 1


def test_the_temperature_undoes_an_overconfidence_that_is_known() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (20_000, 7))
    chances = softmax(logits, axis=1)
    labels = (chances.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1).clip(max=6)
    assert fit_temperature(logits * 2.5, labels) == pytest.approx(2.5, rel=0.05)
    probabilities = cross_fit_probabilities(logits * 2.5, labels)
    assert (
        calibration_error(probabilities, labels)
        < 0.015
        < 0.1
        < calibration_error(softmax(logits * 2.5, axis=1), labels)
    )


def test_a_half_is_not_calibrated_by_its_own_labels() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, (200, 7)), rng.integers(0, 7, 200)
    changed = labels.copy()
    changed[::2] = logits[::2].argmax(axis=1)  # the even half's labels now please the network
    before, after = cross_fit_probabilities(logits, labels), cross_fit_probabilities(logits, changed)
    assert np.allclose(before[::2], after[::2])
    assert not np.allclose(before[1::2], after[1::2])
