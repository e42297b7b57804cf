"""torchvision's ViT-B/16 with a seven-way head, on faces enlarged to 96x96: 36 patches of 16x16 enlarged pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ferwatch.models import torchvision_compat as torchvision_on_cpu  # noqa: F401  (before torchvision)

from torchvision.models.vision_transformer import VisionTransformer  # isort: skip


class ViT(VisionTransformer):
    """(N, 3, size, size) -> (N, 7) logits. With the defaults it is `torchvision.models.vit_b_16(image_size=96)`,
    module for module, so that torchvision's state dicts load (their position embeddings resampled to this size).
    """

    def __init__(self, image_size: int = 96, layers: int = 12, heads: int = 12, width: int = 768) -> None:
        super().__init__(image_size, 16, layers, heads, width, 4 * width, num_classes=7)
        head = self.heads.head
        assert isinstance(head, nn.Linear)
        nn.init.normal_(head.weight, std=0.002)  # near-uniform answers first: the first loss is ln 7
        nn.init.zeros_(head.bias)

    def places(self, x: Tensor) -> Tensor:
        """(N, 3, size, size) -> (N, 37, width): the tokens after the last layer, the class token first."""
        patches = self._process_input(x)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1)
        return self.encoder(tokens)

    def pool(self, places: Tensor) -> Tensor:
        """(N, 37, width) -> (N, width): the class token."""
        return places[:, 0]

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, size, size) -> (N, width)."""
        return self.pool(self.places(x))

    def answer(self, features: Tensor) -> Tensor:
        """(N, width) -> (N, 7) logits."""
        return self.heads(features)

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self.features(x))
