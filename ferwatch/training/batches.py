"""Batches of a training step: augmented faces and their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ferwatch.errors import DataError
from ferwatch.evaluation.fer2013 import VOTE_OF_EMOTION, Faces
from ferwatch.models.preprocess import normalise, prepare
from ferwatch.models.registry import Model
from ferwatch.records import EMOTIONS
from ferwatch.training.augment import erase, mix, view
from ferwatch.training.distillation import Guidance, Lessons, Teacher, ask, mean_answers
from ferwatch.training.recipe import Recipe
from ferwatch.training.reframe import reframe


@dataclass(frozen=True)
class Batch:
    """N faces, ready for the network, and their targets."""

    x: Tensor
    """(N, channels, side, side)."""
    labels: Tensor
    """(N,) the faces' own, also where mixup changed the faces."""
    target: Tensor
    """(N, 7) shares of the labels."""
    told: Guidance | None
    votes: Tensor | None
    """(N, 9) shares of the FER+ votes; a row of zeros where nobody voted."""

    def part(self, rows: slice) -> Batch:
        """Some of its rows."""
        told, votes = self.told, self.votes
        return Batch(
            self.x[rows],
            self.labels[rows],
            self.target[rows],
            None if told is None else told.part(rows),
            None if votes is None else votes[rows],
        )


class Batches:
    """Draws the batches of a training; the same ones for the same seed, epoch and step."""

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        faces: Faces,
        teachers: Sequence[Teacher],
        device: str,
        autocast: torch.autocast,
    ) -> None:
        """Raises DataError where there are too few faces for one batch."""
        self.recipe, self.model, self.teachers, self.device, self.autocast = recipe, model, teachers, device, autocast
        self.images, self.labels = torch.from_numpy(faces.images), torch.from_numpy(faces.labels)
        wanted = recipe.votes > 0 or recipe.vote_targets > 0
        self.votes = torch.from_numpy(faces.votes) if wanted and faces.votes is not None else None
        self.an_epoch = len(self.labels) // recipe.batch_size
        if self.an_epoch == 0:
            raise DataError(f"{len(self.labels)} training images are fewer than a batch of {recipe.batch_size}")

    @cached_property
    def lessons(self) -> Lessons:
        """The views about which the teachers are asked once."""
        with self.autocast:
            return Lessons.prepare(self.teachers, self.images, self.recipe, self.device)

    @cached_property
    def answers(self) -> Tensor:
        """(faces, 7): what the teachers say of each face, whatever the view."""
        with self.autocast:
            return mean_answers(self.teachers, self.images, self.recipe, self.device)

    @cached_property
    def reframed(self) -> Tensor:
        """(faces, 48, 48) uint8: the faces as the finder frames them."""
        return torch.from_numpy(reframe(self.images.numpy()))

    def order(self, seed: int) -> Tensor:
        """(batches an epoch, batch size) rows of the faces."""
        rows = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(seed))
        return rows[: self.an_epoch * self.recipe.batch_size].view(self.an_epoch, -1)

    def draw(self, rows: Tensor, step: int, generator: torch.Generator) -> Batch:
        """The batch of these faces."""
        recipe, labels = self.recipe, self.labels[rows].to(self.device)
        share, other = self._pairs(step, len(rows), generator)
        told: Guidance | None = None
        if recipe.distill_views > 0:
            faces, told = self.lessons.pick(rows, generator)
            faces, told = mix(faces, share, other), told.mixed(share, other)
        else:
            faces = mix(view(self._images(rows, generator), recipe, generator), share, other)
            if recipe.distill_mean > 0:
                told = Guidance(self.answers[rows], None).mixed(share, other)
            elif recipe.distill > 0:
                with self.autocast:
                    told = ask(self.teachers, faces, recipe)
        x = self._input(faces)
        if recipe.erase > 0:
            x = erase(x, recipe.erase, generator)
        target = F.one_hot(labels, len(EMOTIONS)).float()
        target = target.lerp(torch.full_like(target, 1 / len(EMOTIONS)), recipe.label_smoothing)
        votes = None
        if self.votes is not None:
            counts = self.votes[rows].to(self.device)
            target = target.lerp(_of_the_seven(counts, target), recipe.vote_targets)
            votes = mix(counts / counts.sum(dim=1, keepdim=True).clamp(min=1), share, other)
        return Batch(x.contiguous(memory_format=torch.channels_last), labels, mix(target, share, other), told, votes)

    def _images(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """The faces of these rows, some of them framed as in a video."""
        images = self.images[rows].to(self.device)
        if self.recipe.reframed == 0:
            return images
        chosen = torch.rand(len(rows), 1, 1, generator=generator, device=self.device) < self.recipe.reframed
        return torch.where(chosen, self.reframed[rows].to(self.device), images)

    def _pairs(self, step: int, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return, for each of n images, the share that it keeps and the image that it is mixed with."""
        device, alpha = generator.device, self.recipe.mixup
        if alpha == 0:
            return torch.ones(n, device=device), torch.arange(n, device=device)
        shares = np.random.default_rng([self.recipe.seed, step]).beta(alpha, alpha, n)
        return torch.from_numpy(shares).to(device, torch.float32), torch.randperm(n, generator=generator, device=device)

    def _input(self, faces: Tensor) -> Tensor:
        """A network for any side sees a smaller window as it is, not enlarged: with the whole face later it then sees
        things at the size it learnt them (Touvron et al. 2019, https://arxiv.org/abs/1906.06423)."""
        if self.model.any_side:
            return normalise(faces.unsqueeze(1) / 255, self.model.input.contrast)
        return prepare(faces, self.model.input)


def _of_the_seven(counts: Tensor, otherwise: Tensor) -> Tensor:
    """(N, 7) shares of (N, 9) votes among those for one of EMOTIONS; the row of `otherwise` where there are none."""
    seven = counts[:, VOTE_OF_EMOTION]
    cast = seven.sum(dim=1, keepdim=True)
    return torch.where(cast > 0, seven / cast.clamp(min=1), otherwise)
