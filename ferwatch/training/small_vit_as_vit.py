"""A trained SmallViT written out as a ViT-B/16 that gives the same answers, without any training.

The first three layers compute the SmallViT's convolutional stem (`vit_stem`). Each of the last six is one of its
blocks, with every feature, head and hidden unit copied four times (Chen et al. 2016, https://arxiv.org/abs/1511.05641);
layer norm needs no change, since four copies have the mean and the deviation of one. The three layers between add
nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ferwatch.models.small_vit import Block, SmallViT
from ferwatch.models.vit_b_16 import ViT
from ferwatch.training.vit_stem import STEM_LAYERS, WIDTH, write_patches, write_stem

from torchvision.models.vision_transformer import EncoderBlock as Layer  # isort: skip  (after ViT, which lets it load)


@torch.no_grad()
def small_vit_as_vit(small: SmallViT) -> ViT:
    """Return a ViT-B/16 whose answers are those of a trained SmallViT, but for small numerical differences.

    Raises ValueError where the SmallViT has no class token or its features cannot be copied to the ViT's width.
    """
    blocks = [block for block in small.blocks if isinstance(block, Block)]
    width = small.positions.shape[-1]
    vit = ViT(96, head_names=list(small.heads))
    layers = list(vit.encoder.layers)
    copies = vit.hidden_dim // width
    heads = blocks[0].attention.heads * copies
    if small.class_token is None:
        raise ValueError("a ViT reads its class token, and this SmallViT pools its tokens instead")
    fits = width == WIDTH and heads == layers[0].num_heads and len(blocks) <= len(layers) - STEM_LAYERS
    if not fits:
        raise ValueError(f"a SmallViT of width {width} with {len(blocks)} blocks does not fit into a ViT-B/16")
    for layer in layers:
        for last in (layer.self_attention.out_proj, layer.mlp[3]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
    write_patches(vit)
    write_stem(layers[:STEM_LAYERS], small.eval())
    for layer, block in zip(layers[-len(blocks) :], blocks, strict=True):
        _write_block(layer, block, copies)
    _copy_norm(vit.encoder.ln, small.norm, copies)
    for name, head in small.heads.items():
        assert isinstance(head, nn.Linear)
        vit.heads[name].load_state_dict({"weight": _read_copies(head.weight, copies), "bias": head.bias})
    return vit.eval()


def _write_block(layer: Layer, block: Block, copies: int) -> None:
    """Write a block of a SmallViT into a layer, every feature, head and hidden unit `copies` times."""
    attention, mlp = layer.self_attention, layer.mlp
    _copy_norm(layer.ln_1, block.norm1, copies)
    _copy_norm(layer.ln_2, block.norm2, copies)
    qkv = block.attention.to_qkv
    attention.in_proj_weight.copy_(
        torch.cat([_read_copies(part, copies).repeat(copies, 1) for part in qkv.weight.chunk(3)])
    )
    attention.in_proj_bias.copy_(torch.cat([part.repeat(copies) for part in qkv.bias.chunk(3)]))
    for wide, narrow in ((attention.out_proj, block.attention.to_out), (mlp[0], block.mlp[0]), (mlp[3], block.mlp[2])):
        assert isinstance(narrow, nn.Linear)
        wide.weight.copy_(_read_copies(narrow.weight, copies).repeat(copies, 1))
        wide.bias.copy_(narrow.bias.repeat(copies))


def _read_copies(weight: Tensor, copies: int) -> Tensor:
    """Return (rows, copies * n) from (rows, n): each copy of a feature is read with an equal share of its weight."""
    return weight.repeat(1, copies) / copies


def _copy_norm(wide: nn.LayerNorm, narrow: nn.LayerNorm, copies: int) -> None:
    """Write a layer norm of a SmallViT into a wider one, every feature `copies` times."""
    wide.weight.copy_(narrow.weight.repeat(copies))
    wide.bias.copy_(narrow.bias.repeat(copies))
