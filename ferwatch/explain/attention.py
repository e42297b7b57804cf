"""Analyses how a vision transformer reads a face: its patches, its positions, and its attention over the layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ferwatch.explain.trace import Trace, attention_layers

POSITION_EMBEDDINGS = ("positions", "pe", "encoder.pos_embedding")
"""Names under which a network may hold its position embeddings, a parameter of shape (1, tokens, width)."""


@dataclass(frozen=True)
class AttentionAnalysis:
    """Tokens and attention of a transformer's forward pass over one face cut into grid_side x grid_side patches.

    Shapes: P = grid_side^2 patches in reading order; T tokens, which is P, or P + 1 with a class token in front.
    """

    grid_side: int
    """Number of patches along each side of the face."""
    tokens: Tensor | None
    """(P, width) patches as they enter the first block, positions added; None without position embeddings."""
    position_similarity: Tensor | None
    """(P, P) cosine similarity of the position embeddings; None where none of POSITION_EMBEDDINGS is found."""
    attention: list[Tensor]
    """One (heads, T, T) tensor per layer: attention weights, query tokens in rows."""
    readout: Tensor
    """(T,) weight of each token in the vector that the answer is computed from; sums to 1."""
    readout_name: str
    """The readout in words, for captions."""

    @property
    def has_class_token(self) -> bool:
        """True if a class token stands before the patches."""
        return len(self.readout) > self.grid_side**2

    def to_grid(self, per_token: Tensor) -> Tensor:
        """Return (..., T) values per token as (..., grid_side, grid_side) over the face, without the class token."""
        return per_token[..., -(self.grid_side**2) :].unflatten(-1, (self.grid_side, self.grid_side))

    def readout_attention(self) -> list[Tensor]:
        """Return, for each layer, the attention of the tokens that are read out: (heads, grid_side, grid_side)."""
        return [self.to_grid(torch.einsum("q,hqk->hk", self.readout, layer)) for layer in self.attention]

    def rollout(self) -> list[Tensor]:
        """Return, for each layer, the share of each patch in the readout after it: (grid_side, grid_side).

        The shares and that of the class token sum to 1. Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928:
        heads are averaged, and half of each token is carried past the layer by its residual connection.
        """
        mixture = torch.eye(len(self.readout))
        maps = []
        for layer in self.attention:
            mixture = (layer.mean(dim=0) + torch.eye(len(mixture))) / 2 @ mixture
            maps.append(self.to_grid(self.readout @ mixture))
        return maps


def analyze_attention(network: nn.Module, trace: Trace) -> AttentionAnalysis | None:
    """Return the analysis of a forward pass; None where it has no attention over a square grid of patches."""
    attention = attention_layers(trace)
    if not attention:
        return None
    count = attention[0].shape[-1]
    grid_side = math.isqrt(count)
    if count not in (grid_side**2, grid_side**2 + 1) or any(layer.shape[-1] != count for layer in attention):
        return None
    patches = slice(-(grid_side**2), None)
    embedding = next((p for name, p in network.named_parameters() if name in POSITION_EMBEDDINGS), None)
    entering = next((step.output for step in trace.steps if step.layer in POSITION_EMBEDDINGS), None)
    tokens = similarity = None
    if embedding is not None and entering is not None:
        tokens = entering[0, patches]
        positions = embedding.detach()[0, patches]
        similarity = F.cosine_similarity(positions[:, None], positions[None], dim=-1)
    readout, readout_name = _readout(trace, count, has_class_token=count > grid_side**2)
    return AttentionAnalysis(grid_side, tokens, similarity, attention, readout, readout_name)


def _readout(trace: Trace, count: int, *, has_class_token: bool) -> tuple[Tensor, str]:
    """Return the weight of each of `count` tokens in the answer, and the readout in words."""
    pooling = [step.output[0, :, 0] for step in trace.steps if step.operation == "softmax" and step.output.ndim == 3]
    if pooling and len(pooling[0]) == count:
        return pooling[0], "the tokens, weighted as the network pools them"
    if has_class_token:
        return F.one_hot(torch.tensor(0), count).float(), "the class token"
    return torch.full((count,), 1 / count), "all tokens, weighted equally"
