"""The classifiers by name. Importing this imports no torch: a list of the models is quick."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from ferwatch.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn


HEADS = ("fer2013", "crowd")
"""The heads that a network may have. fer2013: the label that FER2013 gives an image; crowd: how ten people who saw the
image shared out their votes (FER+)."""


@dataclass(frozen=True)
class Input:
    """What a network wants to see; `preprocess.prepare` makes it from faces."""

    side: int
    channels: int = 1
    contrast: Literal["standard", "unit"] = "standard"
    """"standard": each face to mean 0 and deviation 1, so that light and camera matter less. "unit": 0 to 1."""


@dataclass(frozen=True)
class Model:
    """A network as the registry knows it."""

    network: str
    """module:class, imported when it is built, so that listing the models does not import torchvision."""
    input: Input
    about: str
    any_side: bool = False
    """It takes images of other sides too, so that training may show it smaller windows."""

    def build(self, **config: Any) -> nn.Module:
        """The network with fresh weights.

        `forward_features(x)` gives (N, width) features, `forward_head(features)` a dict of (N, 7) logits with one
        entry for each head of `HEADS` that the network has, and `forward(x)` is the second of the first.
        """
        module, name = self.network.split(":")
        network: nn.Module = getattr(import_module(f"ferwatch.models.{module}"), name)(**config)
        return network


MODELS = {
    "cnn": Model(
        "cnn:CNN",
        Input(side=48),
        "residual network; the default: best accuracy per millisecond on a CPU",
        any_side=True,
    ),
    "small-vit": Model("small_vit:SmallViT", Input(side=48), "small vision transformer, written to be read"),
    "vit-b-16": Model("vit_b_16:ViT", Input(side=96, channels=3), "torchvision's ViT-B/16 with a seven-way head"),
    "report-cnn": Model("report:ReportCNN", Input(side=32, contrast="unit"), "the student report's LeNet"),
    "report-vit": Model("report:ReportViT", Input(side=32, contrast="unit"), "the student report's one-block ViT"),
}


def find(name: str) -> Model:
    """The model of that name; raises WeightsError that lists the names there are."""
    if name not in MODELS:
        raise WeightsError(f"there is no model {name!r}; the models are {', '.join(MODELS)}")
    return MODELS[name]
