"""The one normalisation."""

from __future__ import annotations

import torch

from ferwatch.models.preprocess import preprocess
from ferwatch.models.registry import InputSpec


def test_faces_come_out_in_the_networks_size_with_mean_0_and_deviation_1() -> None:
    faces = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8)
    x = preprocess(faces, InputSpec(96, channels=3))
    assert x.shape == (3, 3, 96, 96)
    assert x.mean(dim=(1, 2, 3)).abs().max() < 1e-3
    assert torch.equal(x[:, 0], x[:, 2])
    assert torch.allclose(preprocess(faces, InputSpec(48)).std(dim=(2, 3)), torch.ones(3, 1), atol=0.15)


def test_light_and_contrast_of_the_camera_hardly_matter() -> None:
    face = torch.randint(50, 150, (1, 48, 48)).float()
    darker = face * 0.6 + 20
    difference = preprocess(face, InputSpec(48)) - preprocess(darker, InputSpec(48))
    assert difference.abs().max() < 0.35  # of deviations of 1; unnormalised it were above 1


def test_a_blank_crops_noise_is_not_blown_up() -> None:
    blank = 128 + torch.randn(1, 48, 48)
    assert preprocess(blank, InputSpec(48)).std() < 0.15


def test_unit_contrast_is_pixels_over_255() -> None:
    faces = torch.randint(0, 256, (2, 32, 32), dtype=torch.uint8)
    assert torch.equal(preprocess(faces, InputSpec(32, normalization="unit"))[:, 0], faces / 255)


def test_a_larger_face_is_averaged_down_not_point_sampled() -> None:
    stripes = torch.zeros(1, 96, 96)
    stripes[:, :, ::2] = 255
    x = preprocess(stripes, InputSpec(48, normalization="unit"))
    assert (x[..., 4:-4] - 0.5).abs().max() < 0.05
