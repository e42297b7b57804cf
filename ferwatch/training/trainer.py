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
from ferwatch.evaluation.fer2013 import FerSplit, clean
from ferwatch.models.classifier import has_bfloat16, infer
from ferwatch.models.heads import add_heads, head_logits
from ferwatch.models.preprocess import preprocess
from ferwatch.models.registry import InputSpec, get_model
from ferwatch.records import EMOTIONS
from ferwatch.training import distributed as processes
from ferwatch.training.batches import Batches
from ferwatch.training.curves import Epoch, write_curve
from ferwatch.training.distillation import Teacher, query_teachers
from ferwatch.training.features import features_of, freeze_backbone
from ferwatch.training.objective import compute_loss, crowd_agreement
from ferwatch.training.recipe import Recipe
from ferwatch.training.state import State, checksum


class AuxHeadModel(nn.Module):
    """The network and, for training alone with a `matched_width`, a linear map from its tokens to the teacher's.

    The map predicts the teacher's features, of that width, at each place of the face.
    """

    def __init__(self, network: nn.Module, matched_width: int = 0) -> None:
        super().__init__()
        self.network = network
        self.match = nn.LazyLinear(matched_width) if matched_width else None

    def forward(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """The logits of each head, and (N, tokens, width) predicted of the teacher's tokens.

        `x` is a batch of images, or (N, width) features that the network made of them before.
        """
        if x.ndim == 2:
            return self.network.forward_head(x), None  # type: ignore[operator]
        if self.match is None:
            return head_logits(self.network, x), None
        tokens = self.network.forward_tokens(x)  # type: ignore[operator]
        return self.network.forward_head(self.network.pool(tokens)), self.match(tokens)  # type: ignore[operator]


def train(
    recipe: Recipe,
    train_faces: FerSplit,
    public_test: FerSplit,
    out: Path,
    *,
    network: nn.Module | None = None,
    teachers: Sequence[Teacher] = (),
    device: str = "cpu",
    max_steps: int | None = None,
    on_step: Callable[[int, int, Tensor], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[nn.Module, list[Epoch]]:
    """Trains the recipe's network; returns its averaged weights and the curve. Continues where `out` holds a state.

    Args:
        network: the network to start from instead of fresh weights; what does not require a gradient stays as it is.
        teachers: networks whose mean answer the recipe's `distill` follows, with their inputs.
        max_steps: stops after that many steps in all, as a killed run would; for tests.
        on_step: called with the step, the number of steps and its loss, which a GPU may still be computing.
    Writes out/state.pt and out/curve.csv after every epoch. Raises DataError where the data lacks what the recipe asks.
    """
    torch.manual_seed(recipe.seed)
    model = get_model(recipe.model)
    _check(recipe, train_faces, teachers)
    inputs = _checksum_of_inputs(train_faces, public_test, network, teachers)
    teachers = [(teacher.to(device), to) for teacher, to in teachers]
    own = processes.local_rows(recipe.batch_size)
    autocast = training_autocast(device)
    faces = clean(train_faces) if recipe.clean else train_faces
    network = _network(recipe, network).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frozen = [network.get_submodule(name) for name in recipe.frozen]
    if recipe.feature_views > 0:
        frozen += freeze_backbone(network)
    for module in frozen:
        module.requires_grad_(False)
    batches = Batches(recipe, model, faces, teachers, device, autocast, folder=out, network=network)
    steps = batches.an_epoch * recipe.epochs
    torch.backends.cudnn.benchmark = torch.device(device).type == "cuda"  # batches are all of one size
    nothing = torch.zeros(1, recipe.side, recipe.side, device=device)
    taught_tokens = query_teachers(teachers, nothing, recipe).tokens if recipe.match > 0 else None
    learner = AuxHeadModel(network, 0 if taught_tokens is None else taught_tokens.shape[-1]).to(device)
    if recipe.feature_views == 0:
        learner.eval()(preprocess(nothing, model.input))  # gives the lazy map its width
    test_features = features_of(network, public_test.images, model.input, device) if recipe.feature_views > 0 else None
    averaged = copy.deepcopy(network)
    start = copy.deepcopy(network) if recipe.keep_start > 0 else None
    state = State(out / "state.pt", recipe, inputs, learner, averaged, _optimizer(recipe, learner))
    curve = state.load(device)
    forward = processes.wrap_ddp(learner, all_used=recipe.votes > 0)
    if recipe.compile:
        forward = torch.compile(forward)  # type: ignore[assignment]
    prior = batches.labels.bincount(minlength=len(EMOTIONS)).clamp(min=1).log().to(device) * recipe.balance

    for epoch in range(len(curve), recipe.epochs):
        started = time.monotonic()
        losses, hits = torch.zeros((), device=device), torch.zeros((), device=device)
        seed = recipe.seed * 10_000 + epoch
        torch.manual_seed(seed)  # for dropout, so that a resumed training is the uninterrupted one
        generator = torch.Generator(device).manual_seed(seed)
        learner.train()
        for module in frozen:
            module.eval()
        for step, rows in enumerate(batches.order(seed), start=epoch * batches.an_epoch):
            if max_steps is not None and step >= max_steps:
                return averaged, curve
            rate = learning_rate(recipe, step, steps)
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            batch = batches.draw(rows, step, generator).part(own)
            with autocast, _attention_for(device):
                logits, matched = forward(batch.x)
            logits = {name: values.float() for name, values in logits.items()}
            loss = compute_loss(recipe, batch, logits, matched, prior)

            state.optimizer.zero_grad(set_to_none=True)
            with _attention_for(device):
                loss.backward()
            nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
            state.optimizer.step()
            _average(averaged, network, min(recipe.ema, (1 + step) / (10 + step)))
            losses += loss.detach()
            hits += (logits["fer2013"].argmax(1) == batch.labels).float().mean()
            if on_step is not None:
                on_step(step + 1, steps, loss.detach())
        train_loss, train_accuracy = (processes.mean(total) / batches.an_epoch for total in (losses, hits))
        if processes.rank() > 0:  # the first process measures and writes
            continue
        if test_features is None:
            answers = predict(averaged, model.input, public_test.images, device)
        else:
            answers = predict_from_features(averaged, test_features)
        test_logits, test_labels = answers["fer2013"], public_test.labels
        curve.append(
            Epoch(
                epoch=epoch + 1,
                learning_rate=rate,
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                public_test_loss=float(F.cross_entropy(test_logits, torch.from_numpy(test_labels))),
                public_test_accuracy=float((test_logits.argmax(1).numpy() == test_labels).mean()),
                seconds=time.monotonic() - started,
                public_test_crowd=crowd_agreement(answers, public_test),
            )
        )
        state.save(curve)
        write_curve(out / "curve.csv", curve)
        if on_epoch is not None:
            on_epoch(curve[-1])
    if start is not None:
        _average(averaged, start, 1 - recipe.keep_start)
    if frozen:
        averaged.requires_grad_(True)  # a later stage may train them
    return averaged, curve


def _checksum_of_inputs(
    train_faces: FerSplit, public_test: FerSplit, network: nn.Module | None, teachers: Sequence[Teacher]
) -> str:
    networks = [*([] if network is None else [network]), *(teacher for teacher, _ in teachers)]
    arrays = [array for faces in (train_faces, public_test) for array in (faces.images, faces.labels, faces.votes)]
    return checksum(
        *(array for array in arrays if array is not None),
        *(tensor for network in networks for tensor in network.state_dict().values()),
    )


def _network(recipe: Recipe, network: nn.Module | None) -> nn.Module:
    """The network to train, with the heads that the recipe wants; raises DataError where it cannot have them."""
    try:
        if network is None:
            return get_model(recipe.model).build(**recipe.network_config)
        if recipe.votes > 0:
            add_heads(network, recipe.head_names)
    except (TypeError, ValueError) as error:
        raise DataError(f"the recipe of {recipe.model} cannot be built: {error}") from None
    return network


def training_autocast(device: str) -> AbstractContextManager[Any]:
    """bfloat16 where the device computes in it; on a processor without such instructions it is slower than float32."""
    if torch.device(device).type == "cpu" and not has_bfloat16():
        return nullcontext()
    return torch.autocast(torch.device(device).type, torch.bfloat16)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """One-cycle (Smith & Topin 2018, https://arxiv.org/abs/1708.07120): linear rise, cosine fall to 0; or constant."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    rise = max(1.0, recipe.warmup * steps)
    if step < rise:
        return recipe.learning_rate * (step + 1) / (rise + 1)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


def predict(
    network: nn.Module, input_spec: InputSpec, images: NDArray[np.uint8], device: str = "cpu"
) -> dict[str, Tensor]:
    """(N, 48, 48) -> head: (N, 7) float32 logits on the CPU, in full precision."""
    network.eval()
    answers = [infer(network, batch, input_spec, device) for batch in torch.from_numpy(images).split(256)]
    return {name: torch.cat([logits[name].float().cpu() for logits in answers]) for name in answers[0]}


@torch.inference_mode()
def predict_from_features(network: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """(N, width) features -> head: (N, 7) float32 logits on the CPU."""
    network.eval()
    return {name: logits.float().cpu() for name, logits in network.forward_head(features).items()}  # type: ignore[operator]


def _check(recipe: Recipe, train_faces: FerSplit, teachers: Sequence[Teacher]) -> None:
    if (recipe.votes > 0 or recipe.vote_targets > 0) and train_faces.votes is None:
        raise DataError("the recipe learns from FER+ votes: give fer2013new.csv with --ferplus")
    if recipe.distill == 0 and (recipe.match > 0 or recipe.distill_views > 0 or recipe.distill_mean > 0):
        raise DataError("the recipe's match, distill_views and distill_mean want a teacher: set distill too")
    if recipe.distill_mean > 0 and (recipe.match > 0 or recipe.distill_views > 0):
        raise DataError("the recipe's distill_mean goes with neither match nor distill_views: leave one of them out")
    if recipe.reframed > 0 and recipe.distill_views > 0:
        raise DataError("the recipe's distill_views keeps the faces as they are: leave it or reframed out")
    if recipe.distill_votes > 0 and (recipe.distill == 0 or recipe.votes == 0):
        raise DataError("the recipe's distill_votes wants a crowd head and a teacher: set votes and distill too")
    if recipe.distill_votes > 0 and not any("crowd" in getattr(teacher, "heads", ()) for teacher, _ in teachers):
        raise DataError(
            "the recipe's distill_votes wants a teacher with a crowd head, and none of the teachers has one"
        )
    if recipe.feature_views > 0 and (recipe.distill > 0 or recipe.erase > 0 or recipe.mixup > 0):
        raise DataError("the recipe's feature_views goes with none of distill, erase and mixup: set them to 0")
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


def _attention_for(device: str) -> AbstractContextManager[None]:
    """Use plain matrix products for attention on a CPU: its fused kernel's backward pass takes a quarter of a step."""
    return nullcontext() if device.startswith("cuda") else sdpa_kernel(SDPBackend.MATH)


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    pairs = list(zip(averaged.state_dict().values(), network.state_dict().values(), strict=True))
    floats = [pair for pair in pairs if pair[0].dtype.is_floating_point]
    torch._foreach_lerp_([kept for kept, _ in floats], [new for _, new in floats], 1 - decay)
    for kept, new in pairs:
        if not kept.dtype.is_floating_point:
            kept.copy_(new)
