"""Converts 48x48 gray crops to a network's input, in training as in the analysis of videos."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ferwatch.models.registry import InputSpec


def preprocess(faces: Tensor, to: InputSpec) -> Tensor:
    """(N, h, w) gray faces, 0 to 255 in any dtype -> (N, channels, size, size) float32."""
    x = faces.unsqueeze(1).float() / 255
    if x.shape[-1] != to.size:
        x = F.interpolate(x, size=(to.size, to.size), mode="bilinear", align_corners=False, antialias=True)
    return normalize(x, to.normalization).expand(-1, to.channels, -1, -1)


def normalize(x: Tensor, normalization: str) -> Tensor:
    """(N, 1, h, w), 0 to 1 -> the same shape, each image normalized by itself as InputSpec says."""
    if normalization == "unit":
        return x
    mean = x.mean(dim=(2, 3), keepdim=True)
    deviation = x.std(dim=(2, 3), keepdim=True)
    return (x - mean) / (deviation + 0.03)  # 0.03: about 8 gray levels, so that a blank crop's noise is not blown up
