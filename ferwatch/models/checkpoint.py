"""Checkpoints: safetensors whose metadata rebuilds the network they belong to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ferwatch.errors import WeightsError
from ferwatch.models.calibration import Blend, Calibration
from ferwatch.models.heads import head_names
from ferwatch.models.pretrained import FORMAT, read_metadata
from ferwatch.models.registry import InputSpec, get_model
from ferwatch.records import EMOTIONS
from ferwatch.utils.files import atomic_write

PART_BYTES = 48_000_000
"""Larger checkpoints are split, so that each file stays under 50 MB."""


@dataclass(frozen=True)
class Checkpoint:
    """A network with its weights and all that is needed to use it."""

    model: str
    network: nn.Module
    input: InputSpec
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    """Calibration of each head; a head that is not named here has the plain softmax."""
    blend: Blend = field(default_factory=Blend)
    """How a video's probabilities are made from those of the heads."""
    config: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments with which the network was built."""
    about: dict[str, Any] = field(default_factory=dict)
    """Training command, data, recipe, and figures on PublicTest."""
    checksum: str = ""
    """SHA-256 of the file, or of its parts one after the other."""
    source: str = ""
    """file.py:Class of the network, where it is not one of ferwatch's own."""

    @property
    def head_names(self) -> list[str]:
        """The heads that the network has: fer2013, crowd, or both."""
        return head_names(self.network)

    def calibration(self, head: str) -> Calibration:
        """Return the calibration of a head."""
        return self.calibrations.get(head, Calibration())


def save_checkpoint(checkpoint: Checkpoint, path: Path, *, eight_bits: bool = False) -> list[Path]:
    """Write a checkpoint, in parts where it is large; return the files, for instance [cnn.safetensors].

    With `eight_bits` every layer's weights are stored as int8 with one scale for each output channel.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in checkpoint.network.state_dict().items():
        if eight_bits and tensor.ndim > 1 and name.endswith("weight"):
            rows = tensor.float().flatten(1)
            scale = rows.abs().amax(dim=1).clamp(min=1e-12) / 127
            tensors[name] = (rows / scale[:, None]).round().to(torch.int8).view(tensor.shape)
            tensors[f"{name}.scale"] = scale
        else:
            tensors[name] = tensor.contiguous()
    parts = _split(tensors)
    names = [path.name] if len(parts) == 1 else [f"{path.stem}.part{i}.safetensors" for i in range(1, len(parts) + 1)]
    metadata = {
        "format": FORMAT,
        "model": checkpoint.model,
        "config": checkpoint.config,
        "classes": list(EMOTIONS),
        "input": asdict(checkpoint.input),
        "heads": {name: asdict(checkpoint.calibration(name)) for name in checkpoint.head_names},
        "blend": asdict(checkpoint.blend),
        "network": checkpoint.source,
        "parts": names,
        "about": checkpoint.about,
    }
    files = [path.with_name(name) for name in names]
    for file, part in zip(files, parts, strict=True):
        with atomic_write(file) as temp_path:
            # Not save_file: that makes files which nobody else may read.
            temp_path.write_bytes(save_tensors(part, metadata={"ferwatch": json.dumps(metadata)}))
    return files


def _split(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if size + tensor.nbytes > PART_BYTES and parts[-1]:
            parts.append({})
            size = 0
        parts[-1][name] = tensor
        size += tensor.nbytes
    return parts


def load_checkpoint(path: Path, model: str) -> Checkpoint:
    """Read a checkpoint of `model`: our safetensors, or a foreign state dict (.pth, .pt) without ever unpickling code.

    Raises WeightsError where the file is missing, damaged, changed since its model card was written, or of another
    network or class order.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    return _load_foreign(path, model) if path.suffix in (".pth", ".pt") else _load_own(path, model)


def _load_own(path: Path, model: str) -> Checkpoint:
    metadata = read_metadata(path)
    if metadata["model"] != model:
        network = f"; name its network with --network {metadata['network']}" if metadata.get("network") else ""
        raise WeightsError(f"{path} holds weights of {metadata['model']}, not of {model}{network}")
    if tuple(metadata["classes"]) != EMOTIONS:
        raise WeightsError(f"{path} has the classes {metadata['classes']} instead of {list(EMOTIONS)}")
    files = [path.with_name(Path(name).name) for name in metadata["parts"]] if len(metadata["parts"]) > 1 else [path]
    checksum = hashlib.sha256()
    tensors: dict[str, Tensor] = {}
    for file in files:
        content = _checked_bytes(file)
        checksum.update(content)
        try:
            tensors.update(load_tensors(content))
        except SafetensorError as error:
            raise WeightsError(f"{file} is damaged ({error}); fetch it again") from None
    return Checkpoint(
        model,
        _network(model, metadata["config"], _expand(tensors), path),
        InputSpec(**metadata["input"]),
        calibrations={
            name: Calibration(values["temperature"], tuple(values.get("offsets", ())), tuple(values.get("scales", ())))
            for name, values in metadata["heads"].items()
        },
        blend=_blend(**metadata.get("blend", {})),
        config=metadata["config"],
        about=metadata["about"],
        checksum=checksum.hexdigest(),
        source=metadata.get("network", ""),
    )


