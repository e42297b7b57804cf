"""The convolutional stem of a SmallViT, written into the first three layers of a ViT-B/16.

- Attention can copy values from a neighbouring token, which makes it a convolution (Cordonnier et al. 2020,
  https://arxiv.org/abs/1911.03584).
- GELU of a large number is ReLU: gelu(SHARP * z) / SHARP differs from relu(z) by less than 0.17 / SHARP.
- Layer norm divides by nearly the same number for every token where a few constants are far larger than everything
  else. These layers have such constants; the third removes them again.

The layers use the 768 features of a token as follows; `PURE` stays free until the end.

    PIXELS  its own 8x8 pixels                      CODE   its row and its column, or that it is the class token
    HALO    3 rows and columns of its neighbours    CONST  the constants
    CONV2   2x2 places of the second convolution    ZERO   minus the sum of the other features, so that their mean,
    MARKS   which of the 37 tokens it is                   which a norm subtracts, is 0
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from ferwatch.models.small_vit import SmallViT
from ferwatch.models.vit_b_16 import ViT

from torchvision.models.vision_transformer import EncoderBlock as Layer  # isort: skip  (after ViT, which lets it load)

STEM_LAYERS = 3
WIDTH = 192
"""Width of the SmallViT."""
SIDE = 6  # tokens in a row
PATCH = 8  # pixels of the 48x48 face in a row of a token
HALO_PIXELS = 3
SHARP = 50.0
MARK = 16.0
"""Value of a feature that is not 0 in MARKS and CODE."""
CONSTANT = 500.0
OFF = 40.0
"""Taken off a hidden unit that is to stay 0; larger than any value that it could have otherwise."""
CERTAINTY = 60.0
"""Twice the margin by which the attention score of the chosen token exceeds that of every other token."""
ENLARGED_CONTRAST = 0.972
"""Ratio of the contrast of an enlarged face to that of the 48x48 face, mean over FER2013. Faces are normalized by their
contrast, and enlarging softens them."""
PIXELS = slice(0, 64)
HALO = slice(64, 121)
CONV2 = slice(121, 505)
MARKS = slice(505, 542)
CODE = slice(542, 556)
CONST = slice(556, 564)
ZERO = slice(564, 576)
PURE = slice(576, 768)
NEIGHBOURS = ((0, 0), (0, -1), (-1, 0), (-1, -1))  # rows and columns from a token to itself, left, above, both


def write_patches(vit: ViT) -> None:
    """Give each token its pixels, its marks, its code and the constants."""
    shrink = _pixels_from_enlarged()
    kernel = torch.einsum("yi,xj->yxij", shrink, shrink).reshape(PATCH * PATCH, 1, 16, 16)
    vit.conv_proj.weight.zero_()
    vit.conv_proj.bias.zero_()
    vit.conv_proj.weight[PIXELS] = kernel * ENLARGED_CONTRAST / 3  # the three channels are alike
    _sum_to_zero(vit.conv_proj.weight)
    vit.class_token.zero_()
    tokens = vit.encoder.pos_embedding[0].zero_()  # (37, 768), the class token first
    tokens[:, MARKS] = MARK * torch.eye(len(tokens))
    tokens[:, CODE] = MARK * _codes()
    tokens[:, CONST] = CONSTANT * _signs()
    _sum_to_zero(tokens.T)


def _pixels_from_enlarged() -> Tensor:
    """Return (8, 16): the matrix that gives a row of an 8x8 patch from a row of the enlarged one.

    It undoes bilinear interpolation to twice the size. The enlarged patch also depends on one pixel beyond each end;
    ten pixels follow from sixteen exactly.
    """
    enlarge = torch.zeros(2 * PATCH, PATCH + 2)
    for i in range(PATCH):
        enlarge[2 * i, i : i + 2] = torch.tensor([0.25, 0.75])
        enlarge[2 * i + 1, i + 1 : i + 3] = torch.tensor([0.75, 0.25])
    return torch.linalg.pinv(enlarge.double())[1:-1].float()


def _signs() -> Tensor:
    """Return (8,): the signs of the constants."""
    return torch.tensor([1.0, -1.0]).repeat(4)


def _sum_to_zero(writes: Tensor) -> None:
    """Change what is written to ZERO, in place, so that all 768 rows add up to 0."""
    writes[ZERO] = 0
    writes[ZERO] = -writes.sum(dim=0, keepdim=True) / (ZERO.stop - ZERO.start)


def _codes() -> Tensor:
    """Return (37, 14): one of six features marks a token's row, one of six its column, the last two the class token."""
    codes = torch.zeros(1 + SIDE * SIDE, 2 * SIDE + 2)
    codes[0, -2:] = 1
    for row in range(SIDE):
        for column in range(SIDE):
            codes[1 + row * SIDE + column, [row, SIDE + column]] = 1
    return codes


