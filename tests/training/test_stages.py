"""Trainings of several stages, teachers, and networks to start from."""

from __future__ import annotations

import copy
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from training_faces import small_input, some_faces, with_votes_for_the_next

from ferwatch.errors import DataError, FerwatchError, WeightsError
from ferwatch.evaluation.fer2013 import FerSplit
from ferwatch.models.checkpoint import Checkpoint, save_checkpoint
from ferwatch.models.registry import get_model
from ferwatch.training import stages
from ferwatch.training.distillation import Teacher
from ferwatch.training.imagenet import pretrained_vit
from ferwatch.training.recipe import Recipe, as_toml
from ferwatch.training.stages import train_stages
from ferwatch.training.trainer import train


def test_without_other_teachers_a_network_learns_from_the_one_it_starts_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Recipe("report-cnn", epochs=25, batch_size=28, optimizer="adam", learning_rate=3e-3, augment=0, erase=0)
    first = replace(first, mirror=False, ema=0.9)
    (tmp_path / "first.toml").write_text(as_toml(first))
    faces = some_faces(280)
    mislabelled = FerSplit(faces.images, (faces.labels + 1) % 7)
    second = replace(first, epochs=3, starts_from="first", distill=1.0)
    handed: list[torch.nn.Module] = []

    def watched(
        recipe: Recipe, train_faces: FerSplit, *args: Any, network: Any, teachers: Sequence[Teacher], **options: Any
    ) -> Any:
        if network is None:  # the first stage sees the true labels
            train_faces = faces
        else:
            handed.extend([network, teachers[0][0]])
        return train(recipe, train_faces, *args, network=network, teachers=teachers, **options)

    monkeypatch.setattr(stages, "train", watched)
    trained = train_stages(second, tmp_path, mislabelled, faces, tmp_path / "out")
    with torch.no_grad():
        answers = trained.network(small_input(faces))["fer2013"].argmax(1)
    assert (answers.numpy() == faces.labels).mean() > 0.9
    network, teacher = handed
    assert teacher is not network, "what a network is taught must not change as it learns"


def test_a_recipe_may_name_the_earlier_stages_that_teach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Recipe("report-cnn", epochs=1, batch_size=28, optimizer="adam", erase=0)
    (tmp_path / "first.toml").write_text(as_toml(plain))
    (tmp_path / "second.toml").write_text(as_toml(replace(plain, starts_from="first", seed=1)))
    (tmp_path / "third.toml").write_text(as_toml(replace(plain, starts_from="second", seed=2)))
    last = replace(plain, starts_from="third", teachers=["first", "third"], distill=0.5)
    results: list[torch.nn.Module] = []
    taught_by: list[list[torch.nn.Module]] = []

    def watched(*args: Any, teachers: Sequence[Teacher], **options: Any) -> Any:
        taught_by.append([network for network, _ in teachers])
        trained = train(*args, teachers=teachers, **options)
        results.append(copy.deepcopy(trained[0]))
        return trained

    monkeypatch.setattr(stages, "train", watched)
    faces = some_faces(280)
    train_stages(last, tmp_path, faces, faces, tmp_path / "out")
    assert [len(networks) for networks in taught_by] == [0, 0, 0, 2]
    for network, expected in zip(taught_by[-1], (results[0], results[2]), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(network.parameters(), expected.parameters(), strict=True))


def test_a_training_goes_on_from_the_weights_of_an_earlier_stage(tmp_path: Path) -> None:
    plain = Recipe("cnn", config={"widths": [8, 8, 8], "blocks": 1}, epochs=1, batch_size=28, erase=0)
    (tmp_path / "first.toml").write_text(as_toml(plain))
    (tmp_path / "second.toml").write_text(as_toml(replace(plain, starts_from="first", seed=1)))
    last = replace(plain, starts_from="second", seed=2, epochs=0, votes=1.0)
    network = get_model("cnn").build(**plain.config)
    about = {"recipe": replace(plain, starts_from="first", seed=1).as_dict(), "stages": [plain.as_dict()]}
    start = Checkpoint("cnn", network, get_model("cnn").input, config=plain.config, about=about)
    faces = with_votes_for_the_next(some_faces(56))
    trained = train_stages(last, tmp_path, faces, faces, tmp_path / "out", start=start)
    assert [stage.seed for stage in trained.stages] == [0, 1]
    assert not (tmp_path / "out" / "second").exists()
    assert torch.equal(trained.network.stem[0].weight, network.stem[0].weight)
    assert list(trained.network.heads) == ["fer2013", "crowd"]
    other = replace(start, about={"recipe": replace(plain, seed=9).as_dict(), "stages": []})
    with pytest.raises(DataError, match="came of none of the recipes"):
        train_stages(last, tmp_path, faces, faces, tmp_path / "other", start=other)


def test_what_the_recipe_itself_gave_is_not_trained_again(tmp_path: Path) -> None:
    recipe = Recipe("report-cnn", epochs=1, batch_size=28, erase=0)
    network, about = get_model("report-cnn").build(), {"recipe": recipe.as_dict(), "stages": []}
    start = Checkpoint("report-cnn", network, get_model("report-cnn").input, about=about)
    faces = some_faces(28)
    calibrated = replace(recipe, vector_scaling={"fer2013": 0.1})
    trained = train_stages(calibrated, tmp_path, faces, faces, tmp_path / "out", start=start)
    assert trained.network is network
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_teaches_whatever_model_it_is_of(tmp_path: Path) -> None:
    from ferwatch.training.stages import load_teachers

    network = get_model("report-vit").build().eval()
    file = save_checkpoint(
        Checkpoint("report-vit", network, get_model("report-vit").input), tmp_path / "x.safetensors"
    )[0]
    ((teacher, to),) = load_teachers([file])
    assert to.size == 32
    assert torch.equal(teacher(torch.ones(1, 1, 32, 32))["fer2013"], network(torch.ones(1, 1, 32, 32))["fer2013"])
    with pytest.raises(FerwatchError, match=r"none\.safetensors"):
        load_teachers([tmp_path / "none.safetensors"])


def test_pretrained_weights_go_in_with_their_positions_resampled(tmp_path: Path) -> None:
    from torchvision.models import vit_b_16  # after our module, which lets torchvision load

    theirs = vit_b_16(image_size=224)
    torch.save(theirs.state_dict(), tmp_path / "vit_b_16.pth")
    ours = pretrained_vit(str(tmp_path / "vit_b_16.pth"), "last")
    assert torch.equal(ours.conv_proj.weight, theirs.conv_proj.weight)
    assert ours.encoder.pos_embedding.shape == (1, 37, 768)
    assert torch.equal(ours.encoder.pos_embedding[:, 0], theirs.encoder.pos_embedding[:, 0])
    learnt = {name.split(".")[2] for name, p in ours.named_parameters() if p.requires_grad and ".layers." in name}
    assert learnt == {"encoder_layer_10", "encoder_layer_11"}
    assert all(p.requires_grad for p in ours.heads.parameters())
    assert not ours.conv_proj.weight.requires_grad
    torch.save({"conv1.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="is no state dict of torchvision's vit_b_16"):
        pretrained_vit(str(tmp_path / "other.pth"), "all")


def test_without_a_network_the_imagenet_weights_are_asked_for_as_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(
        WeightsError, match=r"vit_b_16-[0-9a-f]{8}\.pth cannot be fetched \(Name or .*give them with --pretrained"
    ):
        pretrained_vit("imagenet", "head")
