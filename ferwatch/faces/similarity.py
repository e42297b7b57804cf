"""Similarity of aligned faces: histograms of oriented gradients, projected to the directions in which people differ."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.records import FACE_SIZE
from ferwatch.utils.files import weights_folder

SMOOTHING_SIGMA = 0.8
"""Pixels of the crop: standard deviation of the Gaussian blur before gradients are taken."""
GRADIENT_SOFTNESS = 20.0
"""Gradient at which compression halves its weight, so that one strong edge does not outweigh the rest."""
ORIENTATIONS = 8
"""Directions of the gradient that are counted."""
CELL_SIDE = 6
"""Pixels between the centres of two cells; each cell averages a square of twice this side."""
COMPONENTS = 128
"""Length of a descriptor."""
WHITENING_FLOOR = 0.1
"""Added to the standard deviation of each component, in units of the largest, before it is scaled to 1: small
components are mostly noise."""
PROJECTION_FILE = "face-descriptor.npz"
"""File in the folder of the weights that holds the result of `fit_projection`."""


Descriptor = NDArray[np.float32]
"""(128,) float32, of length 1."""


def gradient_descriptors(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the descriptors (N, 128) of aligned crops (N, 48, 48) uint8 gray."""
    mean, projection = _projection()
    # Not @: BLAS would share so small a product between threads, which then wait for the next one with busy loops.
    return _unit(np.einsum("ij,nj->ni", projection, _histograms(crops) - mean))


def gradient_descriptor(crop: NDArray[np.uint8]) -> Descriptor:
    """Return the descriptor of an aligned (48, 48) uint8 gray crop."""
    descriptor: Descriptor = gradient_descriptors(crop[np.newaxis])[0]
    return descriptor


def similarity(a: Iterable[Descriptor], b: Iterable[Descriptor]) -> float:
    """Return the largest cosine, -1 to 1, between a descriptor of one face and a descriptor of another.

    For single pictures, 1% of the pairs of different people exceed 0.39 and 0.1% exceed 0.52; of the pairs of one
    person within one clip, 95% and 88% do.
    """
    return float(np.max(np.stack([*a]) @ np.stack([*b]).T))


def fit_projection(crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float16]]:
    """Return "mean" (512,) and "projection" (128, 512), the whitened principal components of crops (N, 48, 48).

    The crops should show many people. `benchmarks/identity.py` writes the result to PROJECTION_FILE.
    """
    histograms = _histograms(crops)
    mean = histograms.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov((histograms - mean).T))
    deviations = np.sqrt(variances[::-1][:COMPONENTS])
    projection = directions[:, ::-1][:, :COMPONENTS] / (deviations + WHITENING_FLOOR * deviations[0])
    return {"mean": mean.astype(np.float16), "projection": projection.T.astype(np.float16)}


@lru_cache(maxsize=1)
def _projection() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with np.load(weights_folder() / PROJECTION_FILE) as arrays:
        return arrays["mean"].astype(np.float32), arrays["projection"].astype(np.float32)


def _histograms(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return unit vectors (N, 512): square roots of the histograms of oriented gradients in 8x8 cells.

    The histograms are those of Dalal and Triggs (2005).
    """
    across, down = np.empty((2, *crops.shape), np.float32)
    for number, crop in enumerate(crops):
        smooth = cv2.GaussianBlur(crop.astype(np.float32), (0, 0), SMOOTHING_SIGMA)
        across[number], down[number] = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    flat = (-1, FACE_SIZE)
    strength, direction = (
        values.reshape(crops.shape) for values in cv2.cartToPolar(across.reshape(flat), down.reshape(flat))
    )
    strength /= GRADIENT_SOFTNESS + strength
    direction *= ORIENTATIONS / (2 * np.pi)
    averaging = _cell_averages()
    cells = np.empty((len(crops), ORIENTATIONS, *2 * averaging.shape[:1]), np.float32)
    for orientation in range(ORIENTATIONS):
        # Each gradient is shared between the two nearest directions, in proportion to its distance from them.
        distance = np.abs(direction - orientation)
        weights = np.maximum(1 - np.minimum(distance, ORIENTATIONS - distance), 0)
        cells[:, orientation] = averaging @ (weights * strength) @ averaging.T
    return _unit(np.sqrt(cells.reshape(len(crops), -1)))


@lru_cache(maxsize=1)
def _cell_averages() -> NDArray[np.float32]:
    """Return the matrix (8, 48) that averages pixels along one axis into overlapping cells."""
    rows = []
    for start in range(-CELL_SIDE // 2, FACE_SIZE - CELL_SIDE, CELL_SIDE):
        row = np.zeros(FACE_SIZE, np.float32)
        row[max(start, 0) : start + 2 * CELL_SIDE] = 1
        rows.append(row / row.sum())
    return np.stack(rows)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors (N, D) divided by their lengths."""
    unit: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return unit
