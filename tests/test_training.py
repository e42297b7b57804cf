"""Training: recipes, targets, resuming, and the whole command on a small data set that can be learnt."""

from __future__ import annotations

import copy
import csv
import json
import math
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from conftest import ROOT

from ferwatch.errors import DataError, FerwatchError, WeightsError
from ferwatch.evaluation.fer2013 import VOTE_OF_EMOTION, VOTES, Faces
from ferwatch.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ferwatch.models.pretrained import read_metadata
from ferwatch.models.registry import get_model
from ferwatch.models.vit_b_16 import ViT
from ferwatch.training import stages
from ferwatch.training.batches import Batches
from ferwatch.training.distillation import Teacher
from ferwatch.training.finalize import finalize, multiply_adds
from ferwatch.training.imagenet import pretrained_vit
from ferwatch.training.recipe import Recipe, as_toml, read_recipe, shipped_recipe
from ferwatch.training.reframe import reframe
from ferwatch.training.stages import train_stages
from ferwatch.training.trainer import learning_rate, predict, train

RECIPES = sorted(shipped_recipe("cnn").parent.glob("*.toml"))


def some_faces(n: int, seed: int = 0) -> Faces:
    """Noise with a bar whose height on the face says the label: something a small network learns at once."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 7
    images = rng.integers(60, 120, (n, 48, 48))
    for image, label in zip(images, labels, strict=True):
        image[3 + 6 * label : 8 + 6 * label, 6:42] += 120
    return Faces(images.astype(np.uint8), labels, rng.integers(0, 4, (n, 9)).astype(np.float32))


def with_votes_for_the_next(faces: Faces) -> Faces:
    """The faces, and ten votes each for the emotion after the label."""
    votes = np.zeros((len(faces), 9), np.float32)
    votes[np.arange(len(faces)), np.array(VOTE_OF_EMOTION)[(faces.labels + 1) % 7]] = 10
    return Faces(faces.images, faces.labels, votes)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_starts_and_runs_two_steps_and_resumes(path: Path, tmp_path: Path) -> None:
    """Stopped after its first epoch of two steps and taken up again, a training is the uninterrupted one."""
    recipe = replace(read_recipe(path), epochs=2, batch_size=2, compile=False, starts_from="")
    if recipe.model == "vit-b-16":
        recipe = replace(recipe, config={"width": 64, "heads": 1, "layers": 2})
    faces, test = some_faces(4), some_faces(3)
    teachers = [(get_model("cnn").build().eval(), get_model("cnn").input)]
    losses: dict[str, list[float]] = {"whole": [], "parts": []}

    def run(name: str, max_steps: int | None) -> torch.nn.Module:
        return train(
            recipe,
            faces,
            test,
            tmp_path / name,
            teachers=teachers,
            max_steps=max_steps,
            on_step=lambda _step, _steps, loss: losses[name].append(loss),
        )[0]

    whole = run("whole", None)
    run("parts", 2)
    parts = run("parts", None)
    assert len(losses["parts"]) == 4
    assert losses["parts"] == losses["whole"]
    assert all(math.isfinite(loss) for loss in losses["whole"])
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name])
    assert len((tmp_path / "parts" / "curve.csv").read_text().splitlines()) == 3


def test_another_recipe_does_not_continue_a_training(tmp_path: Path) -> None:
    recipe = Recipe("report-vit", epochs=1, batch_size=4)
    train(recipe, some_faces(8), some_faces(3), tmp_path)
    with pytest.raises(DataError, match=r"state\.pt is of another recipe"):
        train(replace(recipe, learning_rate=0.2), some_faces(8), some_faces(3), tmp_path)
    (tmp_path / "state.pt").write_bytes(b"half")
    with pytest.raises(WeightsError, match=r"state\.pt is damaged"):
        train(recipe, some_faces(8), some_faces(3), tmp_path)


def test_what_the_data_lacks_is_said_before_training(tmp_path: Path) -> None:
    faces = some_faces(8)
    with pytest.raises(DataError, match="--ferplus"):
        train(Recipe("report-vit", votes=0.5), Faces(faces.images, faces.labels), faces, tmp_path)
    with pytest.raises(DataError, match="--teacher"):
        train(Recipe("report-vit", distill=0.5), faces, faces, tmp_path)
    with pytest.raises(DataError, match="set distill too"):
        train(Recipe("report-vit", distill_mean=2), faces, faces, tmp_path)
    with pytest.raises(DataError, match="goes with neither match nor distill_views"):
        train(Recipe("small-vit", distill=0.5, distill_mean=2, match=1.0), faces, faces, tmp_path)
    with pytest.raises(DataError, match="leave it or reframed out"):
        train(Recipe("small-vit", distill=0.5, distill_views=2, reframed=0.5), faces, faces, tmp_path)
    with pytest.raises(DataError, match="8 training images are fewer than a batch of 128"):
        train(Recipe("report-vit"), faces, faces, tmp_path)


@pytest.mark.parametrize("distill_mean", [0, 2])
def test_a_student_follows_its_teacher_instead_of_the_labels(tmp_path: Path, distill_mean: int) -> None:
    class Contrary(torch.nn.Module):
        """Always sure of the class after the one the bar shows."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            bars = torch.stack([x[:, 0, 3 + 6 * c : 8 + 6 * c, 20:28].mean(dim=(1, 2)) for c in range(7)], dim=1)
            return torch.nn.functional.one_hot((bars.argmax(dim=1) + 1) % 7, 7) * 20.0

    faces = some_faces(280)
    recipe = Recipe("report-cnn", epochs=25, batch_size=28, optimizer="adam", learning_rate=3e-3, augment=0, erase=0)
    recipe = replace(recipe, mirror=False, ema=0.9, distill=1.0, distill_mean=distill_mean)
    network, _ = train(recipe, faces, faces, tmp_path, teachers=[(Contrary(), get_model("cnn").input)])
    with torch.no_grad():
        answers = network(_small(faces))["fer2013"].argmax(1)
    assert (answers.numpy() == (faces.labels + 1) % 7).mean() > 0.9


