"""Augmentation on faces that can be checked by eye: marks at known places."""

from __future__ import annotations

import torch

from ferwatch.training.augment import augment, erase, mix, view
from ferwatch.training.recipe import Recipe


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_face_is_turned_and_moved_but_never_upside_down() -> None:
    faces = torch.full((400, 48, 48), 60.0)
    faces[:, :24] = 180  # bright above, dark below
    out = augment(faces, 40, 1.0, seeded())
    assert out.shape == (400, 40, 40)
    assert 0 <= out.min() <= out.max() <= 255
    above, below = out[:, :10].mean(dim=(1, 2)), out[:, -10:].mean(dim=(1, 2))
    assert (above > below).float().mean() > 0.98
    edge = (out[:, 1:, 20] - out[:, :-1, 20]).argmin(dim=1)
    assert edge.float().std() > 2  # it moved


def test_half_of_the_faces_are_mirrored() -> None:
    faces = torch.zeros(400, 48, 48)
    faces[:, :, :24] = 200
    out = augment(faces, 48, 0.3, seeded())
    left_is_bright = out[:, :, :16].mean(dim=(1, 2)) > out[:, :, -16:].mean(dim=(1, 2))
    assert 0.4 < left_is_bright.float().mean() < 0.6


def test_the_same_generator_gives_the_same_views_and_another_one_does_not() -> None:
    faces = torch.randint(0, 256, (8, 48, 48), dtype=torch.uint8)
    one, same, other = (augment(faces, 40, 1.0, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_without_augmentation_only_the_flips_of_the_recipe_are_left() -> None:
    faces = torch.randint(0, 256, (64, 48, 48), dtype=torch.uint8)
    plain = view(faces, Recipe("cnn", augment=0, mirror=False), seeded())
    assert torch.equal(plain, faces.float())
    flipped = view(faces, Recipe("cnn", augment=0, mirror=False, vertical_flips=True), seeded())
    upside_down = torch.tensor([torch.equal(a, b.flip(0)) for a, b in zip(flipped, plain, strict=True)])
    assert 16 < upside_down.sum() < 48
    assert all(torch.equal(a, b) for a, b in zip(flipped[~upside_down], plain[~upside_down], strict=True))


def test_erasing_hides_a_rectangle_behind_the_images_mean() -> None:
    x = torch.rand(200, 1, 40, 40) + torch.arange(200.0).view(-1, 1, 1, 1)
    out = erase(x, 0.5, seeded())
    hidden = (out != x).flatten(1)
    assert 0.4 < hidden.any(dim=1).float().mean() < 0.6
    assert hidden.float().mean(dim=1).max() < 0.3
    n = int(hidden.any(dim=1).nonzero()[0])
    values = out[n].flatten()[hidden[n]]
    assert torch.allclose(values, x[n].mean().expand_as(values))


def test_mixing_keeps_the_stated_share() -> None:
    x = torch.tensor([[0.0, 0.0], [10.0, 20.0]])
    mixed = mix(x, torch.tensor([0.75, 0.5]), torch.tensor([1, 0]))
    assert torch.allclose(mixed, torch.tensor([[2.5, 5.0], [5.0, 10.0]]))
