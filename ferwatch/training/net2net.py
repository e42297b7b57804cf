"""Growth of a narrow vision transformer into a wide one that computes the same function.

Net2Net (Chen et al. 2016, https://arxiv.org/abs/1511.05641) for transformers, as in bert2BERT (Chen et al. 2022,
https://arxiv.org/abs/2110.07143) and LEMON (Wang et al. 2023, https://arxiv.org/abs/2310.07999): every feature, head
and hidden unit is copied k times, and the weights that read it are shared out among the copies. Layer norm needs no
change, since k copies have the mean and the deviation of one.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from ferwatch.models.preprocess import preprocess
from ferwatch.models.registry import InputSpec
from ferwatch.models.small_vit import Block, SmallViT
from ferwatch.models.vit_b_16 import ViT

NOT_COPIED = "heads."  # the weights that write the logits: those have no copies


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
    large = ViT(small.image_size, len(layers), heads, width, head_names=list(small.heads))
    generator = torch.Generator().manual_seed(seed)
    grown = {}
    for name, tensor in small.state_dict().items():
        wide = tensor if name.startswith(NOT_COPIED) else _copy_outputs(name, tensor, copies)
        reads_features = name.endswith("weight") and tensor.ndim == 2  # which the patches' convolution does not
        grown[name] = _share_inputs(wide, copies, noise, generator) if reads_features else wide
    large.load_state_dict(grown)
    return large


def narrow(large: ViT, width: int) -> ViT:
    """The ViT of `width` from which `grow` made this one: of every feature's copies the first, read with the sum of
    what its copies were read with. The answers stay the same where no copy has been trained since."""
    copies = large.hidden_dim // width
    layers = large.encoder.layers
    heads = layers[0].num_heads // copies
    small = ViT(large.image_size, len(layers), heads, width, head_names=list(large.heads))
    reference = small.state_dict()
    narrowed = {}
    for name, tensor in large.state_dict().items():
        if name.endswith("weight") and tensor.ndim == 2:  # it reads features
            tensor = rearrange(tensor, "rows (copies n) -> copies rows n", copies=copies).sum(dim=0)
        if not name.startswith(NOT_COPIED):
            dim = 2 if name in ("class_token", "encoder.pos_embedding") else 0
            parts = tensor.chunk(3, dim) if "in_proj" in name else [tensor]
            tensor = torch.cat([part.chunk(copies, dim)[0] for part in parts], dim)
        narrowed[name] = tensor.reshape(reference[name].shape)
    small.load_state_dict(narrowed)
    return small.eval()


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


@torch.no_grad()
def from_small_vit(small: SmallViT, faces: Tensor, layers: int = 12) -> ViT:
    """A ViT/16 of the same width that goes on from a trained SmallViT with a class token.

    Its every other layer is one of the small one's blocks, and those between add nothing at first. Only the patches'
    embedding has no counterpart: it is the linear map nearest to the small one's convolutional stem (least squares).

    Args:
        faces: (N, 48, 48) gray, 0 to 255, on which the embedding is fitted.
    """
    if small.class_token is None:
        raise ValueError("a ViT reads its class token, and this SmallViT pools its tokens instead")
    blocks = [block for block in small.blocks if isinstance(block, Block)]
    width, heads = small.positions.shape[-1], blocks[0].attention.heads
    vit = ViT(96, layers, heads, width, head_names=list(small.heads))
    vit.class_token.copy_(small.class_token)
    vit.encoder.pos_embedding.zero_()
    vit.encoder.pos_embedding[:, 1:] = small.positions
    vit.encoder.ln.load_state_dict(small.norm.state_dict())
    vit.heads.load_state_dict(small.heads.state_dict())
    for layer in vit.encoder.layers:
        for last in (layer.self_attention.out_proj, layer.mlp[3]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
    spread = layers // len(blocks)
    for layer, block in zip(vit.encoder.layers[::spread], blocks, strict=True):
        layer.ln_1.load_state_dict(block.norm1.state_dict())
        layer.ln_2.load_state_dict(block.norm2.state_dict())
        layer.self_attention.in_proj_weight.copy_(block.attention.to_qkv.weight)
        layer.self_attention.in_proj_bias.copy_(block.attention.to_qkv.bias)
        layer.self_attention.out_proj.load_state_dict(block.attention.to_out.state_dict())
        layer.mlp[0].load_state_dict(block.mlp[0].state_dict())
        layer.mlp[3].load_state_dict(block.mlp[2].state_dict())

    large = preprocess(faces, InputSpec(96))
    patches = rearrange(large, "n 1 (row h) (column w) -> (n row column) (h w)", h=16, w=16)
    wanted = rearrange(small.eval().stem(preprocess(faces, InputSpec(48))), "n c row column -> (n row column) c")
    ones = torch.ones(len(patches), 1)
    # Enlarged patches have far fewer than 256 independent pixels; the ridge keeps the solution small.
    inputs = torch.cat([patches, ones], dim=1).double()
    ridge = torch.eye(inputs.shape[1], dtype=torch.float64) * 1e-3 * len(inputs)
    solution = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ wanted.double()).float()
    pixels = rearrange(solution[:-1], "(h w) c -> c 1 h w", h=16)
    vit.conv_proj.weight.copy_(pixels.expand(-1, 3, -1, -1) / 3)  # the three channels are alike
    vit.conv_proj.bias.copy_(solution[-1])
    return vit
