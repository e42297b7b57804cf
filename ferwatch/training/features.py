"""Training the heads alone, from features that a frozen network made once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ferwatch.errors import DataError
from ferwatch.models.preprocess import preprocess
from ferwatch.models.registry import InputSpec
from ferwatch.training.augment import view
from ferwatch.training.recipe import Recipe


def freeze_backbone(network: nn.Module) -> list[nn.Module]:
    """The modules of a network that are to stay as they are where only its heads learn.

    Parameters of the network itself, beside its modules, are frozen here.
    Raises DataError where the network has no heads by name.
    """
    if not isinstance(getattr(network, "heads", None), nn.ModuleDict):
        raise DataError(
            f"the recipe's feature_views wants a network with heads by name, and {type(network).__name__} has none"
        )
    for parameter in network.parameters(recurse=False):
        parameter.requires_grad_(False)
    return [module for name, module in network.named_children() if name != "heads"]


@torch.inference_mode()
def features_of(
    network: nn.Module, images: NDArray[np.uint8] | Tensor, input_spec: InputSpec, device: str = "cpu"
) -> Tensor:
    """(N, h, w) faces, 0 to 255 -> (N, width) float32 features on the device, in full precision."""
    network.eval()
    features = []
    for batch in torch.as_tensor(images).split(128):
        x = preprocess(batch.to(device), input_spec).contiguous(memory_format=torch.channels_last)
        features.append(network.forward_features(x).float())  # type: ignore[operator]
    return torch.cat(features)


def features_of_views(network: nn.Module, images: Tensor, recipe: Recipe, input_spec: InputSpec, device: str) -> Tensor:
    """(views, N, width) float32: the features of the recipe's number of views of (N, 48, 48) uint8 images."""
    generator = torch.Generator(device).manual_seed(recipe.seed)
    return torch.stack(
        [
            torch.cat(
                [
                    features_of(network, view(batch.to(device), recipe, generator), input_spec, device)
                    for batch in images.split(128)
                ]
            )
            for _ in range(recipe.feature_views)
        ]
    )