def write_stem(layers: list[Layer], small: SmallViT) -> None:
    """Write the stem's three convolutions, the positions and the class token of a SmallViT into three layers."""
    weight1, bias1 = _folded(small.stem[0], small.stem[1])
    weight2, bias2 = _folded(small.stem[3], small.stem[4])
    last = small.stem[6]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    assert small.class_token is not None
    first, second, third = layers
    for layer in layers:
        _make_norms_linear(layer)

    # First layer: the attention fetches the halo, the hidden units are the first convolution, their sum is the second.
    values = torch.zeros(3, 64, 768)
    writes = torch.zeros(768, 3, 64)
    halo = HALO.start
    for i, (down, right) in enumerate(NEIGHBOURS[1:]):
        rows = range(PATCH - HALO_PIXELS, PATCH) if down else range(PATCH)
        columns = range(PATCH - HALO_PIXELS, PATCH) if right else range(PATCH)
        for j, (row, column) in enumerate((row, column) for row in rows for column in columns):
            values[i, j, PIXELS.start + row * PATCH + column] = 1
            writes[halo, i, j] = 1
            halo += 1
    _write_attention(first, NEIGHBOURS[1:], values, writes)
    _write_first_convolutions(first, weight1, bias1, weight2, bias2)

    # Second layer: ReLU of the second convolution, in place; pixels and halo are removed.
    conv2 = torch.eye(768)[CONV2]
    used = torch.eye(768)[PIXELS.start : HALO.stop]
    writes = torch.cat([conv2, -used, used]).T
    _sum_to_zero(writes)
    _write_mlp(second, torch.cat([-conv2, used, -used]), writes)

    # Third layer: the attention is the third convolution. The hidden units remove what is left but its result, and add
    # the positions and the class token.
    values, writes = _third_convolution(last.weight)
    _write_attention(third, [n for n in NEIGHBOURS for _ in range(3)], values, writes)
    identity = torch.eye(768)
    left, zero = slice(CONV2.start, MARKS.stop), identity[ZERO]
    removes = -identity[left]
    marks = slice(MARKS.start - left.start, None)
    tokens = torch.cat([small.class_token[0], small.positions[0] + last.bias])
    removes[marks] += tokens.repeat(1, 4) / MARK
    removes[marks, CODE] -= _codes()
    # The attention has added its result to every feature: taken off, the reads see only what is left to remove.
    reads = torch.cat([identity[left], zero, -zero])
    reads[:, PURE] -= rearrange(reads, "n (copy i) -> copy n i", copy=4).sum(dim=0)
    _write_mlp(third, reads, torch.cat([removes, -zero, zero]).T, bias_out=-CONSTANT * _signs() @ identity[CONST])