def test_without_other_teachers_a_network_learns_from_the_one_it_starts_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Recipe("report-cnn", epochs=25, batch_size=28, optimizer="adam", learning_rate=3e-3, augment=0, erase=0)
    first = replace(first, mirror=False, ema=0.9)
    (tmp_path / "first.toml").write_text(as_toml(first))
    faces = some_faces(280)
    train(first, faces, faces, tmp_path / "out" / "first")
    mislabelled = Faces(faces.images, (faces.labels + 1) % 7)
    second = replace(first, epochs=3, starts_from="first", distill=1.0)
    handed: list[torch.nn.Module] = []

    def watched(*args: Any, network: torch.nn.Module | None, teachers: Sequence[Teacher], **options: Any) -> Any:
        if network is not None:  # the second stage
            handed.extend([network, teachers[0][0]])
        return train(*args, network=network, teachers=teachers, **options)

    monkeypatch.setattr(stages, "train", watched)
    trained = train_stages(second, tmp_path, mislabelled, faces, tmp_path / "out")
    with torch.no_grad():
        answers = trained.network(_small(faces))["fer2013"].argmax(1)
    assert (answers.numpy() == faces.labels).mean() > 0.9
    network, teacher = handed
    assert teacher is not network, "what a network is taught must not change as it learns"


def test_votes_may_be_learnt_instead_of_the_labels(tmp_path: Path) -> None:
    faces = some_faces(280)
    votes = np.zeros((280, 9), np.float32)
    votes[np.arange(280), np.array(VOTE_OF_EMOTION)[(faces.labels + 1) % 7]] = 8
    votes[:, VOTES.index("unknown")] = 2
    votes[:40] = 0  # nobody voted: the label stays
    recipe = Recipe("report-cnn", batch_size=28, augment=0, mirror=False, erase=0, vote_targets=0.75, label_smoothing=0)
    cpu = torch.autocast("cpu", torch.bfloat16)
    batches = Batches(recipe, get_model("report-cnn"), Faces(faces.images, faces.labels, votes), [], "cpu", cpu)
    for rows, share in ((torch.arange(28), 1.0), (torch.arange(100, 128), 0.25)):
        target = batches.draw(rows, 0, torch.Generator().manual_seed(0)).target
        np.testing.assert_allclose(target.sum(dim=1), 1, rtol=1e-6)
        labels = torch.from_numpy(faces.labels)[rows]
        np.testing.assert_allclose(target[torch.arange(28), labels], share)
        np.testing.assert_allclose(target[torch.arange(28), (labels + 1) % 7], 1 - share)
    with pytest.raises(DataError, match="--ferplus"):
        train(recipe, Faces(faces.images, faces.labels), faces, tmp_path)


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


