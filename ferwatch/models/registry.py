"""The classifiers by name. Importing this imports no torch: a list of the models is quick."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ferwatch.errors import WeightsError, shown

if TYPE_CHECKING:
    from torch import nn

HEADS = ("fer2013", "crowd")
"""The heads that a network may have. fer2013: the label that FER2013 gives an image; crowd: how ten people who saw the
image shared out their votes (FER+)."""


@dataclass(frozen=True)
class InputSpec:
    """The input of a network; `preprocess.preprocess` makes it from faces."""

    size: int
    """Height and width in pixels."""
    channels: int = 1
    normalization: Literal["standard", "unit"] = "standard"
    """"standard": each face to mean 0 and deviation 1, so that light and camera matter less. "unit": 0 to 1."""


@dataclass(frozen=True)
class Model:
    """A network as the registry knows it."""

    network: str
    """Network as module:class, imported when it is built, so that listing the models does not import torchvision."""
    input: InputSpec
    about: str
    any_size: bool = False
    """True if the network accepts images of other sizes, so that training may use smaller windows."""
    file: Path | None = None
    """The file that defines the class, where it is not one of ferwatch's own."""

    def build(self, **config: Any) -> nn.Module:
        """Return the network with fresh weights.

        `forward_features(x)` gives (N, width) features, `forward_head(features)` a dict of (N, 7) logits with one
        entry for each head of `HEADS` that the network has, and `forward(x)` is the second of the first.
        """
        module, name = self.network.split(":")
        network: nn.Module = getattr(import_module(module), name)(**config)
        return network


MODELS = {
    "cnn": Model(
        "ferwatch.models.cnn:CNN",
        InputSpec(48),
        "residual network; the default: best accuracy per millisecond on a CPU",
        any_size=True,
    ),
    "small-vit": Model(
        "ferwatch.models.small_vit:SmallViT", InputSpec(48), "small vision transformer, written to be read"
    ),
    "vit-b-16": Model(
        "ferwatch.models.vit_b_16:ViT", InputSpec(96, channels=3), "torchvision's ViT-B/16 with seven-way heads"
    ),
    "report-cnn": Model(
        "ferwatch.models.report:ReportCNN", InputSpec(32, normalization="unit"), "the student report's LeNet"
    ),
    "report-vit": Model(
        "ferwatch.models.report:ReportViT", InputSpec(32, normalization="unit"), "the student report's one-block ViT"
    ),
}


def get_model(name: str) -> Model:
    """Return the model of that name; raises WeightsError that lists the names there are."""
    if name not in MODELS:
        raise WeightsError(f"there is no model {shown(name)}; the models are {', '.join(MODELS)}")
    return MODELS[name]


def register_network(source: str) -> str:
    """Import a network of the user's, "file.py:Class", and return the name by which it is a model from then on.

    The name is the class's. The class may say what input it takes in an attribute `input_spec`, an InputSpec; without
    one it gets gray faces of 48x48 pixels. The file runs as a program does: name only files that you trust.
    Raises WeightsError where the file or the class is missing, cannot be imported, or has the name of another model.
    """
    path_text, separator, name = source.rpartition(":")
    path = Path(path_text)
    if not separator or path.suffix != ".py" or not name.isidentifier():
        raise WeightsError(f"a network is named like file.py:Class, not {shown(source)}")
    known = MODELS.get(name)
    if known is not None and known.file != path.absolute():
        raise WeightsError(f"{source}: there is another model of the name {name}; rename the class")
    if known is not None:
        return name
    module_name = f"ferwatch_network_{path.stem}"
    spec = spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise WeightsError(f"{path}: no such file; --network takes file.py:Class")
    module = module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the file is the user's program, and may fail in any way
        del sys.modules[module_name]
        raise WeightsError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    network = getattr(module, name, None)
    if not isinstance(network, type):
        raise WeightsError(f"{path} has no class {name}")
    MODELS[name] = Model(
        f"{module_name}:{name}",
        getattr(network, "input_spec", InputSpec(48)),
        (network.__doc__ or "").strip().split("\n")[0] or f"the class {name} of {path.name}",
        file=path.absolute(),
    )
    return name
