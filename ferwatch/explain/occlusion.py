"""Computes occlusion sensitivity: which parts of a face a classifier's answer depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PATCH_PIXELS = 12
"""Side of the patch that covers the 48x48 face: about an eye, or half a mouth."""
STRIDE_PIXELS = 4
"""Distance between neighbouring positions of the patch."""


@dataclass(frozen=True)
class Occlusion:
    """Changes of a face's probabilities when parts of it are covered."""

    change: NDArray[np.float64]
    """(7, 48, 48) change of each class's probability, averaged over all patches that cover a pixel."""
    covered: NDArray[np.uint8]
    """(48, 48) gray face with the patch where it lowers the top class most."""
    probabilities: NDArray[np.float64]
    """(7,) probabilities of the `covered` face."""


def occlude(classify: Callable[[NDArray[np.uint8]], NDArray[np.float64]], crop: NDArray[np.uint8]) -> Occlusion:
    """Return how a face's probabilities change as a patch of its mean gray covers it at every position.

    The method is that of Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901.

    Args:
        classify: maps (N, 48, 48) uint8 gray crops to (N, 7) probabilities.
        crop: (48, 48) uint8 gray.
    """
    side = crop.shape[0]
    # The patch moves from a position where only one stride of it covers the picture to the last row and column.
    corners = range(STRIDE_PIXELS - PATCH_PIXELS, side, STRIDE_PIXELS)
    masks = np.zeros((len(corners) ** 2, side, side), bool)
    for mask, (y, x) in zip(masks, ((y, x) for y in corners for x in corners), strict=True):
        mask[max(y, 0) : y + PATCH_PIXELS, max(x, 0) : x + PATCH_PIXELS] = True
    covered = np.where(masks, np.uint8(round(crop.mean())), crop)
    before = classify(crop[None])[0]
    after = classify(covered)
    change = np.einsum("nc,nyx->cyx", after - before, masks) / masks.sum(axis=0)
    worst = int(after[:, before.argmax()].argmin())
    return Occlusion(change, covered[worst], after[worst])
