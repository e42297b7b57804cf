"""Checkpoints: safetensors whose metadata rebuilds the network they belong to."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ferwatch.models import find
from ferwatch.outputs.whole import whole_file
from ferwatch.preprocess import Input
from ferwatch.records import EMOTIONS, WeightsError

FORMAT = 1
PART_BYTES = 48_000_000
"""Larger checkpoints are split, so that each file stays under 50 MB."""


@dataclass(frozen=True)
class Checkpoint:
    """A network with its weights and all that is needed to use it."""

    model: str
    network: nn.Module
    input: Input
    temperature: float = 1.0
    """The logits are divided by it before the softmax (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""
    config: dict[str, Any] = field(default_factory=dict)
    """What the network was built with."""
    about: dict[str, Any] = field(default_factory=dict)
    """Training command, data, recipe, and figures on PublicTest."""
    checksum: str = ""
    """SHA-256 of the file, or of its parts one after the other."""


def weights_folder() -> Path:
    """Where the shipped weights lie: inside an installed package, or at the top of a checkout."""
    installed = Path(__file__).parent / "weights_data"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "weights"


def shipped_weights(model: str) -> Path:
    """The shipped checkpoint of a model, its first part where it has several.

    Raises WeightsError where none is shipped: no network is ever filled with random numbers.
    """
    find(model)
    for name in (f"{model}.safetensors", f"{model}.part1.safetensors"):
        if (weights_folder() / name).is_file():
            return weights_folder() / name
    raise WeightsError(f"no weights of {model} are shipped: train it with 'ferwatch train', or name a file with --weights")


def save(checkpoint: Checkpoint, path: Path, *, eight_bits: bool = False) -> list[Path]:
    """Writes a checkpoint, in parts where it is large; returns the files, for instance [cnn.safetensors].

    With `eight_bits` every matrix is stored as int8 with one scale for each row (output channel).
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in checkpoint.network.state_dict().items():
        if eight_bits and tensor.ndim > 1 and tensor.dtype.is_floating_point:
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
        "temperature": checkpoint.temperature,
        "parts": names,
        "about": checkpoint.about,
    }
    files = [path.with_name(name) for name in names]
    for file, part in zip(files, parts, strict=True):
        with whole_file(file) as beside:
            save_file(part, beside, metadata={"ferwatch": json.dumps(metadata)})
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


def load(path: Path, model: str) -> Checkpoint:
    """Reads a checkpoint of `model`: our safetensors, or a foreign state dict (.pth, .pt) without ever unpickling code.

    Raises WeightsError where the file is missing, damaged, changed since its model card was written, or of another
    network or class order.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    return _load_foreign(path, model) if path.suffix in (".pth", ".pt") else _load_own(path, model)


def _load_own(path: Path, model: str) -> Checkpoint:
    metadata = _metadata(path)
    if metadata["model"] != model:
        raise WeightsError(f"{path} holds weights of {metadata['model']}, not of {model}; give --model {metadata['model']}")
    if tuple(metadata["classes"]) != EMOTIONS:
        raise WeightsError(f"{path} names its classes {metadata['classes']}, not {list(EMOTIONS)}: it cannot be used here")
    files = [path.with_name(Path(name).name) for name in metadata["parts"]] if len(metadata["parts"]) > 1 else [path]
    checksum = hashlib.sha256()
    tensors: dict[str, Tensor] = {}
    for file in files:
        checksum.update(_checked_bytes(file))
        try:
            with safe_open(file, framework="pt") as f:
                tensors.update({name: f.get_tensor(name) for name in f.keys()})  # noqa: SIM118 (no mapping)
        except (SafetensorError, OSError) as cause:
            raise WeightsError(f"{file} is damaged or missing ({cause}); fetch it again") from None
    to = Input(**metadata["input"])
    network = find(model).build(**metadata["config"])
    _fill(network, _expand(tensors), path, model)
    return Checkpoint(
        model, network, to, metadata["temperature"], metadata["config"], metadata["about"], checksum.hexdigest()
    )


def _metadata(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as f:
            metadata = json.loads((f.metadata() or {})["ferwatch"])
    except (SafetensorError, OSError) as cause:
        raise WeightsError(f"{path} is damaged or no safetensors file ({cause}); fetch it again") from None
    except (KeyError, ValueError):
        raise WeightsError(f"{path} is a safetensors file, but not one that ferwatch wrote") from None
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"{path} is of a later format ({metadata.get('format')}); update ferwatch")
    return metadata


def _checked_bytes(file: Path) -> bytes:
    """The file's bytes; raises WeightsError where the model card beside it states another checksum."""
    try:
        content = file.read_bytes()
    except OSError as cause:
        raise WeightsError(f"{file} cannot be read: {cause.strerror}") from None
    card = file.with_name(re.sub(r"(\.part\d+)?\.safetensors$", ".md", file.name))
    if card.is_file():
        # A line of the card that sha256sum would write: the sum, two spaces, the file's name.
        stated = re.search(rf"^([0-9a-f]{{64}})  {re.escape(file.name)}$", card.read_text(encoding="utf-8"), re.MULTILINE)
        if stated and stated[1] != hashlib.sha256(content).hexdigest():
            raise WeightsError(f"{file} is not the file that {card.name} describes (checksum differs); fetch it again")
    return content


def _expand(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices stored at 8 bits back to floating point."""
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
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError, KeyError) as cause:
        raise WeightsError(f"{path} is not a plain state dict of tensors ({str(cause).splitlines()[0]})") from None
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise WeightsError(f"{path} is not a plain state dict of tensors")
    network = find(model).build()
    _fill(network, tensors, path, model)
    return Checkpoint(model, network, find(model).input, checksum=hashlib.sha256(path.read_bytes()).hexdigest())


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path, model: str) -> None:
    own = network.state_dict()
    wrong = sorted(set(own) ^ set(tensors)) or [n for n in own if own[n].shape != tensors[n].shape]
    if wrong:
        raise WeightsError(f"{path} is not of the network {model}: {wrong[0]} and {len(wrong) - 1} more do not fit")
    if not all(t.isfinite().all() for t in tensors.values() if t.dtype.is_floating_point):
        raise WeightsError(f"{path} holds weights that are not finite numbers")
    network.load_state_dict(dict(tensors))
    network.eval()
