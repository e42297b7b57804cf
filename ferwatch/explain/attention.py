"""How a vision transformer reads a face: its patches, its positions, and what its attention adds up to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ferwatch.explain.trace import Trace, attention_layers

POSITIONS = ("positions", "pe", "encoder.pos_embedding")
"""What the three networks call their position embeddings, (1, T, width)."""


@dataclass(frozen=True)
class Reading:
    """What a transformer's forward pass over one face makes of its patches, P = rows^2 of them, row by row."""

    rows: int
    tokens: Tensor
    """(P, width): the patches as they enter the first block, positions added."""
    positions: Tensor
    """(P, P): cosine similarity of the position embeddings."""
    attention: list[Tensor]
    """(heads, T, T) a layer; T is P, or P + 1 with a class token in front."""
    readout: Tensor
    """(T,): how much of each token the answer is made of; sums to 1."""
    read_by: str
    """The readout in words."""

    @property
    def has_class_token(self) -> bool:
        return len(self.readout) > self.rows**2

    def over_face(self, per_token: Tensor) -> Tensor:
        """(..., T) values per token -> (..., rows, rows) over the face, without the class token."""
        return per_token[..., -(self.rows**2) :].unflatten(-1, (self.rows, self.rows))

    def attention_to_face(self) -> list[Tensor]:
        """(heads, rows, rows) a layer: what the tokens that the answer is read from attend to."""
        return [self.over_face(torch.einsum("q,hqk->hk", self.readout, layer)) for layer in self.attention]

    def rollout(self) -> list[Tensor]:
        """(rows, rows) after each layer: how much of each patch has reached the answer by then.

        Sums to 1 with the class token's share. Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928: heads
        averaged, half of each token carried past the layer by its residual connection.
        """
        mixed = torch.eye(len(self.readout))
        maps = []
        for layer in self.attention:
            mixed = (layer.mean(dim=0) + torch.eye(len(mixed))) / 2 @ mixed
            maps.append(self.over_face(self.readout @ mixed))
        return maps


def read_transformer(network: nn.Module, recorded: Trace) -> Reading | None:
    """The reading of a recorded pass; None for a network without attention."""
    attention = attention_layers(recorded)
    if not attention:
        return None
    count = attention[0].shape[-1]
    rows = math.isqrt(count)
    embedding = next(
        p for name, p in network.named_parameters() if name in ("positions", "pe", "encoder.pos_embedding")
    )
    patches = embedding.detach()[0, -(rows**2) :]
    entering = next(
        step.output for step in recorded.steps if step.layer in ("positions", "pe", "encoder.pos_embedding")
    )
    pooling = [step.output[0, :, 0] for step in recorded.steps if step.operation == "softmax"]
    if pooling:
        readout, read_by = pooling[0], "the tokens, weighted as the network pools them"
    elif count > rows**2:
        readout, read_by = F.one_hot(torch.tensor(0), count).float(), "the class token"
    else:
        readout, read_by = torch.full((count,), 1 / count), "all tokens alike"
    return Reading(
        rows=rows,
        tokens=entering[0, -(rows**2) :],
        positions=F.cosine_similarity(patches[:, None], patches[None], dim=-1),
        attention=attention,
        readout=readout,
        read_by=read_by,
    )