def test_so_many_training_faces_as_the_recipe_says_are_framed_as_a_video_s_are() -> None:
    astronaut = skimage.data.astronaut()[30:210, 130:310].mean(axis=2).astype(np.uint8)
    face = cv2.resize(astronaut, (48, 48), interpolation=cv2.INTER_AREA)
    faces = Faces(np.stack([face] * 64), np.zeros(64, np.int64))
    recipe = Recipe("cnn", batch_size=64, augment=0, mirror=False, erase=0, reframed=0.3)
    batches = Batches(recipe, get_model("cnn"), faces, (), "cpu", torch.autocast("cpu", torch.bfloat16))
    as_they_are = Batches(replace(recipe, reframed=0.0), get_model("cnn"), faces, (), "cpu", batches.autocast)
    rows, generator = torch.arange(64), torch.Generator().manual_seed(0)
    seen, plain = batches.draw(rows, 0, generator).x, as_they_are.draw(rows, 0, generator).x
    other = [bool((one - two).abs().max() > 0.1) for one, two in zip(seen, plain, strict=True)]
    assert 8 <= sum(other) <= 32


def test_a_training_face_is_framed_as_a_video_s_is() -> None:
    astronaut = skimage.data.astronaut()[30:210, 130:310].mean(axis=2).astype(np.uint8)
    upright = cv2.resize(astronaut, (48, 48), interpolation=cv2.INTER_AREA)
    turn = cv2.getRotationMatrix2D((24, 24), 25, 0.9)
    turned = cv2.warpAffine(upright, turn, (48, 48), borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
    one, other, none = reframe(np.stack([upright, turned, noise]))
    assert np.array_equal(none, noise), "no face: as it was"

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a.astype(float) - b)[10:40, 10:40].mean())

    assert apart(one, other) < 0.5 * apart(upright, turned)


def _small(faces: Faces) -> torch.Tensor:
    x = torch.from_numpy(faces.images).unsqueeze(1) / 255
    return torch.nn.functional.interpolate(x, size=(32, 32), mode="bilinear", antialias=True)


def test_a_balanced_loss_asks_for_the_rare_class(tmp_path: Path) -> None:
    """Where the picture says nothing, a plain loss answers by frequency and an adjusted one does not."""
    rng = np.random.default_rng(0)
    faces = Faces(rng.integers(0, 256, (256, 48, 48)).astype(np.uint8), np.where(np.arange(256) % 16 == 0, 1, 3))
    shares = []
    for balance in (0.0, 1.0):
        recipe = Recipe("report-vit", epochs=6, batch_size=32, optimizer="adam", learning_rate=3e-3, balance=balance)
        network, _ = train(replace(recipe, label_smoothing=0.0, clean=False), faces, faces, tmp_path / str(balance))
        with torch.no_grad():
            shares.append(float(network(_small(faces))["fer2013"].softmax(dim=1)[:, 1].mean()))
    assert shares[0] < 0.12
    assert shares[1] > 2 * shares[0]


def test_the_one_cycle_schedule_rises_and_falls_to_zero() -> None:
    recipe = Recipe("cnn", learning_rate=0.1, warmup=0.1)
    rates = [learning_rate(recipe, step, 1000) for step in range(1000)]
    assert max(rates) == pytest.approx(0.1, rel=0.02)
    assert np.argmax(rates) == pytest.approx(100, abs=1)
    assert rates[0] < 0.002
    assert rates[-1] < 1e-5
    assert learning_rate(replace(recipe, schedule="constant"), 999, 1000) == 0.1


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
    ):
        (tmp_path / "b.toml").write_text(text)
        with pytest.raises(DataError, match=told):
            read_recipe(tmp_path / "b.toml")
    with pytest.raises(DataError, match=r"none\.toml cannot be read"):
        read_recipe(tmp_path / "none.toml")


def test_multiply_adds_of_the_reports_cnn_by_hand() -> None:
    by_hand = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 6 * 25 + 400 * 120 + 120 * 84 + 84 * 7
    assert multiply_adds(get_model("report-cnn").build().eval(), get_model("report-cnn").input) == by_hand


def test_the_crowd_head_learns_the_votes_and_the_fer2013_head_the_labels(tmp_path: Path) -> None:
    """The votes are for the emotion after the label: each head answers its own question."""
    faces = with_votes_for_the_next(some_faces(280))
    config = {"width": 48, "depth": 2, "heads": 3}
    recipe = Recipe("small-vit", config, epochs=20, batch_size=28, optimizer="adam", learning_rate=3e-3, votes=1.0)
    recipe = replace(recipe, augment=0, mirror=False, erase=0, ema=0.9, label_smoothing=0.0)
    network, curve = train(recipe, faces, faces, tmp_path)
    answers = predict(network, get_model("small-vit").input, faces.images)
    assert (answers["fer2013"].argmax(1).numpy() == faces.labels).mean() > 0.9
    assert (answers["crowd"].argmax(1).numpy() == (faces.labels + 1) % 7).mean() > 0.9
    assert curve[-1].public_test_crowd == (answers["crowd"].argmax(1).numpy() == (faces.labels + 1) % 7).mean()


