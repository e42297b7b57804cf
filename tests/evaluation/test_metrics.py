"""The figures against worked examples and against scikit-learn's definitions done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ferwatch.evaluation.metrics import calibration_error, reliability, score


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
