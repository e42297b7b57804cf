"""The training loop: one function, resumable after every epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from ferwatch.errors import DataError
from ferwatch.evaluation.fer2013 import VOTES, Faces, clean
from ferwatch.models.preprocess import prepare
from ferwatch.models.registry import Input, find
from ferwatch.records import EMOTIONS
from ferwatch.training import distributed as processes
from ferwatch.training.batches import Batch, Batches
from ferwatch.training.curves import Epoch, write_curve
from ferwatch.training.distillation import Teacher, ask
from ferwatch.training.recipe import Recipe
from ferwatch.training.state import State


class Learner(nn.Module):
    """The network, and for training alone two more heads.

    One predicts the FER+ votes from the network's features; with a `matched_width` the other predicts the teacher's
    features of that width at each place from the network's own.
    """

    def __init__(self, network: nn.Module, matched_width: int = 0) -> None:
        super().__init__()
        self.network = network
        self.votes = nn.LazyLinear(len(VOTES))
        self.match = nn.LazyLinear(matched_width) if matched_width else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """The logits, the votes' logits, and (N, tokens, width) for the teacher's places."""
        if self.match is None:
            features, matched = self.network.features(x), None  # type: ignore[operator]
        else:
            places = self.network.places(x)  # type: ignore[operator]
            features, matched = self.network.pool(places), self.match(places)  # type: ignore[operator]
        return self.network.answer(features), self.votes(features), matched  # type: ignore[operator]


def train(
    recipe: Recipe,
    train_faces: Faces,
    public_test: Faces,
    out: Path,
    *,
    network: nn.Module | None = None,
    teachers: Sequence[Teacher] = (),
    device: str = "cpu",
    max_steps: int | None = None,
    on_step: Callable[[int, int, float], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[nn.Module, list[Epoch]]:
    """Trains the recipe's network; returns its averaged weights and the curve. Continues where `out` holds a state.

    Args:
        network: starts from this one instead of fresh weights; what does not require a gradient stays as it is.
        teachers: networks whose mean answer the recipe's `distill` follows, with their inputs.
        max_steps: stops after that many steps in all, as a killed run would; for tests.
        on_step: called with the step, the number of steps and its loss.
    Writes out/state.pt and out/curve.csv after every epoch. Raises DataError where the data lacks what the recipe asks.
    """
    torch.manual_seed(recipe.seed)
    model = find(recipe.model)
    _check(recipe, train_faces, teachers)
    teachers = [(teacher.to(device), to) for teacher, to in teachers]
    own = processes.part(recipe.batch_size)
    autocast = torch.autocast(torch.device(device).type, torch.bfloat16)
    batches = Batches(recipe, model, clean(train_faces) if recipe.clean else train_faces, teachers, device, autocast)
    steps = batches.an_epoch * recipe.epochs

    network = (model.build(**recipe.config) if network is None else network).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    nothing = torch.zeros(1, 48, 48, device=device)
    taught_places = ask(teachers, nothing, recipe).places if recipe.match > 0 else None
    learner = Learner(network, 0 if taught_places is None else taught_places.shape[-1]).to(device)
    learner.eval()(prepare(nothing, model.input))  # gives the lazy heads their widths
    averaged = copy.deepcopy(network)
    state = State(out / "state.pt", recipe, learner, averaged, _optimizer(recipe, learner))
    curve = state.load(device)
    forward = processes.together(learner, all_used=recipe.votes > 0)
    if recipe.compile:
        forward = torch.compile(forward)  # type: ignore[assignment]
    prior = batches.labels.bincount(minlength=len(EMOTIONS)).clamp(min=1).log().to(device) * recipe.balance

    for epoch in range(len(curve), recipe.epochs):
        started, losses, hits = time.monotonic(), 0.0, 0.0
        seed = recipe.seed * 10_000 + epoch
        torch.manual_seed(seed)  # for dropout, so that a resumed training is the uninterrupted one
        generator = torch.Generator(device).manual_seed(seed)
        learner.train()
        for step, rows in enumerate(batches.order(seed), start=epoch * batches.an_epoch):
            if max_steps is not None and step >= max_steps:
                return averaged, curve
            rate = learning_rate(recipe, step, steps)
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            batch = batches.draw(rows, step, generator).part(own)
            with autocast, _attention_for(device):
                logits, vote_logits, matched = forward(batch.x)
            loss = _loss(recipe, batch, logits.float(), vote_logits.float(), matched, prior)

            state.optimizer.zero_grad(set_to_none=True)
            with _attention_for(device):
                loss.backward()
            nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
            state.optimizer.step()
            _average(averaged, network, min(recipe.ema, (1 + step) / (10 + step)))
            value = processes.mean(loss)
            losses, hits = losses + value, hits + processes.mean((logits.argmax(1) == batch.labels).float().mean())
            if on_step is not None:
                on_step(step + 1, steps, value)
        if processes.rank() > 0:  # the first process measures and writes
            continue
        test_logits, test_labels = predict(averaged, model.input, public_test.images, device), public_test.labels
        curve.append(
            Epoch(
                epoch=epoch + 1,
                learning_rate=rate,
                train_loss=losses / batches.an_epoch,
                train_accuracy=hits / batches.an_epoch,
                public_test_loss=float(F.cross_entropy(test_logits, torch.from_numpy(test_labels))),
                public_test_accuracy=float((test_logits.argmax(1).numpy() == test_labels).mean()),
                seconds=time.monotonic() - started,
            )
        )
        state.save(curve)
        write_curve(out / "curve.csv", curve)
        if on_epoch is not None:
            on_epoch(curve[-1])
    return averaged, curve


def _loss(
    recipe: Recipe, batch: Batch, logits: Tensor, vote_logits: Tensor, matched: Tensor | None, prior: Tensor
) -> Tensor:
    """What is wrong with the answers to a batch, as the recipe weighs it."""
    loss = _cross_entropy(logits + prior, batch.target)
    if batch.told is not None:
        t = recipe.distill_temperature
        loss = loss.lerp(_cross_entropy(logits / t, batch.told.answers) * t * t, recipe.distill)
        if matched is not None and batch.told.places is not None:
            matched = matched.float()[:, -batch.told.places.shape[1] :]  # a class token, in front, is no place
            loss = loss + recipe.match * F.mse_loss(matched, batch.told.places)
    if batch.votes is not None:
        loss = loss + recipe.votes * _cross_entropy(vote_logits, batch.votes)
    return loss


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """One-cycle (Smith & Topin 2018, https://arxiv.org/abs/1708.07120): linear rise, cosine fall to 0; or constant."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    rise = max(1.0, recipe.warmup * steps)
    if step < rise:
        return recipe.learning_rate * (step + 1) / (rise + 1)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


@torch.inference_mode()
def predict(network: nn.Module, to: Input, images: NDArray[np.uint8], device: str = "cpu") -> Tensor:
    """(N, 48, 48) -> (N, 7) float32 logits on the CPU, in full precision."""
    network.eval()
    batches = torch.from_numpy(images).split(256)
    return torch.cat([network(prepare(batch.to(device), to)).float().cpu() for batch in batches])


def _check(recipe: Recipe, train_faces: Faces, teachers: Sequence[Teacher]) -> None:
    if (recipe.votes > 0 or recipe.vote_targets > 0) and train_faces.votes is None:
        raise DataError("the recipe learns from FER+ votes: give fer2013new.csv with --ferplus")
    if recipe.distill == 0 and (recipe.match > 0 or recipe.distill_views > 0 or recipe.distill_mean > 0):
        raise DataError("the recipe's match, distill_views and distill_mean want a teacher: set distill too")
    if recipe.distill_mean > 0 and (recipe.match > 0 or recipe.distill_views > 0):
        raise DataError("the recipe's distill_mean goes with neither match nor distill_views: leave one of them out")
    if recipe.reframed > 0 and recipe.distill_views > 0:
        raise DataError("the recipe's distill_views keeps the faces as they are: leave it or reframed out")
    if recipe.distill > 0 and not teachers:
        raise DataError("the recipe learns from a teacher: give its model and weights with --teacher")


def _optimizer(recipe: Recipe, learner: nn.Module) -> torch.optim.Optimizer:
    learnt = [p for p in learner.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learnt if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learnt if p.ndim <= 1], "weight_decay": 0.0},  # norms and biases
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9, nesterov=True)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.learning_rate)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()


def _attention_for(device: str) -> AbstractContextManager[None]:
    """Use plain matrix products for attention on a CPU: its fused kernel's backward pass takes a quarter of a step."""
    return nullcontext() if device.startswith("cuda") else sdpa_kernel(SDPBackend.MATH)


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)