def test_votes_for_other_choices_make_an_image_weigh_less() -> None:
    votes = np.zeros((4, 9), np.float32)
    votes[0, [VOTE_OF_EMOTION[3], VOTES.index("contempt")]] = 5
    votes[1, VOTE_OF_EMOTION[0]] = 10
    votes[2, VOTES.index("unknown")] = 10
    faces = some_faces(4)
    recipe = Recipe("cnn", batch_size=4, augment=0, mirror=False, erase=0, votes=1.0)
    batches = Batches(recipe, get_model("cnn"), Faces(faces.images, faces.labels, votes), [], "cpu", nullcontext())
    drawn = batches.draw(torch.arange(4), 0, torch.Generator().manual_seed(0)).votes
    expected = torch.zeros(4, 7)
    expected[0, 3], expected[1, 0] = 0.5, 1.0
    assert torch.equal(drawn, expected)


@pytest.mark.parametrize("feature_views", [0, 2])
def test_what_is_frozen_stays_as_it_is(tmp_path: Path, feature_views: int) -> None:
    """Weights and batch statistics; with feature_views all but the heads that are not named."""
    faces = with_votes_for_the_next(some_faces(56))
    recipe = Recipe("cnn", config={"widths": [8, 8, 8], "blocks": 1}, epochs=2, batch_size=28, erase=0, votes=1.0)
    frozen = ["heads.fer2013"] if feature_views else ["stem", "stages.0"]
    recipe = replace(recipe, frozen=frozen, feature_views=feature_views, ema=0.5, augment=0.1)
    network = get_model("cnn").build(**recipe.network_config)
    before = copy.deepcopy(network.state_dict())
    after = train(recipe, faces, faces, tmp_path, network=network)[0].state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    if feature_views:
        assert set(before) - same == {"heads.crowd.weight", "heads.crowd.bias"}
    else:
        assert {name for name in before if name.startswith(("stem.", "stages.0."))} <= same
        assert {"stages.2.conv1.weight", "heads.fer2013.weight", "heads.crowd.weight"}.isdisjoint(same)


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


def test_the_prior_correction_and_the_blend_are_written_into_the_checkpoint(tmp_path: Path) -> None:
    faces = with_votes_for_the_next(some_faces(70))
    faces.labels[:7] = 0  # angry is a little more frequent, and what follows it, by the votes, is not
    config = {"widths": [8, 8, 8], "blocks": 1}
    recipe = Recipe(
        "cnn", config=config, votes=1.0, prior_correction={"crowd": 0.5, "fer2013": -0.25}, crowd_weight=0.6
    )
    network = get_model("cnn").build(**recipe.network_config).eval()
    everything = np.ones(len(faces), bool)
    files = finalize(network, recipe, [], faces, faces, everything, tmp_path, command="ferwatch train --model cnn")
    made = load_checkpoint(files[0], "cnn")
    assert made.crowd_weight == 0.6
    shares = np.bincount(faces.labels, minlength=7) / 70
    np.testing.assert_allclose(made.calibration("fer2013").offsets, 0.25 * np.log(shares))
    np.testing.assert_allclose(made.calibration("crowd").offsets, -0.5 * np.log(np.full(7, 1 / 7)))
    card = (tmp_path / "cnn.md").read_text()
    assert "What people see: the crowd head" in card
    assert "A video uses 60% of this head's probabilities" in card
    assert {"cnn-confusion.png", "cnn-crowd-confusion.png"} <= {file.name for file in files}
    assert recipe.trains_like(replace(recipe, prior_correction={}, crowd_weight=1.0))
    assert not recipe.trains_like(replace(recipe, seed=1))


