"""torchvision's ViT-B/16 with seven-way heads, on faces enlarged to 96x96: 36 patches of 16x16 enlarged pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ferwatch.models import torchvision_compat  # noqa: F401  (before torchvision)
from ferwatch.models.heads import classification_heads

from torchvision.models.vision_transformer import VisionTransformer  # isort: skip


class ViT(VisionTransformer):
    """(N, 3, size, size) -> (N, 7) logits of each head.

    But for `heads` it is `torchvision.models.vit_b_16(image_size=96)`, module for module, so that torchvision's state
    dicts load (their position embeddings resampled to this size).
    """

    def __init__(
        self,
        image_size: int = 96,
        layers: int = 12,
        heads: int = 12,
        width: int = 768,
        head_names: Sequence[str] = ("fer2013",),
    ) -> None:
        super().__init__(image_size, 16, layers, heads, width, 4 * width)
        self.heads = classification_heads(head_names, width, std=0.002)

    def forward_tokens(self, x: Tensor) -> Tensor:
        """(N, 3, size, size) -> (N, 37, width): the tokens after the last layer, the class token first."""
        patches = self._process_input(x)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1)
        return self.encoder(tokens)

    def pool(self, tokens: Tensor) -> Tensor:
        """(N, 37, width) -> (N, width): the class token."""
        return tokens[:, 0]

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, 3, size, size) -> (N, width)."""
        return self.pool(self.forward_tokens(x))

    def forward_head(self, features: Tensor) -> dict[str, Tensor]:
        """(N, width) -> head: (N, 7) logits."""
        return {name: head(features) for name, head in self.heads.items()}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.forward_head(self.forward_features(x))
