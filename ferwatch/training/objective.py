"""The training objective: the loss of each head, and how far the crowd head agrees with people."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from ferwatch.evaluation.fer2013 import FerSplit, crowd_majority
from ferwatch.training.batches import Batch
from ferwatch.training.recipe import Recipe


def compute_loss(
    recipe: Recipe, batch: Batch, logits: dict[str, Tensor], matched: Tensor | None, prior: Tensor
) -> Tensor:
    """The loss of a batch: the fer2013 head's, the crowd head's, and that of the matched tokens, as the recipe weighs
    them."""
    loss = _cross_entropy(logits["fer2013"] + prior, batch.target)
    crowd_loss = None
    if batch.votes is not None and "crowd" in logits:
        crowd_loss = _cross_entropy(logits["crowd"], batch.votes)
    if batch.taught is not None:
        t = recipe.distill_temperature
        distilled = _cross_entropy(logits["fer2013"] / t, batch.taught.answers["fer2013"]) * t * t
        loss = loss.lerp(distilled, recipe.distill)
        if crowd_loss is not None and recipe.distill_votes > 0:
            distilled = _cross_entropy(logits["crowd"], batch.taught.answers["crowd"])
            crowd_loss = crowd_loss.lerp(distilled, recipe.distill_votes)
        if matched is not None and batch.taught.tokens is not None:
            matched = matched.float()[:, -batch.taught.tokens.shape[1] :]  # a class token, in front, is no place
            loss = loss + recipe.match * F.mse_loss(matched, batch.taught.tokens)
    return loss if crowd_loss is None else loss + recipe.votes * crowd_loss


def crowd_agreement(logits: dict[str, Tensor], faces: FerSplit) -> float:
    """Share of the faces with a majority on which the crowd head agrees with it; nan without head or votes."""
    if "crowd" not in logits or faces.votes is None:
        return math.nan
    majority, has_majority = crowd_majority(faces.votes)
    if not has_majority.any():
        return math.nan
    return float((logits["crowd"].argmax(1).numpy() == majority)[has_majority].mean())


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()
