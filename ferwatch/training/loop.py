"""The training loop: one function, resumable after every epoch."""

from __future__ import annotations

import contextlib
import copy
import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ferwatch.models import find
from ferwatch.preprocess import Input, normalise, prepare
from ferwatch.records import EMOTIONS, DataError
from ferwatch.training.augment import augment, erase
from ferwatch.training.data import Faces, clean
from ferwatch.training.recipe import Recipe


@dataclass(frozen=True)
class Epoch:
    """One line of curve.csv."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    public_test_loss: float
    public_test_accuracy: float
    seconds: float


class TwoHeads(nn.Module):
    """The network, and for training alone a second head on its features that predicts the FER+ votes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.votes = nn.LazyLinear(9)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(x)
        return self.network.answer(features), self.votes(features)


def train(
    recipe: Recipe,
    train_faces: Faces,
    public_test: Faces,
    out: Path,
    *,
    network: nn.Module | None = None,
    teachers: Sequence[tuple[nn.Module, Input]] = (),
    device: str = "cpu",
    max_steps: int | None = None,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> nn.Module:
    """Trains the recipe's network and returns its averaged weights; continues where `out` holds a state.

    Args:
        network: starts from this one instead of fresh weights.
        teachers: networks whose mean answer the recipe's `distill` follows, with their inputs.
        max_steps: stops after that many steps in all, as a killed run would; for tests.
        on_step: called with the step, the number of steps and its loss.
    Writes out/state.pt after every epoch and out/curve.csv. Raises DataError where the recipe asks for what the data lacks.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    model = find(recipe.model)
    if recipe.votes > 0 and train_faces.votes is None:
        raise DataError("the recipe learns from FER+ votes: give fer2013new.csv with --ferplus")
    if recipe.distill > 0 and not teachers:
        raise DataError("the recipe learns from a teacher: give its weights with --teacher")
    if recipe.clean:
        train_faces = clean(train_faces)
    network = (model.build(**recipe.config) if network is None else network).to(device, memory_format=torch.channels_last)
    learner = TwoHeads(network).to(device)
    learner.eval()(prepare(torch.zeros(1, 48, 48, device=device), model.input))  # gives the second head its width
    averaged = copy.deepcopy(network)
    optimizer = _optimizer(recipe, learner)

    steps_an_epoch = len(train_faces) // recipe.batch_size
    steps = steps_an_epoch * recipe.epochs
    curve: list[Epoch] = []
    state_file = out / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, map_location=device, weights_only=True)
        if Recipe(**state["recipe"]) != recipe:
            raise DataError(f"{state_file} is of another recipe; train into another folder or remove it")
        learner.load_state_dict(state["learner"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        curve = [Epoch(*line) for line in state["curve"]]

    images, labels = torch.from_numpy(train_faces.images), torch.from_numpy(train_faces.labels)
    votes = None if train_faces.votes is None else torch.from_numpy(train_faces.votes)
    prior = torch.bincount(labels, minlength=len(EMOTIONS)).float().log().to(device) * recipe.balance
    forward = torch.compile(learner) if recipe.compile else learner
    autocast = torch.autocast(torch.device(device).type, torch.bfloat16)

    for epoch in range(len(curve), recipe.epochs):
        started, losses, hits = time.monotonic(), 0.0, 0
        generator = torch.Generator(device).manual_seed(recipe.seed * 10_000 + epoch)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(recipe.seed * 10_000 + epoch))
        learner.train()
        for i in range(steps_an_epoch):
            step = epoch * steps_an_epoch + i
            if max_steps is not None and step >= max_steps:
                return averaged
            rate = learning_rate(recipe, step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            rows = order[i * recipe.batch_size : (i + 1) * recipe.batch_size]
            y = labels[rows].to(device)
            faces = _view(images[rows].to(device), recipe, generator)
            target = F.one_hot(y, len(EMOTIONS)).float()
            if recipe.label_smoothing:
                target = target * (1 - recipe.label_smoothing) + recipe.label_smoothing / len(EMOTIONS)
            share = torch.ones(len(y), device=device)
            other = torch.arange(len(y), device=device)
            if recipe.mixup > 0:
                share = torch.from_numpy(
                    np.random.default_rng([recipe.seed, step]).beta(recipe.mixup, recipe.mixup, len(y))
                ).to(device, torch.float32)
                other = torch.randperm(len(y), generator=generator, device=device)
            faces = _mix(faces, share, other)
            x = _input(faces, model.input, recipe)
            x = erase(x, recipe.erase, generator) if recipe.erase else x
            with autocast:
                logits, vote_logits = forward(x.contiguous(memory_format=torch.channels_last))
            logits, vote_logits = logits.float(), vote_logits.float()
            loss = _cross_entropy(logits + prior, _mix(target, share, other))
            if recipe.distill > 0:
                soft = _teach(teachers, faces, recipe, autocast)
                t = recipe.distill_temperature
                follow = _cross_entropy(logits / t, soft) * t * t
                loss = (1 - recipe.distill) * loss + recipe.distill * follow
            if recipe.votes > 0 and votes is not None:
                loss = loss + recipe.votes * _vote_loss(vote_logits, votes[rows].to(device), share, other)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
            optimizer.step()
            _average(averaged, network, min(recipe.ema, (1 + step) / (10 + step)))
            value = float(loss.detach())
            losses, hits = losses + value, hits + int((logits.argmax(1) == y).sum())
            on_step(step + 1, steps, value)
        test_logits = predict(averaged, model.input, public_test.images, device)
        test = torch.from_numpy(public_test.labels)
        curve.append(
            Epoch(
                epoch=epoch + 1,
                learning_rate=rate,
                train_loss=losses / steps_an_epoch,
                train_accuracy=hits / (steps_an_epoch * recipe.batch_size),
                public_test_loss=float(F.cross_entropy(test_logits, test)),
                public_test_accuracy=float((test_logits.argmax(1) == test).float().mean()),
                seconds=time.monotonic() - started,
            )
        )
        _save_state(state_file, recipe, learner, averaged, optimizer, curve)
        _write_curve(out / "curve.csv", curve)
        on_epoch(curve[-1])
    return averaged


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """One-cycle (Smith & Topin 2018, https://arxiv.org/abs/1708.07120): linear rise, cosine fall to zero; or constant."""
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


def _optimizer(recipe: Recipe, learner: nn.Module) -> torch.optim.Optimizer:
    # Norms and biases have one dimension; decaying them only hurts.
    decayed = [p for p in learner.parameters() if p.ndim > 1]
    plain = [p for p in learner.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9, nesterov=True)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.learning_rate)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))
    raise DataError(f"the recipe's optimizer is {recipe.optimizer!r}; it can be sgd, adam or adamw")