def _folded(convolution: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return kernel and bias of a convolution with the batch norm behind it."""
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return convolution.weight * scale.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale


def _make_norms_linear(layer: Layer) -> None:
    """Let the layer's norms multiply by what they divide by while the constants and marks are there."""
    energy = 8 * CONSTANT**2 + 3 * MARK**2
    for norm in (layer.ln_1, layer.ln_2):
        nn.init.constant_(norm.weight, (energy / 768) ** 0.5)
        nn.init.zeros_(norm.bias)


def _write_attention(layer: Layer, targets: Sequence[tuple[int, int]], values: Tensor, writes: Tensor) -> None:
    """Let each head fetch values from one neighbour, and from the class token where there is no such neighbour.

    Args:
        targets: where the neighbour of each head is: rows down, columns right.
        values: (heads, 64, 768) what is read there. writes: (768, heads, 64) where it goes to.
    """
    attention = layer.self_attention
    attention.in_proj_weight.zero_()
    attention.in_proj_bias.zero_()
    for head, (down, right) in enumerate(targets):
        query = torch.zeros(2 * SIDE + 1, 768)
        key = torch.zeros(2 * SIDE + 1, 768)
        for i in range(SIDE):
            if 0 <= i - down < SIDE:
                query[i, CODE.start + i - down] = 1
            if 0 <= i - right < SIDE:
                query[SIDE + i, CODE.start + SIDE + i - right] = 1
            key[i, CODE.start + i] = 1
            key[SIDE + i, CODE.start + SIDE + i] = 1
        key[-1, CODE.start + 2 * SIDE] = 1.5  # more than a neighbour in the same row alone, less than the right one
        scale = (CERTAINTY * 8) ** 0.5 / MARK  # 8: attention divides by the root of 64
        rows = slice(head * 64, head * 64 + len(query))
        attention.in_proj_weight[rows] = query * scale
        attention.in_proj_bias[rows][-1] = scale * MARK
        attention.in_proj_weight[768:][rows] = key * scale
        attention.in_proj_weight[2 * 768 :][head * 64 : head * 64 + 64] = values[head]
        attention.out_proj.weight[:, head * 64 : head * 64 + 64] = writes[:, head]
    _sum_to_zero(attention.out_proj.weight)


def _write_mlp(
    layer: Layer,
    reads: Tensor,
    writes: Tensor,
    bias_in: Tensor | None = None,
    bias_out: Tensor | None = None,
) -> None:
    """Add `writes @ relu(reads @ token + bias_in) + bias_out` to each token: (n, 768) and (768, n)."""
    n = len(reads)
    layer.mlp[0].weight.zero_()
    layer.mlp[0].bias.zero_()
    layer.mlp[0].weight[:n] = reads * SHARP
    layer.mlp[3].weight[:, :n] = writes / SHARP
    if bias_in is not None:
        layer.mlp[0].bias[:n] = bias_in * SHARP
    if bias_out is not None:
        layer.mlp[3].bias.copy_(bias_out)


def _write_first_convolutions(layer: Layer, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> None:
    """Make the hidden units 5x5 places of the first convolution, and add 2x2 of the second, before its ReLU."""
    channels = len(weight1)
    pixels = _pixel_features()  # (11, 11), from 3 pixels above and left of the token
    reads = torch.zeros(5, 5, channels, 768)
    for row in range(5):
        for column in range(5):
            window = pixels[2 * row : 2 * row + 3, 2 * column : 2 * column + 3].flatten()
            reads[row, column][:, window] = weight1[:, 0].flatten(1)
    class_token, first_row, first_column = CODE.start + 2 * SIDE, CODE.start, CODE.start + SIDE
    reads[..., class_token] = -OFF / MARK
    # Beyond the edge of the face a convolution sees zeros, not the first convolution of zeros.
    reads[0, :, :, first_row] = reads[:, 0, :, first_column] = -OFF / MARK

    writes = torch.zeros(2, 2, len(weight2), 5, 5, channels)
    for row in range(2):
        for column in range(2):
            window = rearrange(weight2, "out c y x -> out y x c")
            writes[row, column, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] = window
    # One more unit is 1 in every token but the class token: through it comes the bias of the second convolution.
    patch = torch.zeros(1, 768)
    patch[0, class_token] = -OFF / MARK
    out = torch.zeros(768, 25 * channels + 1)
    out[CONV2, :-1] = rearrange(writes, "r c out y x i -> (r c out) (y x i)")
    out[CONV2, -1] = repeat(bias2, "out -> (four out)", four=4)
    _sum_to_zero(out)
    bias_in = torch.cat([repeat(bias1, "i -> (places i)", places=25), torch.ones(1)])
    _write_mlp(layer, torch.cat([rearrange(reads, "y x i f -> (y x i) f"), patch]), out, bias_in)


def _pixel_features() -> Tensor:
    """Return (11, 11): the feature that holds each pixel, from 3 above and left of the token to its last one."""
    halo, size = HALO_PIXELS, HALO_PIXELS + PATCH
    features = torch.zeros(size, size, dtype=torch.int64)
    features[halo:, halo:] = torch.arange(PIXELS.start, PIXELS.stop).view(PATCH, PATCH)
    start = HALO.start
    for rows, columns in (
        (slice(halo, size), slice(0, halo)),
        (slice(0, halo), slice(halo, size)),
        (slice(0, halo),) * 2,
    ):
        part = features[rows, columns]
        features[rows, columns] = torch.arange(start, start + part.numel()).view(part.shape)
        start += part.numel()
    return features


def _third_convolution(weight3: Tensor) -> tuple[Tensor, Tensor]:
    """Return what twelve heads read, (12, 64, 768), and write, (768, 12, 64): three for each of NEIGHBOURS.

    A place of the third convolution sees all 2x2 places of its own token, and the nearest of those of its neighbours.
    """
    own = torch.zeros(4, 192, 768)
    channels = weight3.shape[1]
    for neighbour, (down, right) in enumerate(NEIGHBOURS):
        for row in [1] if down else [0, 1]:
            for column in [1] if right else [0, 1]:
                y, x = 0 if down else row + 1, 0 if right else column + 1
                start = CONV2.start + (2 * row + column) * channels
                own[neighbour, :, start : start + channels] = weight3[:, :, y, x]
    reads = rearrange(own, "neighbour (part d) f -> (neighbour part) d f", part=3)
    writes = repeat(torch.eye(192), "i (part d) -> (copy i) (neighbour part) d", copy=4, part=3, neighbour=4)
    return reads, writes
