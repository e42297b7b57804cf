"""Calibration: turns the logits of a head into probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Calibration:
    """Turns the logits of one head into probabilities: softmax((logits * scales + offsets) / temperature).

    A temperature alone and, with a scale and an offset for each emotion, vector scaling are both from Guo et al. 2017,
    https://arxiv.org/abs/1706.04599.
    """

    temperature: float = 1.0
    offsets: tuple[float, ...] = ()
    """One for each emotion; empty: none. Without scales, a part of the logarithm of how rare the emotion was in
    training, so that rare emotions are predicted more often (Menon et al. 2021, https://arxiv.org/abs/2007.07314)."""
    scales: tuple[float, ...] = ()
    """One for each emotion, of which the geometric mean is 1; empty: none."""

    def calibrated_logits(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 7) logits -> (N, 7) logits of which the softmax is calibrated."""
        scaled = logits * np.array(self.scales) if self.scales else logits
        shifted = scaled + np.array(self.offsets) if self.offsets else scaled
        return shifted / self.temperature

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 7) logits -> (N, 7) probabilities; each row sums to 1."""
        return softmax(self.calibrated_logits(logits))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, classes) logits -> (N, classes) probabilities; each row sums to 1."""
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exp / exp.sum(axis=1, keepdims=True)
    return probabilities


@dataclass(frozen=True)
class Blend:
    """Makes a video's probabilities from those of the heads.

    They are softmax((log(weighted mean of the heads) + offsets) / temperature); a head with weight 0 plays no part.
    """

    crowd_weight: float = 1.0
    """Share of the crowd head's probabilities, 0 to 1; the rest is the fer2013 head's."""
    temperature: float = 1.0
    """Below 1 where both heads are used: a mean of two is less sure of itself than it is right."""
    offsets: tuple[float, ...] = ()
    """One for each emotion, added before the division; empty: none. Below 0 for an emotion that is answered too often
    in videos."""

    def probabilities(self, fer2013: NDArray[np.float64], crowd: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 7) probabilities of both heads -> (N, 7) probabilities; each row sums to 1."""
        if self == Blend():
            return crowd
        return Calibration(self.temperature, self.offsets).probabilities(self.log_mean(fer2013, crowd))

    def log_mean(self, fer2013: NDArray[np.float64], crowd: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 7) probabilities of both heads -> (N, 7) logarithms of their weighted mean."""
        mean = self.crowd_weight * crowd + (1 - self.crowd_weight) * fer2013
        logarithms: NDArray[np.float64] = np.log(np.maximum(mean, 1e-12))
        return logarithms
