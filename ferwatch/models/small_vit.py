"""A small vision transformer, written to be read (Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929).

It departs from the paper in two ways that let it learn from 28,709 faces without pretraining: patches overlap, by a
convolutional stem (Xiao et al. 2021, https://arxiv.org/abs/2106.14881), and the tokens are pooled by a learnt weighting
instead of a class token (Hassani et al. 2021, https://arxiv.org/abs/2104.05704); `pool="class"` brings the token back.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import pack, rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from ferwatch.models.heads import classification_heads


class Attention(nn.Module):
    """Multi-head self-attention: every token attends to all tokens. (N, tokens, width) -> the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * width)
        self.to_out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = rearrange(self.to_qkv(x), "n t (three h d) -> three n h t d", three=3, h=self.heads)
        # softmax(q k^T / sqrt(d)) over the keys, times v
        out = F.scaled_dot_product_attention(q, k, v)
        return self.to_out(rearrange(out, "n h t d -> n t (h d)"))


class Block(nn.Module):
    """Pre-norm transformer block; `drop_path` skips a whole branch for a share of the images while training."""

    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._maybe_drop(self.attention(self.norm1(x)))
        return x + self._maybe_drop(self.mlp(self.norm2(x)))

    def _maybe_drop(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return branch
        keep = torch.rand(len(branch), 1, 1, device=branch.device) >= self.drop_path
        return branch * keep.to(branch.dtype) / (1 - self.drop_path)


class SmallViT(nn.Module):
    """(N, 1, 48, 48) -> (N, 7) logits of each head, from 36 tokens, one for each 8x8 pixels.

    Args:
        pool: "attention" pools the tokens by learnt weights; "class" reads a class token.
    """

    def __init__(
        self,
        width: int = 192,
        depth: int = 6,
        heads: int = 3,
        drop_path: float = 0.05,
        pool: str = "attention",
        head_names: Sequence[str] = ("fer2013",),
    ) -> None:
        super().__init__()
        if pool not in ("attention", "class"):
            raise ValueError(f"pool is 'attention' or 'class', not {pool!r}")
        self.stem = nn.Sequential(  # overlapping patches: three convolutions of stride 2
            nn.Conv2d(1, width // 4, 3, 2, 1, bias=False),  # (N, 48, 24, 24)
            nn.BatchNorm2d(width // 4),
            nn.ReLU(),
            nn.Conv2d(width // 4, width // 2, 3, 2, 1, bias=False),  # (N, 96, 12, 12)
            nn.BatchNorm2d(width // 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 3, 2, 1),  # (N, 192, 6, 6)
        )
        self.positions = nn.Parameter(torch.randn(1, 36, width) * 0.02)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02) if pool == "class" else None
        self.blocks = nn.Sequential(*(Block(width, heads, drop_path * i / max(depth - 1, 1)) for i in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.pool_weights = nn.Linear(width, 1) if pool == "attention" else None
        self.heads = classification_heads(head_names, width)

    def tokens(self, x: Tensor) -> Tensor:
        """(N, 1, 48, 48) -> (N, 36, 192), one more token in front with a class token."""
        x = rearrange(self.stem(x), "n width row column -> n (row column) width") + self.positions
        if self.class_token is not None:
            x, _ = pack([repeat(self.class_token, "1 1 width -> n 1 width", n=len(x)), x], "n * width")
        return x

    def forward_tokens(self, x: Tensor) -> Tensor:
        """(N, 1, 48, 48) -> (N, 36 or 37, 192): the tokens after the last block."""
        return self.norm(self.blocks(self.tokens(x)))

    def pool(self, tokens: Tensor) -> Tensor:
        """(N, 36 or 37, 192) -> (N, 192)."""
        if self.pool_weights is None:
            return tokens[:, 0]
        weights = self.pool_weights(tokens).softmax(dim=1)  # (N, 36, 1)
        return (weights * tokens).sum(dim=1)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, 1, 48, 48) -> (N, 192)."""
        return self.pool(self.forward_tokens(x))

    def forward_head(self, features: Tensor) -> dict[str, Tensor]:
        """(N, 192) -> head: (N, 7) logits."""
        return {name: head(features) for name, head in self.heads.items()}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.forward_head(self.forward_features(x))