def _blend(crowd_weight: float = 1.0, temperature: float = 1.0, offsets: Sequence[float] = ()) -> Blend:
    """Return the blend that the metadata describe; older files have no offsets, or no blend at all."""
    return Blend(crowd_weight, temperature, tuple(offsets))


def _checked_bytes(file: Path) -> bytes:
    """Return the file's bytes; raises WeightsError where the model card beside it states another checksum."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file} cannot be read: {error.strerror}") from None
    card = file.with_name(re.sub(r"(\.part\d+)?\.safetensors$", ".md", file.name))
    if card.is_file():
        # A line of the card that sha256sum would write: the sum, two spaces, the file's name.
        line = rf"^([0-9a-f]{{64}})  {re.escape(file.name)}$"
        stated = re.search(line, card.read_text(encoding="utf-8"), re.MULTILINE)
        if stated and stated[1] != hashlib.sha256(content).hexdigest():
            raise WeightsError(f"{file} is not the file that {card.name} describes (checksum differs); fetch it again")
    return content


def _expand(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with those stored at 8 bits converted back to floating point."""
    scales = {name.removesuffix(".scale") for name in tensors if name.endswith(".scale")}
    expanded = {}
    for name, tensor in tensors.items():
        if name in scales:
            scale = tensors[f"{name}.scale"].view(-1, *[1] * (tensor.ndim - 1))
            expanded[name] = tensor.float() * scale
        elif name.removesuffix(".scale") not in scales:
            expanded[name] = tensor
    return expanded


def _load_foreign(path: Path, model: str) -> Checkpoint:
    tensors = read_state_dict(path)
    network = _network(model, {}, tensors, path)
    return Checkpoint(model, network, get_model(model).input, checksum=hashlib.sha256(path.read_bytes()).hexdigest())


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a foreign file of named tensors (.pth, .pt); raises WeightsError where it is anything else."""
    tensors = read_plain(path)
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise WeightsError(f"{path} is not a plain state dict of tensors")
    return tensors


def read_plain(path: Path, device: str = "cpu") -> Any:
    """Return the tensors, numbers and containers of a torch.save file, never code. Raises WeightsError otherwise."""
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:  # on damaged files torch's restricted unpickler raises errors of every kind
        # Its text is left out, since it tells the reader how to run the code in the file.
        raise WeightsError(f"{path} is damaged, or holds more than plain tensors, which is never opened") from error


class _NoRandomNumbers(TorchFunctionMode):
    """Leaves the memory of new weights as it is, which costs nothing.

    Normal numbers are zeros: PyTorch draws some of them again until all are within bounds, which memory as it is may
    never be.
    (`torch.device("meta")` does without the memory too, but to draw normal numbers torch imports its compiler there,
    which takes a second.)
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in ("uniform_", "normal_", "kaiming_uniform_"):
            tensor: Tensor = kwargs["tensor"] if "tensor" in kwargs else args[0]
            if func.__name__ == "normal_":
                tensor.detach().zero_()
            return tensor
        return (torch.empty if func is torch.randn else func)(*args, **kwargs)


def _current_name(name: str) -> str:
    """Return the current name of a tensor: older files call the fer2013 head `head` or `heads.head`."""
    return re.sub(r"^(heads\.)?head\.(weight|bias)$", r"heads.fer2013.\2", name)


def _network(model: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path) -> nn.Module:
    try:
        with _NoRandomNumbers():  # these weights are replaced at once
            network = get_model(model).build(**config)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{path} asks for a {model} that cannot be built: {error}") from None
    own = network.state_dict()
    tensors = {name if name in own else _current_name(name): tensor for name, tensor in tensors.items()}
    wrong = sorted(set(own) ^ set(tensors)) or [n for n in own if own[n].shape != tensors[n].shape]
    if wrong:
        others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise WeightsError(f"{path} is not of the network {model}: {wrong[0]}{others} do not fit")
    if not all(t.isfinite().all() for t in tensors.values() if t.dtype.is_floating_point):
        raise WeightsError(f"{path} holds weights that are not finite numbers")
    network.load_state_dict({name: t.to(own[name].dtype) for name, t in tensors.items()}, assign=True)
    return network.eval()
