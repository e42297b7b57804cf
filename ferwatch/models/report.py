"""The student report's two networks, exactly, so that its published checkpoints load and give its counts."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F


class ReportCNN(nn.Module):
    """(N, 1, 32, 32) -> (N, 7) logits; 61,451 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 7)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, 1, 32, 32) -> (N, 84)."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (N, 6, 14, 14)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 16, 5, 5)
        return F.relu(self.fc2(F.relu(self.fc1(x.flatten(1)))))

    def forward_head(self, features: Tensor) -> dict[str, Tensor]:
        """(N, 84) -> {"fer2013": (N, 7) logits}."""
        return {"fer2013": self.fc3(features)}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.forward_head(self.forward_features(x))


class Head(nn.Module):
    """One attention head of size 8; no biases, no output projection."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.Q = nn.Parameter(torch.randn(width, size) / width**0.5)
        self.K = nn.Parameter(torch.randn(width, size) / width**0.5)
        self.V = nn.Parameter(torch.randn(width, size) / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x @ self.Q, x @ self.K, x @ self.V)


class MultiHead(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multiheads = nn.ModuleList(Head(width, width // heads) for _ in range(heads))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([head(x) for head in self.multiheads], dim=-1)


class TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multi_head = MultiHead(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.relu(x + self.multi_head(x)))


class ReportViT(nn.Module):
    """(N, 1, 32, 32) -> (N, 7) logits; 12,384 parameters: four 16x16 patches, one block applied twice.

    The report scaled the head by sqrt(128) where 1/sqrt(128) was meant, so that its first loss was 30 instead of ln 7;
    here the head starts small. The class token is stored in its checkpoint and takes no part.
    """

    def __init__(self) -> None:
        super().__init__()
        self.C = nn.Parameter(torch.randn(256, 32) / 256**0.5)
        self.pe = nn.Parameter(torch.randn(1, 4, 32) * 0.02)
        self.classification_token = nn.Parameter(torch.zeros(1, 1, 32))
        self.transformer_block = TransformerBlock(32, 4)
        self.mlp_head = nn.Parameter(torch.randn(128, 7) * 0.1 / 128**0.5)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, 1, 32, 32) -> (N, 128)."""
        patches = rearrange(x, "n 1 (row h) (column w) -> n (row column) (h w)", h=16, w=16)
        tokens = patches @ self.C + self.pe  # (N, 4, 32)
        return self.transformer_block(self.transformer_block(tokens)).flatten(1)

    def forward_head(self, features: Tensor) -> dict[str, Tensor]:
        """(N, 128) -> {"fer2013": (N, 7) logits}."""
        return {"fer2013": features @ self.mlp_head}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.forward_head(self.forward_features(x))
