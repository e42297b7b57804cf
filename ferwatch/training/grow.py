"""Growth of a narrow vision transformer into a wide one that computes the same function.

Net2Net (Chen et al. 2016, https://arxiv.org/abs/1511.05641) for transformers, as in bert2BERT (Chen et al. 2022,
https://arxiv.org/abs/2110.07143) and LEMON (Wang et al. 2023, https://arxiv.org/abs/2310.07999): every feature, head
and hidden unit is copied k times, and the weights that read it are shared out among the copies. Layer norm needs no
change, since k copies have the mean and the deviation of one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ferwatch.models.vit_b_16 import ViT

WRITES_ONE = ("heads.head.weight", "heads.head.bias")  # writes the seven logits, which are not copied


def grow(small: ViT, width: int = 768, *, noise: float = 0.5, seed: int = 0) -> ViT:
    """A ViT of `width` whose answers equal those of `small` to float noise; both have heads of the same size.

    Args:
        noise: how unequally the copies' readers share a weight, against an equal share. Some is needed: copies that
            are read alike get equal gradients and would stay copies for ever.
    """
    copies = width // small.hidden_dim
    if copies * small.hidden_dim != width:
        raise ValueError(f"a width of {small.hidden_dim} does not go into {width}")
    layers = small.encoder.layers
    heads = layers[0].num_heads * copies
    large = ViT(small.image_size, len(layers), heads, width)
    generator = torch.Generator().manual_seed(seed)
    grown = {}
    for name, tensor in small.state_dict().items():
        wide = tensor if name in WRITES_ONE else _copy_outputs(name, tensor, copies)
        reads_features = name.endswith("weight") and tensor.ndim == 2  # which the patches' convolution does not
        grown[name] = _share_inputs(wide, copies, noise, generator) if reads_features else wide
    large.load_state_dict(grown)
    return large


def _copy_outputs(name: str, tensor: Tensor, copies: int) -> Tensor:
    """The features that a tensor writes, `copies` times over."""
    if name in ("class_token", "encoder.pos_embedding"):
        return tensor.repeat(1, 1, copies)
    parts = tensor.chunk(3) if "in_proj" in name else [tensor]  # queries, keys and values lie in one matrix
    return torch.cat([part.repeat(copies, *[1] * (part.ndim - 1)) for part in parts])


def _share_inputs(weight: Tensor, copies: int, noise: float, generator: torch.Generator) -> Tensor:
    """(rows, n) -> (rows, copies * n), the copies of each weight adding up to it."""
    rows, n = weight.shape
    uneven = torch.randn(copies, rows, n, generator=generator) * noise * weight.std() / copies
    uneven -= uneven.mean(dim=0)
    return torch.cat([weight / copies + part for part in uneven], dim=1)
