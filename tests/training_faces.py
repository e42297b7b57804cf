"""Small data sets that a network can learn."""

from __future__ import annotations

import numpy as np
import torch

from ferwatch.evaluation.fer2013 import VOTE_OF_EMOTION, FerSplit


def some_faces(n: int, seed: int = 0) -> FerSplit:
    """Noise with a bar whose height on the face says the label: something a small network learns at once."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 7
    images = rng.integers(60, 120, (n, 48, 48))
    for image, label in zip(images, labels, strict=True):
        image[3 + 6 * label : 8 + 6 * label, 6:42] += 120
    return FerSplit(images.astype(np.uint8), labels, rng.integers(0, 4, (n, 9)).astype(np.float32))


def with_votes_for_the_next(faces: FerSplit) -> FerSplit:
    """The faces, and ten votes each for the emotion after the label."""
    votes = np.zeros((len(faces), 9), np.float32)
    votes[np.arange(len(faces)), np.array(VOTE_OF_EMOTION)[(faces.labels + 1) % 7]] = 10
    return FerSplit(faces.images, faces.labels, votes)


def small_input(faces: FerSplit) -> torch.Tensor:
    x = torch.from_numpy(faces.images).unsqueeze(1) / 255
    return torch.nn.functional.interpolate(x, size=(32, 32), mode="bilinear", antialias=True)