def _view(faces: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """(N, 48, 48) uint8 -> (N, side, side) float, 0 to 255."""
    if recipe.augment > 0:
        faces = augment(faces, recipe.side, recipe.augment, generator)
    else:
        faces = _flip(faces.float(), 2, generator)
    return _flip(faces, 1, generator) if recipe.vertical_flips else faces


def _flip(faces: Tensor, dim: int, generator: torch.Generator) -> Tensor:
    chosen = torch.rand(len(faces), 1, 1, generator=generator, device=faces.device) < 0.5
    return torch.where(chosen, faces.flip(dim), faces)


def _input(faces: Tensor, to: Input, recipe: Recipe) -> Tensor:
    """The network's input; a network for 48 pixels sees a smaller training window at its own size (Touvron et al. 2019)."""
    if to.side == 48 and recipe.side != 48:
        return normalise(faces.unsqueeze(1) / 255, to.contrast)
    return prepare(faces, to)


def _mix(x: Tensor, share: Tensor, other: Tensor) -> Tensor:
    """mixup (Zhang et al. 2018, https://arxiv.org/abs/1710.09412): each row blended with another."""
    share = share.view(-1, *[1] * (x.ndim - 1))
    return share * x + (1 - share) * x[other]


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()


def _vote_loss(logits: Tensor, counts: Tensor, share: Tensor, other: Tensor) -> Tensor:
    """Cross-entropy with the voters' distribution; images that nobody voted on do not count."""
    total = counts.sum(dim=1, keepdim=True)
    target = _mix(counts / total.clamp(min=1), share, other)
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()


@torch.no_grad()
def _teach(
    teachers: Sequence[tuple[nn.Module, Input]], faces: Tensor, recipe: Recipe, autocast: contextlib.AbstractContextManager[Any]
) -> Tensor:
    """The teachers' mean softened answer to the same view (Hinton et al. 2015, https://arxiv.org/abs/1503.02531)."""
    answers = []
    for teacher, to in teachers:
        with autocast:
            x = prepare(faces, to).contiguous(memory_format=torch.channels_last)
            answers.append((teacher.eval()(x).float() / recipe.distill_temperature).softmax(dim=1))
    return torch.stack(answers).mean(dim=0)


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def _save_state(
    path: Path,
    recipe: Recipe,
    learner: nn.Module,
    averaged: nn.Module,
    optimizer: torch.optim.Optimizer,
    curve: list[Epoch],
) -> None:
    beside = path.with_suffix(".partial")
    torch.save(
        {
            "recipe": recipe.as_dict(),
            "learner": learner.state_dict(),
            "averaged": averaged.state_dict(),
            "optimizer": optimizer.state_dict(),
            "curve": [astuple(line) for line in curve],
        },
        beside,
    )
    beside.replace(path)


def _write_curve(path: Path, curve: list[Epoch]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as f:
        lines = csv.writer(f, lineterminator="\n")
        lines.writerow([f.name for f in fields(Epoch)])
        lines.writerows([[v if isinstance(v, int) else f"{v:.5g}" for v in astuple(line)] for line in curve])
