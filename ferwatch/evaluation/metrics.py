"""What a classifier's answers are worth: accuracy, macro-F1, calibration error, and the temperature that mends it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from ferwatch.records import EMOTIONS


@dataclass(frozen=True)
class Scores:
    """The figures of one model on one split."""

    n: int
    correct: int
    accuracy: float
    macro_f1: float
    loss: float
    """Mean cross-entropy of the calibrated probabilities, in nats."""
    ece: float
    """Expected calibration error over 15 bins of confidence (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""
    per_class: dict[str, list[int]]
    """emotion: [correct, n]."""
    confusion: list[list[int]]
    """Rows: the label; columns: the answer."""


def score(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Scores:
    """(N, 7) probabilities and (N,) labels -> their figures."""
    n, classes = len(labels), len(EMOTIONS)
    answers = probabilities.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    hits = np.diag(confusion)
    f1 = 2 * hits / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1)
    return Scores(
        n=n,
        correct=int(hits.sum()),
        accuracy=float(hits.sum() / n),
        macro_f1=float(f1.mean()),
        loss=float(-np.log(np.maximum(probabilities[np.arange(n), labels], 1e-12)).mean()),
        ece=calibration_error(probabilities, labels),
        per_class={e: [int(hits[i]), int(confusion[i].sum())] for i, e in enumerate(EMOTIONS)},
        confusion=confusion.tolist(),
    )


def reliability(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 15
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """(bins,) counts, mean confidences and accuracies of the answers by their confidence; NaN in an empty bin."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(of, minlength=bins)
    with np.errstate(invalid="ignore"):
        return (
            counts,
            np.bincount(of, confidence, minlength=bins) / counts,
            np.bincount(of, right, minlength=bins) / counts,
        )


def calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean distance between confidence and accuracy over the bins, weighted by their counts."""
    counts, confidence, accuracy = reliability(probabilities, labels)
    return float(np.nansum(counts * np.abs(confidence - accuracy)) / counts.sum())


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The T for which softmax(logits / T) has the least cross-entropy (Guo et al. 2017)."""

    def loss(log_t: float) -> float:
        return float(-log_softmax(logits / np.exp(log_t), axis=1)[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


def cross_fit_probabilities(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, 7) probabilities of which each half is calibrated by a temperature fitted on the other half."""
    even = np.arange(len(labels)) % 2 == 0
    probabilities = np.empty_like(logits)
    for half in (even, ~even):
        probabilities[half] = softmax(logits[half] / fit_temperature(logits[~half], labels[~half]), axis=1)
    return probabilities
