"""Which part of a face moved the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PATCH, STRIDE = 12, 4
"""Pixels of the 48x48 face: an eye or half a mouth, covered 4 pixels further each time."""


@dataclass(frozen=True)
class Occlusion:
    """What covering each part of a face does to its probabilities."""

    change: NDArray[np.float64]
    """(7, 48, 48): the mean change of each class's probability over all the patches that cover a pixel."""
    covered: NDArray[np.uint8]
    """(48, 48): the face under the patch that costs the top class most."""
    probabilities: NDArray[np.float64]
    """(7,): the answer for that face."""


def occlude(classify: Callable[[NDArray[np.uint8]], NDArray[np.float64]], crop: NDArray[np.uint8]) -> Occlusion:
    """Slides a patch of the face's mean gray over a (48, 48) face and asks again at every place.

    Occlusion sensitivity after Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901.
    """
    side = crop.shape[0]
    corners = range(STRIDE - PATCH, side, STRIDE)  # from one column inside the picture to the last
    masks = np.zeros((len(corners) ** 2, side, side), bool)
    for mask, (y, x) in zip(masks, ((y, x) for y in corners for x in corners), strict=True):
        mask[max(y, 0) : y + PATCH, max(x, 0) : x + PATCH] = True
    covered = np.where(masks, np.uint8(round(crop.mean())), crop)
    before = classify(crop[None])[0]
    after = classify(covered)
    change = np.einsum("nc,nyx->cyx", after - before, masks) / masks.sum(axis=0)
    worst = int(after[:, before.argmax()].argmin())
    return Occlusion(change, covered[worst], after[worst])
