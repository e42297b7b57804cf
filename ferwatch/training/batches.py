"""Batches of a training step: augmented faces and their targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ferwatch.errors import DataError
from ferwatch.evaluation.fer2013 import VOTE_OF_EMOTION, FerSplit
from ferwatch.models.checkpoint import read_plain
from ferwatch.models.preprocess import preprocess
from ferwatch.models.registry import Model
from ferwatch.records import EMOTIONS
from ferwatch.training.augment import erase, mix, view
from ferwatch.training.distillation import CachedTargets, Teacher, TeacherTargets, mean_answers, query_teachers
from ferwatch.training.features import features_of_views
from ferwatch.training.recipe import Recipe
from ferwatch.training.state import checksum
from ferwatch.utils.files import atomic_write


@dataclass(frozen=True)
class Batch:
    """N faces, ready for the network, and their targets."""

    x: Tensor
    """(N, channels, side, side)."""
    labels: Tensor
    """(N,) the faces' own, also where mixup changed the faces."""
    target: Tensor
    """(N, 7) shares of the labels."""
    taught: TeacherTargets | None
    votes: Tensor | None
    """(N, 7) shares of all FER+ votes that went to the seven emotions. Where voters chose contempt, or could not tell,
    a row sums to less than 1 and weighs less; where nobody voted it is zero."""

    def part(self, rows: slice) -> Batch:
        """Some of its rows."""
        taught, votes = self.taught, self.votes
        return Batch(
            self.x[rows],
            self.labels[rows],
            self.target[rows],
            None if taught is None else taught.part(rows),
            None if votes is None else votes[rows],
        )


