"""The one way from 48x48 gray crops to a network's input, for training and for video alike."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ferwatch.models.registry import Input as Input


def prepare(faces: Tensor, to: Input) -> Tensor:
    """(N, h, w) gray faces, 0 to 255 in any dtype -> (N, channels, side, side) float32."""
    x = faces.unsqueeze(1).float() / 255
    if x.shape[-1] != to.side:
        x = F.interpolate(x, size=(to.side, to.side), mode="bilinear", align_corners=False, antialias=True)
    return normalise(x, to.contrast).expand(-1, to.channels, -1, -1)


def normalise(x: Tensor, contrast: str) -> Tensor:
    """(N, 1, h, w), 0 to 1 -> the same shape, each image in the given contrast."""
    if contrast == "unit":
        return x
    mean = x.mean(dim=(2, 3), keepdim=True)
    deviation = x.std(dim=(2, 3), keepdim=True)
    return (x - mean) / (deviation + 0.03)  # 0.03: about 8 gray levels, so that a blank crop's noise is not blown up
