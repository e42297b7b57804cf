"""From a trained network to the files that ship."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from training_faces import some_faces, with_votes_for_the_next

from ferwatch.models.checkpoint import load_checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.models.registry import get_model
from ferwatch.records import EMOTIONS
from ferwatch.training.finalize import finalize, multiply_adds
from ferwatch.training.recipe import Recipe


def test_multiply_adds_of_the_reports_cnn_by_hand() -> None:
    by_hand = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 6 * 25 + 400 * 120 + 120 * 84 + 84 * 7
    assert multiply_adds(get_model("report-cnn").build().eval(), get_model("report-cnn").input) == by_hand


def test_the_prior_correction_and_the_blend_are_written_into_the_checkpoint(tmp_path: Path) -> None:
    faces = with_votes_for_the_next(some_faces(70))
    faces.labels[:7] = 0  # angry is a little more frequent, and what follows it, by the votes, is not
    config = {"widths": [8, 8, 8], "blocks": 1}
    recipe = Recipe(
        "cnn",
        config=config,
        votes=1.0,
        prior_correction={"crowd": 0.5, "fer2013": -0.25},
        crowd_weight=0.6,
        video_offsets={"disgust": -1.25},
    )
    network = get_model("cnn").build(**recipe.network_config).eval()
    everything = np.ones(len(faces), bool)
    files = finalize(network, recipe, [], faces, faces, everything, tmp_path, command="ferwatch train --model cnn")
    made = load_checkpoint(files[0], "cnn")
    assert made.blend.crowd_weight == 0.6
    assert made.blend.offsets == (0, -1.25, 0, 0, 0, 0, 0)
    shares = np.bincount(faces.labels, minlength=7) / 70
    np.testing.assert_allclose(made.calibration("fer2013").offsets, 0.25 * np.log(shares))
    np.testing.assert_allclose(made.calibration("crowd").offsets, -0.5 * np.log(np.full(7, 1 / 7)))
    card = (tmp_path / "cnn.md").read_text()
    assert "What people see: the crowd head" in card
    assert "A video uses 60% of this head's probabilities" in card
    assert "(disgust -1.25)" in card
    assert {"cnn-confusion.png", "cnn-crowd-confusion.png"} <= {file.name for file in files}
    assert recipe.trains_like(replace(recipe, prior_correction={}, crowd_weight=1.0, video_offsets={}))
    assert not recipe.trains_like(replace(recipe, seed=1))


def test_figures_as_in_a_video_are_those_with_its_offsets(tmp_path: Path) -> None:
    """Neutral faces that a video never calls neutral."""
    faces = with_votes_for_the_next(some_faces(70))
    config = {"widths": [8, 8, 8], "blocks": 1}
    recipe = Recipe("cnn", config=config, votes=1.0, video_offsets={"neutral": -50.0})
    network = get_model("cnn").build(**recipe.network_config).eval()
    everything = np.ones(len(faces), bool)
    files = finalize(network, recipe, [], faces, faces, everything, tmp_path, command="ferwatch train --model cnn")
    made = load_checkpoint(files[0], "cnn")
    neutral = EMOTIONS.index("neutral")
    video = np.array(made.about["heads"]["video"]["crowd_confusion"])
    assert video[:, neutral].sum() == 0
    assert video.sum() == np.array(made.about["heads"]["crowd"]["crowd_confusion"]).sum()
    answers = Classifier(made).by_head(faces.images)
    expected = answers["crowd"] * np.exp(np.eye(7)[neutral] * -50)
    np.testing.assert_allclose(answers["video"], expected / expected.sum(axis=1, keepdims=True))
    row = next(line for line in (tmp_path / "cnn.md").read_text().splitlines() if line.startswith("| as in a video"))
    assert f"{made.about['heads']['video']['crowd_agreement']:.2%}" in row
