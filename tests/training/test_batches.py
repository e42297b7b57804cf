"""What a training step learns from."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from training_faces import some_faces

from ferwatch.errors import DataError
from ferwatch.evaluation.fer2013 import VOTE_OF_EMOTION, VOTES, FerSplit
from ferwatch.models.registry import get_model
from ferwatch.training.batches import Batches
from ferwatch.training.recipe import Recipe
from ferwatch.training.reframe import reframe
from ferwatch.training.trainer import train


def test_votes_may_be_learnt_instead_of_the_labels(tmp_path: Path) -> None:
    faces = some_faces(280)
    votes = np.zeros((280, 9), np.float32)
    votes[np.arange(280), np.array(VOTE_OF_EMOTION)[(faces.labels + 1) % 7]] = 8
    votes[:, VOTES.index("unknown")] = 2
    votes[:40] = 0  # nobody voted: the label stays
    recipe = Recipe("report-cnn", batch_size=28, augment=0, mirror=False, erase=0, vote_targets=0.75, label_smoothing=0)
    cpu = torch.autocast("cpu", torch.bfloat16)
    batches = Batches(recipe, get_model("report-cnn"), FerSplit(faces.images, faces.labels, votes), [], "cpu", cpu)
    for rows, share in ((torch.arange(28), 1.0), (torch.arange(100, 128), 0.25)):
        target = batches.draw(rows, 0, torch.Generator().manual_seed(0)).target
        np.testing.assert_allclose(target.sum(dim=1), 1, rtol=1e-6)
        labels = torch.from_numpy(faces.labels)[rows]
        np.testing.assert_allclose(target[torch.arange(28), labels], share)
        np.testing.assert_allclose(target[torch.arange(28), (labels + 1) % 7], 1 - share)
    with pytest.raises(DataError, match="--ferplus"):
        train(recipe, FerSplit(faces.images, faces.labels), faces, tmp_path)


def test_votes_for_other_choices_make_an_image_weigh_less() -> None:
    votes = np.zeros((4, 9), np.float32)
    votes[0, [VOTE_OF_EMOTION[3], VOTES.index("contempt")]] = 5
    votes[1, VOTE_OF_EMOTION[0]] = 10
    votes[2, VOTES.index("unknown")] = 10
    faces = some_faces(4)
    recipe = Recipe("cnn", batch_size=4, augment=0, mirror=False, erase=0, votes=1.0)
    batches = Batches(recipe, get_model("cnn"), FerSplit(faces.images, faces.labels, votes), [], "cpu", nullcontext())
    drawn = batches.draw(torch.arange(4), 0, torch.Generator().manual_seed(0)).votes
    expected = torch.zeros(4, 7)
    expected[0, 3], expected[1, 0] = 0.5, 1.0
    assert torch.equal(drawn, expected)


def test_so_many_training_faces_as_the_recipe_says_are_framed_as_a_video_s_are() -> None:
    astronaut = skimage.data.astronaut()[30:210, 130:310].mean(axis=2).astype(np.uint8)
    face = cv2.resize(astronaut, (48, 48), interpolation=cv2.INTER_AREA)
    faces = FerSplit(np.stack([face] * 64), np.zeros(64, np.int64))
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
