"""Finds the shipped weights and reads their metadata. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ferwatch.errors import WeightsError
from ferwatch.models.registry import get_model
from ferwatch.utils.files import weights_folder

FORMAT = 2
"""Version of the metadata that is written. Files of version 1 hold a network with one head, fer2013."""


def shipped_weights(model: str) -> Path:
    """Return the path of a model's shipped checkpoint, its first part where it has several.

    Raises WeightsError where none is shipped: no network is ever filled with random numbers.
    """
    get_model(model)
    for name in (f"{model}.safetensors", f"{model}.part1.safetensors"):
        if (weights_folder() / name).is_file():
            return weights_folder() / name
    raise WeightsError(
        f"no weights of {model} are shipped: train them with 'ferwatch train', or name a file with --weights"
    )


def shipped_checksum(model: str) -> str:
    """Return the SHA-256 of a model's shipped weights, all parts together, as run.json records it.

    Raises WeightsError where none is shipped or a file cannot be read.
    """
    first = shipped_weights(model)
    checksum = hashlib.sha256()
    try:
        for name in read_metadata(first).get("parts") or [first.name]:
            checksum.update(first.with_name(Path(name).name).read_bytes())
    except OSError as error:
        raise WeightsError(f"{error.filename} cannot be read: {error.strerror}; install ferwatch again") from None
    return checksum.hexdigest()


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a checkpoint without reading its tensors.

    A safetensors file begins with the length of its header (8 bytes, little-endian) and the header in JSON. Raises
    WeightsError where the file is missing, damaged, or not one that ferwatch wrote.
    """
    try:
        with open(path, "rb") as f:
            length = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(length) if length < path.stat().st_size else b"")
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise WeightsError(f"{path} is damaged or no safetensors file; fetch it again") from None
    try:
        metadata: dict[str, Any] = json.loads(header["__metadata__"]["ferwatch"])
    except (KeyError, TypeError, ValueError):
        raise WeightsError(f"{path} is a safetensors file, but not one that ferwatch wrote") from None
    if metadata.get("format") not in range(1, FORMAT + 1):
        raise WeightsError(
            f"{path} is of another format ({metadata.get('format')}, not 1 to {FORMAT}); update ferwatch"
        )
    if metadata["format"] == 1:
        metadata["heads"] = {"fer2013": {"temperature": metadata["temperature"]}}
        names = {"side": "size", "contrast": "normalization"}
        metadata["input"] = {names.get(key, key): value for key, value in metadata["input"].items()}
    return metadata
