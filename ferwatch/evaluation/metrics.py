"""Computes metrics of a classifier's answers: accuracy, macro-F1, calibration error, and agreement with people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

from ferwatch.evaluation.fer2013 import VOTE_OF_EMOTION, crowd_majority
from ferwatch.records import EMOTIONS


@dataclass(frozen=True)
class Scores:
    """Scores of one model on one split, against one label per image."""

    n: int
    """Number of images."""
    correct: int
    """Number of images whose answer is the label."""
    accuracy: float
    """Share of images whose answer is the label, 0 to 1."""
    macro_f1: float
    """Mean of the F1 of all classes, 0 to 1."""
    loss: float
    """Mean cross-entropy of the calibrated probabilities, in nats."""
    ece: float
    """Expected calibration error over 15 bins of confidence (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""
    per_class: dict[str, list[int]]
    """Emotion -> [number of its images that are answered right, number of its images]."""
    confusion: list[list[int]]
    """(7, 7) number of images by label (rows) and answer (columns)."""

    @property
    def macro_recall(self) -> float:
        """Mean recall of the emotions that occur, 0 to 1."""
        return float(np.mean([correct / n for correct, n in self.per_class.values() if n > 0]))


@dataclass(frozen=True)
class CrowdScores:
    """Agreement of a model's answers with the ten people who labelled each image for FER+."""

    n: int
    """Number of images on which one of the seven emotions has more votes than any other choice."""
    agreement: float
    """Share of these images on which the model's answer is the crowd's majority, 0 to 1."""
    macro_recall: float
    """Mean of the agreement over the majority's emotions, each of equal weight, 0 to 1."""
    jsd_bits: float
    """Mean Jensen-Shannon divergence, in bits, between the model's probabilities and the votes for the seven."""
    ece: float
    """Calibration error of the probabilities against the crowd's majority, over 15 bins."""
    confusion: list[list[int]]
    """(7, 7) number of images by the crowd's majority (rows) and answer (columns)."""


def score(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Scores:
    """Return the scores of probabilities (N, 7) against labels (N,)."""
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


def score_crowd(probabilities: NDArray[np.float64], votes: NDArray[np.float32]) -> CrowdScores:
    """Return the scores of probabilities (N, 7) against FER+'s votes (N, 9)."""
    majority, has_majority = crowd_majority(votes)
    scores = score(probabilities[has_majority], majority[has_majority])
    seven = votes[:, VOTE_OF_EMOTION]
    voted = seven.sum(axis=1) > 0
    shares = seven[voted] / seven[voted].sum(axis=1, keepdims=True)
    return CrowdScores(
        n=scores.n,
        agreement=scores.accuracy,
        macro_recall=scores.macro_recall,
        jsd_bits=float(jensen_shannon(probabilities[voted], shares).mean()),
        ece=scores.ece,
        confusion=scores.confusion,
    )


def reliability(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 15
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return count, mean confidence and accuracy (bins,) of the answers by confidence; NaN in an empty bin."""
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
    """Return the mean distance between confidence and accuracy over 15 bins, weighted by their counts."""
    counts, confidence, accuracy = reliability(probabilities, labels)
    return float(np.nansum(counts * np.abs(confidence - accuracy)) / counts.sum())


def jensen_shannon(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Jensen-Shannon divergence in bits of (..., K) distributions, from 0 (identical) to 1 (disjoint).

    Lin 1991, https://doi.org/10.1109/18.61115.
    """
    return np.asarray(jensenshannon(p, q, base=2, axis=-1) ** 2)
