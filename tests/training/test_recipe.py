"""Recipes as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferwatch.errors import DataError
from ferwatch.training.recipe import Recipe, as_toml, read_recipe


def test_recipes_survive_being_written_and_errors_in_them_are_named(tmp_path: Path) -> None:
    recipe = Recipe("small-vit", config={"width": 96, "pool": "class"}, votes=0.5, teachers=["cnn"], compile=True)
    (tmp_path / "a.toml").write_text(as_toml(recipe))
    assert read_recipe(tmp_path / "a.toml") == recipe
    for text, told in (
        ('model = "cnn"\nepoch = 3', "epoch is no setting"),
        ("epochs = 3", "names no model"),
        ("model = ", "is no TOML file"),
        ('model = "cnn"\nepochs = "many"', "epochs is 'many', which is no int"),
        ('model = "cnn"\noptimizer = "lion"', "optimizer is 'lion', not one of sgd, adam, adamw"),
        ('model = "cnn"\nvideo_offsets = { disguts = -1 }', "it may have numbers for angry, disgust"),
        ('model = "cnn"\nvideo_offsets = { sad = "more" }', "it may have numbers for angry, disgust"),
        ('model = "cnn"\nvector_scaling = { votes = 0.2 }', "it may have numbers for fer2013, crowd"),
    ):
        (tmp_path / "b.toml").write_text(text)
        with pytest.raises(DataError, match=told):
            read_recipe(tmp_path / "b.toml")
    with pytest.raises(DataError, match=r"none\.toml cannot be read"):
        read_recipe(tmp_path / "none.toml")
