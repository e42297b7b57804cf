"""The default classifier: a small residual network (He et al. 2016, https://arxiv.org/abs/1512.03385) on gray faces."""

from __future__ import annotations

from collections.abc import Sequence

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from ferwatch.models.heads import classification_heads


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; the first may halve the side and widen the channels."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        nn.init.zeros_(self.norm2.weight)  # a new block starts as its shortcut (Goyal et al. 2017), which trains faster

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class CNN(nn.Module):
    """(N, 1, 48, 48) -> (N, 7) logits of each head. Any side from 32 up works: the last layer averages over positions.

    The stem halves the side at once, for speed; each later stage halves it again and doubles the channels.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256),
        blocks: int = 2,
        dropout: float = 0.2,
        head_names: Sequence[str] = ("fer2013",),
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 32, 3, 1, 1, bias=False),  # (N, 32, 48, 48)
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, widths[0], 3, 2, 1, bias=False),  # (N, 64, 24, 24)
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        stages: list[nn.Module] = []
        channels = widths[0]
        for stage, width in enumerate(widths):
            for block in range(blocks):
                stages.append(ResidualBlock(channels, width, stride=2 if stage > 0 and block == 0 else 1))
                channels = width
        self.stages = nn.Sequential(*stages)  # (N, 256, 6, 6)
        self.dropout = nn.Dropout(dropout)
        self.heads = classification_heads(head_names, channels)

    def forward_tokens(self, x: Tensor) -> Tensor:
        """(N, 1, 48, 48) -> (N, 36, 256): what the last stage says of each place of the face, row by row."""
        return rearrange(self.stages(self.stem(x)), "n width row column -> n (row column) width")

    def pool(self, tokens: Tensor) -> Tensor:
        """(N, 36, 256) -> (N, 256)."""
        return tokens.mean(dim=1)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, 1, 48, 48) -> (N, 256)."""
        return self.pool(self.forward_tokens(x))

    def forward_head(self, features: Tensor) -> dict[str, Tensor]:
        """(N, 256) -> head: (N, 7) logits."""
        features = self.dropout(features)
        return {name: head(features) for name, head in self.heads.items()}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.forward_head(self.forward_features(x))