class Batches:
    """Draws the batches of a training; the same ones for the same seed, epoch and step."""

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        faces: FerSplit,
        teachers: Sequence[Teacher],
        device: str,
        autocast: AbstractContextManager[Any],
        folder: Path | None = None,
        network: nn.Module | None = None,
    ) -> None:
        """Raises DataError where there are too few faces for one batch.

        Args:
            network: makes the features, where the recipe's heads learn from features alone.
            folder: what takes long to prepare is kept here, for a training that goes on after an interruption.
        """
        self.folder, self.network = folder, network
        self.recipe, self.model, self.teachers, self.device, self.autocast = recipe, model, teachers, device, autocast
        self.images, self.labels = torch.from_numpy(faces.images), torch.from_numpy(faces.labels)
        wanted = recipe.votes > 0 or recipe.vote_targets > 0
        self.votes = torch.from_numpy(faces.votes) if wanted and faces.votes is not None else None
        self.an_epoch = len(self.labels) // recipe.batch_size
        if self.an_epoch == 0:
            raise DataError(f"{len(self.labels)} training images are fewer than a batch of {recipe.batch_size}")

    @cached_property
    def cached(self) -> CachedTargets:
        """The views about which the teachers are asked once."""
        with self.autocast:
            return CachedTargets.prepare(self.teachers, self.images, self.recipe, self.device)

    @cached_property
    def mean_targets(self) -> TeacherTargets:
        """The teachers' mean answers to some views of each face, which stand for every view of it."""

        def compute() -> dict[str, Tensor]:
            with self.autocast:
                return mean_answers(self.teachers, self.images, self.recipe, self.device)

        weights = [tensor for teacher, _ in self.teachers for tensor in teacher.state_dict().values()]
        recipe = self.recipe
        views = (recipe.side, recipe.augment, recipe.mirror, recipe.vertical_flips, recipe.distill_mean, recipe.seed)
        return TeacherTargets(
            self._kept("teachers", compute, repr((views, recipe.distill_temperature)), *weights), None
        )

    @cached_property
    def features(self) -> Tensor:
        """(views, faces, width): the network's features of some views of each face."""
        assert self.network is not None
        network, recipe = self.network, self.recipe
        views = (recipe.augment, recipe.mirror, recipe.vertical_flips, recipe.side, recipe.feature_views, recipe.seed)
        weights = [tensor for name, tensor in network.state_dict().items() if not name.startswith("heads.")]
        return self._kept(
            "features",
            lambda: {"x": features_of_views(network, self.images, recipe, self.model.input, self.device)},
            repr(views),
            *weights,
        )["x"]

    @cached_property
    def reframed(self) -> Tensor:
        """(faces, 48, 48) uint8: the faces as the detector frames them."""

        def compute() -> dict[str, Tensor]:
            from ferwatch.training.reframe import reframe  # here, so that other trainings do without MediaPipe

            return {"faces": torch.from_numpy(reframe(self.images.numpy()))}

        return self._kept("reframed", compute)["faces"]

    def _kept(
        self, name: str, compute: Callable[[], dict[str, Tensor]], *depends_on: str | Tensor
    ) -> dict[str, Tensor]:
        """Return what `compute` returns, cached in the training's folder for a training that is resumed.

        It is computed anew where the faces or anything else that it depends on differ.
        """
        if self.folder is None:
            return compute()
        made_from = checksum(self.images, *depends_on)
        path = self.folder / f"{name}.pt"
        if path.is_file():
            kept = read_plain(path, "cpu")
            if kept["checksum"] == made_from:
                return {key: tensor.to(self.device) for key, tensor in kept["tensors"].items()}
        tensors = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temp_path:
            torch.save({"checksum": made_from, "tensors": tensors}, temp_path)
        return tensors

    def order(self, seed: int) -> Tensor:
        """(batches an epoch, batch size) rows of the faces."""
        rows = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(seed))
        return rows[: self.an_epoch * self.recipe.batch_size].view(self.an_epoch, -1)

    def draw(self, rows: Tensor, step: int, generator: torch.Generator) -> Batch:
        """The batch of these faces."""
        recipe, labels = self.recipe, self.labels[rows].to(self.device)
        share, other = self._pairs(step, len(rows), generator)
        taught: TeacherTargets | None = None
        if recipe.feature_views > 0:
            which = torch.randint(recipe.feature_views, (len(rows),), generator=generator, device=self.device)
            x = self.features[which, rows.to(self.device)]
        else:
            x, taught = self._faces(rows, generator, share, other)
        target = F.one_hot(labels, len(EMOTIONS)).float()
        target = target.lerp(torch.full_like(target, 1 / len(EMOTIONS)), recipe.label_smoothing)
        votes = None
        if self.votes is not None:
            counts = self.votes[rows].to(self.device)
            target = target.lerp(_of_the_seven(counts, target), recipe.vote_targets)
            votes = mix(counts[:, VOTE_OF_EMOTION] / counts.sum(dim=1, keepdim=True).clamp(min=1), share, other)
        return Batch(x, labels, mix(target, share, other), taught, votes)

    def _faces(
        self, rows: Tensor, generator: torch.Generator, share: Tensor, other: Tensor
    ) -> tuple[Tensor, TeacherTargets | None]:
        """The network's input for these faces, mixed, and what the teachers answer about them."""
        recipe = self.recipe
        taught: TeacherTargets | None = None
        if recipe.distill_views > 0:
            faces, taught = self.cached.pick(rows, generator)
            faces, taught = mix(faces, share, other), taught.mixed(share, other)
        else:
            faces = mix(view(self._images(rows, generator), recipe, generator), share, other)
            if recipe.distill_mean > 0:
                taught = self.mean_targets.part(rows).mixed(share, other)
            elif recipe.distill > 0:
                with self.autocast:
                    taught = query_teachers(self.teachers, faces, recipe)
        x = self._input(faces)
        if recipe.erase > 0:
            x = erase(x, recipe.erase, generator)
        return x.contiguous(memory_format=torch.channels_last), taught

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
        to = self.model.input
        return preprocess(faces, replace(to, size=faces.shape[-1]) if self.model.any_size else to)


def _of_the_seven(counts: Tensor, otherwise: Tensor) -> Tensor:
    """(N, 7) shares of (N, 9) votes among those for one of EMOTIONS; the row of `otherwise` where there are none."""
    seven = counts[:, VOTE_OF_EMOTION]
    cast = seven.sum(dim=1, keepdim=True)
    return torch.where(cast > 0, seven / cast.clamp(min=1), otherwise)
