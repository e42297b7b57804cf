"""ViT-B/16 from weights that others trained: torchvision's for ImageNet, or a file."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ferwatch.errors import WeightsError
from ferwatch.models.checkpoint import read_state_dict
from ferwatch.models.vit_b_16 import ViT
from ferwatch.utils.download import download

from torchvision.models import ViT_B_16_Weights  # isort: skip  (after ViT's module, which lets it load)
from torchvision.models.vision_transformer import interpolate_embeddings  # isort: skip

LAST_BLOCKS = 2


def pretrained_vit(source: str, unfreeze: str) -> ViT:
    """A ViT-B/16 with its head fresh and all else from `source`: "imagenet", or a state dict of torchvision's vit_b_16.

    Args:
        unfreeze: what is trained: "head" alone (as the report did), the "last" two blocks with it, or "all".
    Raises WeightsError where the weights can be neither fetched nor read, or are of another network.
    """
    weights = _imagenet() if source == "imagenet" else _read(Path(source))
    network = ViT()
    own = network.state_dict()
    weights = {name: tensor for name, tensor in weights.items() if not name.startswith("heads.")}
    try:
        weights = interpolate_embeddings(network.image_size, network.patch_size, weights)
        network.load_state_dict(weights | {name: own[name] for name in own if name.startswith("heads.")})
    except (RuntimeError, KeyError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{source} is no state dict of torchvision's vit_b_16: {str(error).splitlines()[0]}"
        ) from None
    last = [f"encoder.layers.encoder_layer_{len(network.encoder.layers) - 1 - i}." for i in range(LAST_BLOCKS)]
    learnt = {"head": ["heads."], "last": ["heads.", "encoder.ln.", *last], "all": [""]}[unfreeze]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(any(name.startswith(prefix) for prefix in learnt))
    return network


def _imagenet() -> dict[str, Tensor]:
    url = ViT_B_16_Weights.IMAGENET1K_V1.url
    name = url.rpartition("/")[2]
    return read_state_dict(
        download(
            url,
            name,
            sha256=Path(name).stem.rpartition("-")[2],
            what="the ImageNet weights",
            remedy="fetch them where there is a network and give them with --pretrained FILE",
        )
    )


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return read_state_dict(path)
    try:
        return load_file(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from None
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged ({error})") from None
