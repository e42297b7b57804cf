"""Calibration: turns the logits of a head into probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Calibration:
    """Turns the logits of one head into probabilities."""

    temperature: float = 1.0
    """Divisor of the logits before the softmax (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""
    offsets: tuple[float, ...] = ()
    """Added to the logits first, one for each emotion: a part of the logarithm of how rare it was in training, so that
    rare emotions are predicted more often (Menon et al. 2021, https://arxiv.org/abs/2007.07314). Empty: none."""

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 7) logits -> (N, 7) probabilities; each row sums to 1."""
        shifted = logits + np.array(self.offsets) if self.offsets else logits
        return softmax(shifted / self.temperature)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, classes) logits -> (N, classes) probabilities; each row sums to 1."""
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exp / exp.sum(axis=1, keepdims=True)
    return probabilities


def blend(fer2013: NDArray[np.float64], crowd: NDArray[np.float64], crowd_weight: float) -> NDArray[np.float64]:
    """(N, 7) probabilities of both heads -> their mean, the crowd head's weighted by `crowd_weight`, 0 to 1."""
    return crowd_weight * crowd + (1 - crowd_weight) * fer2013
