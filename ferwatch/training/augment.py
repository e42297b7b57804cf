"""Faces as a training step sees them: turned, lit, blurred and hidden in ways that keep the expression."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ferwatch.training.recipe import Recipe


def view(faces: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """(N, 48, 48) uint8 -> (N, side, side) float, 0 to 255: the faces as the recipe varies them."""
    if recipe.augment > 0:
        faces = augment(faces, recipe.side, recipe.augment, generator)
    elif recipe.mirror:
        faces = _flip(faces.float(), 2, generator)
    else:
        faces = faces.float()
    return _flip(faces, 1, generator) if recipe.vertical_flips else faces


def _flip(faces: Tensor, dim: int, generator: torch.Generator) -> Tensor:
    chosen = torch.rand(len(faces), 1, 1, generator=generator, device=faces.device) < 0.5
    return torch.where(chosen, faces.flip(dim), faces)


def mix(x: Tensor, share: Tensor, other: Tensor) -> Tensor:
    """mixup (Zhang et al. 2018, https://arxiv.org/abs/1710.09412): each row keeps its share and takes the rest from
    another row."""
    share = share.view(-1, *[1] * (x.ndim - 1))
    return share * x + (1 - share) * x[other]


def augment(faces: Tensor, side: int, strength: float, generator: torch.Generator) -> Tensor:
    """(N, 48, 48) gray 0 to 255 -> (N, side, side) gray 0 to 255: a window of `side` pixels with everything varied.

    `strength` 1 is for long training; smaller values make each change smaller. Geometry covers a badly placed box and a
    turned head; light, blur, low resolution and noise are what video adds to FER2013's stills.
    """
    x = faces.unsqueeze(1).float() / 255
    x = _move(x, side, strength, generator)
    x = _degrade(x, strength, generator)
    x = _light(x, strength, generator)
    return x.clamp(0, 1).squeeze(1) * 255


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator, device=generator.device) * (high - low) + low


def _move(x: Tensor, side: int, strength: float, generator: torch.Generator) -> Tensor:
    """Mirror, rotation, scale, narrowing (a head turn) and shift in one bilinear resampling."""
    n, full = len(x), x.shape[-1]
    angle = _uniform(n, -1, 1, generator) * math.radians(15) * strength
    scale = torch.exp(_uniform(n, -1, 1, generator) * 0.2 * strength)
    narrowing = torch.exp(_uniform(n, -1, 1, generator) * 0.1 * strength)
    mirror = torch.where(_uniform(n, 0, 1, generator) < 0.5, -1.0, 1.0)
    shift = (torch.rand(n, 2, generator=generator, device=x.device) * 2 - 1) * 0.2 * strength
    window = side / full / scale
    cos, sin = torch.cos(angle) * window, torch.sin(angle) * window
    affine = torch.stack(
        [
            torch.stack([cos * mirror * narrowing, -sin, shift[:, 0]], dim=1),
            torch.stack([sin * mirror * narrowing, cos, shift[:, 1]], dim=1),
        ],
        dim=1,
    )  # (N, 2, 3)
    places = F.affine_grid(affine, [n, 1, side, side], align_corners=False)
    return F.grid_sample(x, places, mode="bilinear", padding_mode="border", align_corners=False)


def _degrade(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """A quarter of the faces at a lower resolution, a quarter with noise."""
    n, side = len(x), x.shape[-1]
    factor = float(_uniform(1, 0.45, 0.8, generator))
    small = F.interpolate(x, scale_factor=factor, mode="bilinear", antialias=True, align_corners=False)
    soft = F.interpolate(small, size=(side, side), mode="bilinear", align_corners=False)
    is_soft = (_uniform(n, 0, 1, generator) < 0.25 * strength).view(-1, 1, 1, 1)
    x = torch.where(is_soft, soft, x)
    deviation = _uniform(n, 0, 0.05, generator) * (_uniform(n, 0, 1, generator) < 0.25 * strength)
    return x + torch.randn(x.shape, generator=generator, device=x.device) * deviation.view(-1, 1, 1, 1)


def _light(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Gamma, and light that falls off to one side. (Plain brightness and contrast are undone by the normalisation.)"""
    n, side = len(x), x.shape[-1]
    gamma = torch.exp(_uniform(n, -0.4, 0.4, generator) * strength).view(-1, 1, 1, 1)
    ramp = torch.linspace(-1, 1, side, device=x.device)
    across, down = (_uniform(n, -0.25, 0.25, generator).view(-1, 1, 1, 1) * strength for _ in range(2))
    return x.clamp(0, 1) ** gamma * (1 + across * ramp + down * ramp.view(-1, 1))


def erase(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Random erasing (Zhong et al. 2020, https://arxiv.org/abs/1708.04896): a rectangle of a `share` of the images to
    each image's mean. (N, C, h, w) -> the same.
    """
    n, side = len(x), x.shape[-1]
    area = _uniform(n, 0.02, 0.25, generator)
    aspect = torch.exp(_uniform(n, -1, 1, generator))
    height, width = torch.sqrt(area * aspect) * side, torch.sqrt(area / aspect) * side
    top, left = _uniform(n, 0, side, generator) - height / 2, _uniform(n, 0, side, generator) - width / 2
    at = torch.arange(side, device=x.device)
    rows = (at >= top[:, None]) & (at < (top + height)[:, None])
    columns = (at >= left[:, None]) & (at < (left + width)[:, None])
    chosen = _uniform(n, 0, 1, generator) < share
    hole = rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]
    return torch.where(hole.unsqueeze(1), x.mean(dim=(2, 3), keepdim=True), x)