def test_vit_b_16_grows_out_of_a_narrow_one(tmp_path: Path) -> None:
    config = "config = { width = 64, heads = 1, layers = 2 }\nbatch_size = 2\nerase = 0.0\naugment = 0.0\n"
    (tmp_path / "narrow.toml").write_text('model = "vit-b-16"\nepochs = 1\n' + config)
    recipe = Recipe("vit-b-16", epochs=0, batch_size=2, starts_from="narrow")
    faces = some_faces(4)
    trained = train_stages(recipe, tmp_path, faces, faces, tmp_path / "out")
    assert isinstance(trained.network, ViT)
    assert trained.network.hidden_dim == 768
    assert [stage.config["width"] for stage in trained.stages] == [64]
    assert [epoch.epoch for epoch in trained.curve] == [1]
    assert (tmp_path / "out" / "narrow" / "state.pt").exists()


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in the folder layout."""
    root = tmp_path_factory.mktemp("fer2013")
    for split, n, seed in (("train", 140, 0), ("public_test", 70, 1)):
        faces = some_faces(n, seed)
        for i, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
            place = root / split / ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")[label]
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f"{i:05d}.png"), image)
    return root


def test_the_command_trains_resumes_and_writes_what_evaluate_reads(
    ferwatch: Callable[..., object], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "quick.toml").write_text(
        'model = "report-cnn"\nepochs = 12\nbatch_size = 14\noptimizer = "adam"\nlearning_rate = 3e-3\n'
        "augment = 0.0\nmirror = false\nerase = 0.0\nema = 0.9\n"
    )
    command = ["train", "--model", "report-cnn", "--data", folder, "--recipe", "quick.toml", "--out", "trained"]
    done = ferwatch(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch ") == 12
    assert "\r" not in done.stderr
    path = tmp_path / "trained" / "report-cnn.safetensors"
    told = read_metadata(path)["about"]
    assert told["command"].startswith("ferwatch train --model report-cnn --data ")
    assert str(folder.parent) not in json.dumps(told)
    assert told["public_test"]["accuracy"] > 0.9
    card = (tmp_path / "trained" / "report-cnn.md").read_text()
    assert f"{told['public_test']['accuracy']:.2%}" in card
    assert "learning_rate = 0.003" in card
    load_checkpoint(path, "report-cnn")  # whose checksum the card states
    for name in ("curves", "confusion", "reliability"):
        assert cv2.imread(str(tmp_path / "trained" / f"report-cnn-{name}.png")).std() > 5
    with open(tmp_path / "trained" / "report-cnn-curve.csv") as f:
        curve = list(csv.DictReader(f))
    assert float(curve[-1]["train_loss"]) < float(curve[0]["train_loss"])

    again = ferwatch(*command)  # complete: it is only measured and written again
    assert "epoch " not in again.stdout
    assert read_metadata(path)["about"]["public_test"] == told["public_test"]

    weights = ["--weights", path, "--json", "figures.json", "--out", "pictures"]
    shown = ferwatch("evaluate", "--model", "report-cnn", "--data", folder, *weights)
    assert shown.returncode == 0, shown.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["per_class"] == told["public_test"]["per_class"]
    assert figures["n"] == 70
    assert f"({figures['correct']}/70)" in shown.stdout
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2


def test_wrong_use_is_told_in_one_line(ferwatch: Callable[..., object], folder: Path) -> None:
    for arguments, code, told in (
        (["train", "--model", "resnet", "--data", folder], 1, "there is no model 'resnet'"),
        (["train", "--model", "cnn", "--data", folder, "--pretrained", "imagenet"], 2, "--pretrained is for vit-b-16"),
        (["train", "--model", "cnn", "--data", "nowhere.csv"], 1, "nowhere.csv cannot be read"),
        (["evaluate", "--model", "cnn", "--data", folder, "--weights", "no.safetensors"], 1, "no.safetensors"),
    ):
        result = ferwatch(*arguments)
        assert result.returncode == code, arguments
        assert told in result.stderr
        assert "Traceback" not in result.stderr


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


def test_two_processes_train_like_one(folder: Path, tmp_path: Path) -> None:
    """With DistributedDataParallel over gloo: the same batches, so the same losses but for rounding."""
    (tmp_path / "short.toml").write_text(
        'model = "report-vit"\nepochs = 3\nbatch_size = 14\noptimizer = "adam"\nlearning_rate = 3e-3\nmixup = 0.2\n'
    )
    curves = []
    for out, start in (("one", []), ("two", ["torch.distributed.run", "--nproc_per_node=2", "-m"])):
        words = ["train", "--model", "report-vit", "--data", folder, "--recipe", "short.toml", "--out", out]
        done = subprocess.run(
            [sys.executable, "-m", *start, "ferwatch", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("epoch ") == 3
        with open(tmp_path / out / "curve.csv") as f:
            curves.append([(float(row["train_loss"]), float(row["public_test_loss"])) for row in csv.DictReader(f)])
    np.testing.assert_allclose(curves[0], curves[1], rtol=2e-3)
