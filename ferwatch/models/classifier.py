"""Crops in, calibrated probabilities out."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ferwatch.errors import FerwatchError
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.preprocess import prepare

BATCH = 16
"""Every forward pass has this many faces, the last one padded: a face's numbers never depend on its neighbours."""


class Classifier:
    """A checkpoint at work on a device, in the fastest form that agrees with the network as it was trained.

    Batch norms are folded into the convolutions before them, images and kernels lie channels-last, and the dear
    networks compute in bfloat16 where the processor has instructions for it: nearly twice as fast, at the price of the
    third decimal of some probabilities. `benchmarks/classifier.py` measures both.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu") -> None:
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = best_dtype(checkpoint.model, device)
        # Copy: the network of the checkpoint is not changed.
        network = fold_batch_norms(copy.deepcopy(checkpoint.network).eval())
        self.network = network.to(device, self.dtype)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(N, 48, 48) gray -> (N, 7) probabilities in the order of EMOTIONS; each row sums to 1."""
        logits = self.logits(crops) / self.checkpoint.temperature
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exp / exp.sum(axis=1, keepdims=True)

    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(N, 48, 48) gray -> (N, 7) logits before calibration."""
        batches = [crops[start : start + BATCH] for start in range(0, len(crops), BATCH)]
        return np.concatenate([np.empty((0, 7)), *map(self._pass, batches)])

    @torch.inference_mode()
    def _pass(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        faces = torch.zeros(BATCH, *crops.shape[1:], dtype=torch.uint8)
        faces[: len(crops)] = torch.from_numpy(crops)
        x = prepare(faces.to(self.device), self.checkpoint.input).to(self.dtype)
        out = self.network(x.contiguous(memory_format=torch.channels_last))
        return out[: len(crops)].double().cpu().numpy()


def best_dtype(model: str, device: str) -> torch.dtype:
    """The type that a model computes in: bfloat16 for the dear ones where the processor has it, else float32."""
    # Older versions of torch do not tell what the processor can do.
    abilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    native = any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # x86; the last one: ARM
    return torch.bfloat16 if model in ("cnn", "vit-b-16") and device == "cpu" and native else torch.float32


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Folds every batch norm that directly follows a convolution into it, in place, and returns the network.

    A norm follows where it is the next module of a Sequential, or is called normN beside a convN. In `eval` mode it
    only scales and shifts each channel, which the convolution's own weights and bias can do as well.
    """
    for parent in list(network.modules()):
        children = dict(parent.named_children())
        pairs = list(zip(children, list(children)[1:], strict=False)) if isinstance(parent, nn.Sequential) else []
        pairs += [(name, name.replace("conv", "norm")) for name in children if name.startswith("conv")]
        for name, next_name in pairs:
            conv, norm = children[name], children.get(next_name)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, next_name, nn.Identity())
    return network


def choose_device(name: str) -> str:
    """ "auto" becomes the best device there is; raises FerwatchError where a device that was asked for is missing."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        raise FerwatchError(f"--device {name}: there is no such device here; use --device cpu")
    return name
