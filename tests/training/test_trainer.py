"""The training loop: targets, resuming, frozen parts."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_faces import small_input, some_faces, with_votes_for_the_next

from ferwatch.errors import DataError, WeightsError
from ferwatch.evaluation.fer2013 import FerSplit
from ferwatch.models.registry import get_model
from ferwatch.training.recipe import Recipe, read_recipe, shipped_recipe
from ferwatch.training.trainer import learning_rate, predict, train

RECIPES = sorted(shipped_recipe("cnn").parent.glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_starts_and_runs_two_steps_and_resumes(path: Path, tmp_path: Path) -> None:
    """Stopped after its first epoch of two steps and taken up again, a training is the uninterrupted one."""
    recipe = replace(read_recipe(path), epochs=2, batch_size=2, compile=False, starts_from="")
    if recipe.model == "vit-b-16":
        recipe = replace(recipe, config={"width": 64, "heads": 1, "layers": 2})
    faces, test = some_faces(4), some_faces(3)
    teachers = [(get_model("cnn").build(head_names=["fer2013", "crowd"]).eval(), get_model("cnn").input)]
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
    faces = some_faces(8)
    other_faces = FerSplit(faces.images[::-1].copy(), faces.labels[::-1].copy())
    for train_faces, public_test in ((other_faces, some_faces(3)), (faces, some_faces(2))):
        with pytest.raises(DataError, match=r"state\.pt is of other training or test faces"):
            train(recipe, train_faces, public_test, tmp_path)
    (tmp_path / "state.pt").write_bytes(b"half")
    with pytest.raises(WeightsError, match=r"state\.pt is damaged"):
        train(recipe, some_faces(8), some_faces(3), tmp_path)


def test_what_the_data_lacks_is_said_before_training(tmp_path: Path) -> None:
    faces = some_faces(8)
    with pytest.raises(DataError, match="--ferplus"):
        train(Recipe("report-vit", votes=0.5), FerSplit(faces.images, faces.labels), faces, tmp_path)
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
        answers = network(small_input(faces))["fer2013"].argmax(1)
    assert (answers.numpy() == (faces.labels + 1) % 7).mean() > 0.9


def test_a_balanced_loss_asks_for_the_rare_class(tmp_path: Path) -> None:
    """Where the picture says nothing, a plain loss answers by frequency and an adjusted one does not."""
    rng = np.random.default_rng(0)
    faces = FerSplit(rng.integers(0, 256, (256, 48, 48)).astype(np.uint8), np.where(np.arange(256) % 16 == 0, 1, 3))
    shares = []
    for balance in (0.0, 1.0):
        recipe = Recipe("report-vit", epochs=6, batch_size=32, optimizer="adam", learning_rate=3e-3, balance=balance)
        network, _ = train(replace(recipe, label_smoothing=0.0, clean=False), faces, faces, tmp_path / str(balance))
        with torch.no_grad():
            shares.append(float(network(small_input(faces))["fer2013"].softmax(dim=1)[:, 1].mean()))
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


def test_what_is_kept_may_lie_between_start_and_end(tmp_path: Path) -> None:
    recipe = Recipe("cnn", epochs=1, batch_size=4, augment=0.0, erase=0.0, ema=0.0)
    start = get_model("cnn").build()
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    end, _ = train(recipe, some_faces(8), some_faces(3), tmp_path / "end", network=copy.deepcopy(start))
    between, _ = train(
        replace(recipe, keep_start=0.25), some_faces(8), some_faces(3), tmp_path / "between", network=start
    )
    name = "stages.0.conv1.weight"
    expected = 0.25 * before[name] + 0.75 * end.state_dict()[name]
    assert not torch.equal(before[name], end.state_dict()[name])
    torch.testing.assert_close(between.state_dict()[name], expected)
