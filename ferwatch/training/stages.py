"""A whole training: its teachers, the stages before it, and the training itself."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from ferwatch.errors import DataError
from ferwatch.evaluation.fer2013 import FerSplit
from ferwatch.faces.model_file import find_face_model
from ferwatch.models.checkpoint import Checkpoint, load_checkpoint
from ferwatch.models.pretrained import read_metadata, shipped_weights
from ferwatch.models.registry import MODELS, get_model
from ferwatch.models.small_vit import SmallViT
from ferwatch.training.curves import Epoch
from ferwatch.training.distillation import Teacher
from ferwatch.training.recipe import Recipe, read_recipe
from ferwatch.training.small_vit_as_vit import small_vit_as_vit
from ferwatch.training.trainer import train


@dataclass(frozen=True)
class Trained:
    """Result of a stage."""

    network: nn.Module
    curve: list[Epoch]
    """Seconds, epochs and figures of all stages, in order."""
    stages: list[Recipe]
    """The recipes of the stages before the last."""
    earlier: dict[str, Teacher]
    """What came of each of those, by the recipe's name."""


def train_stages(
    recipe: Recipe,
    recipes: Path,
    train_faces: FerSplit,
    public_test: FerSplit,
    out: Path,
    *,
    teachers: Sequence[Path] = (),
    network: nn.Module | None = None,
    start: Checkpoint | None = None,
    **options: Any,
) -> Trained:
    """Trains a recipe and, in out/NAME before it, the recipe NAME from the folder `recipes` that it starts from.

    Args:
        start: what came of one of those earlier recipes, so that neither it nor those before it need be trained; if it
            came of this recipe itself, nothing is trained.
        teachers: weights to learn from; without them what came of the earlier stages that the recipe names, or the
            shipped ones of the models that it names.
        network, options: passed on to `trainer.train`.
    """
    if start is not None and network is None and (finished := _finished(start, recipe)) is not None:
        return finished
    before: Trained | None = None
    earlier: dict[str, Teacher] = {}
    if recipe.reframed > 0 and not (out / "reframed.pt").is_file():
        find_face_model()  # while its absence costs nothing, not after hours of earlier stages
    if recipe.starts_from and network is None:
        first = read_recipe(recipes / f"{recipe.starts_from}.toml")
        before = None if start is None else _finished(start, first)
        if before is None:
            before = train_stages(
                first,
                recipes,
                train_faces,
                public_test,
                out / recipe.starts_from,
                teachers=teachers,
                start=start,
                **options,
            )
        network = before.network
        # A copy: the network itself goes on learning.
        earlier = before.earlier | {recipe.starts_from: (copy.deepcopy(network), get_model(first.model).input)}
    elif start is not None and network is None:
        raise DataError("the weights to start from came of none of the recipes from which this one starts")
    elif recipe.blocks_from and network is None:
        small = load_checkpoint(shipped_weights(recipe.blocks_from), recipe.blocks_from).network
        assert isinstance(small, SmallViT)
        network = small_vit_as_vit(small)
    loaded: list[Teacher] = []
    if recipe.distill > 0:
        loaded = load_teachers(teachers)
        for name in [] if teachers else recipe.teachers or list(earlier)[-1:]:
            if name not in earlier:
                earlier[name] = _teacher(name, recipes, train_faces, public_test, out / name, options)
            loaded.append(earlier[name])
    trained, curve = train(recipe, train_faces, public_test, out, network=network, teachers=loaded, **options)
    if before is None:
        return Trained(trained, curve, [], earlier)
    later = [replace(epoch, epoch=epoch.epoch + len(before.curve)) for epoch in curve]
    return Trained(trained, before.curve + later, [*before.stages, first], earlier)


def _teacher(
    name: str, recipes: Path, train_faces: FerSplit, public_test: FerSplit, out: Path, options: dict[str, Any]
) -> Teacher:
    """The shipped network of a model of this name, or what comes of the recipe of this name, trained in `out`."""
    if name in MODELS:
        return load_teachers([shipped_weights(name)])[0]
    recipe = read_recipe(recipes / f"{name}.toml")
    trained = train_stages(recipe, recipes, train_faces, public_test, out, **options)
    return trained.network, get_model(recipe.model).input


def _finished(start: Checkpoint, recipe: Recipe) -> Trained | None:
    """Return the result of a recipe where a checkpoint holds it; else None.

    A checkpoint holds what its own recipe gave; and where that one trained nothing, also what the recipe before gave.
    """
    made_by = [Recipe(**values) for values in (*start.about.get("stages", ()), start.about.get("recipe")) if values]
    if made_by and made_by[-1].trains_like(recipe):
        return Trained(start.network, [], made_by[:-1], {})
    if len(made_by) > 1 and made_by[-1].epochs == 0 and made_by[-2].trains_like(recipe):
        return Trained(start.network, [], made_by[:-2], {})
    return None


def load_teachers(files: Sequence[Path]) -> list[Teacher]:
    """The networks of some of our checkpoints; each says itself which model it is of."""
    checkpoints = [load_checkpoint(file, read_metadata(file)["model"]) for file in files]
    return [(checkpoint.network, checkpoint.input) for checkpoint in checkpoints]
