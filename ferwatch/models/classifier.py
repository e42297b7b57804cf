"""Classifier: calibrated probabilities of the emotions from aligned crops."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ferwatch.errors import FerwatchError, WeightsError
from ferwatch.models.checkpoint import Checkpoint, load_checkpoint
from ferwatch.models.heads import head_logits
from ferwatch.models.preprocess import preprocess
from ferwatch.models.pretrained import shipped_weights
from ferwatch.models.registry import InputSpec, register_network
from ferwatch.records import EMOTIONS

BATCH = 16
"""Largest number of faces in a forward pass."""
BATCH_STEP = 4
"""Smaller passes are padded to a multiple of this. In a pass of one face, sums are added up in another order: its
numbers would depend on whether it has neighbours."""


class Classifier:
    """A checkpoint at work on a device, in the fastest form that agrees with the network as it was trained.

    Batch norms are folded into the convolutions before them, images and kernels lie channels-last, and slow
    networks compute in bfloat16 where the processor has instructions for it: nearly twice as fast, at the price of the
    third decimal of some probabilities. `benchmarks/classifier.py` measures both.

    Args:
        labels: meaning of the probabilities. "crowd": what people see, made from the heads as the checkpoint's `blend`
            says; "fer2013": the data set's label; None: crowd where the checkpoint has such a head.
    Raises WeightsError where the checkpoint lacks the head that `labels` names.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu", *, labels: str | None = None) -> None:
        self.checkpoint = checkpoint
        self.labels = choose_labels(checkpoint, labels)
        self.device = device
        self.dtype = best_dtype(checkpoint.model, device)
        # Copy: the network of the checkpoint is not changed.
        network = fold_batch_norms(copy.deepcopy(checkpoint.network).eval())
        self.network = network.to(device, self.dtype)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(N, 48, 48) gray -> (N, 7) probabilities in the order of EMOTIONS; each row sums to 1."""
        return self.by_head(crops)["video" if self.labels == "crowd" else "fer2013"]

    def by_head(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        """(N, 48, 48) gray -> head: (N, 7) probabilities; with a crowd head also "video", what a video uses."""
        heads = {
            name: self.checkpoint.calibration(name).probabilities(logits) for name, logits in self.logits(crops).items()
        }
        if "crowd" in heads:
            labelled = heads.get("fer2013", heads["crowd"])
            heads["video"] = self.checkpoint.blend.probabilities(labelled, heads["crowd"])
        return heads

    def logits(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        """(N, 48, 48) gray -> head: (N, 7) logits before calibration."""
        batches = [crops[start : start + BATCH] for start in range(0, len(crops), BATCH)]
        passes = [self._pass(batch) for batch in batches]
        if not passes:
            return {name: np.empty((0, len(EMOTIONS))) for name in self.checkpoint.head_names}
        return {name: np.concatenate([logits[name] for logits in passes]) for name in passes[0]}

    @torch.inference_mode()
    def _pass(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        faces = torch.zeros(len(crops) + -len(crops) % BATCH_STEP, *crops.shape[1:], dtype=torch.uint8)
        faces[: len(crops)] = torch.from_numpy(crops)
        logits = infer(self.network, faces, self.checkpoint.input, self.device, self.dtype)
        return {name: values[: len(crops)].double().cpu().numpy() for name, values in logits.items()}


@torch.inference_mode()
def infer(
    network: nn.Module,
    faces: Tensor,
    input_spec: InputSpec,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """(N, 48, 48) gray faces, 0 to 255 -> head: (N, 7) logits on the device, of one forward pass."""
    x = preprocess(faces.to(device), input_spec).to(dtype)
    return head_logits(network, x.contiguous(memory_format=torch.channels_last))


def choose_labels(checkpoint: Checkpoint, labels: str | None) -> str:
    """Return the labels to use: those asked for, else crowd where the checkpoint has that head, else fer2013.

    Raises WeightsError where the checkpoint lacks the head that is asked for.
    """
    if labels is None:
        return "crowd" if "crowd" in checkpoint.head_names else "fer2013"
    if labels not in checkpoint.head_names:
        raise WeightsError(
            f"these weights of {checkpoint.model} have no {labels} head, only {' and '.join(checkpoint.head_names)}; "
            f"choose another with --labels"
        )
    return labels


def best_dtype(model: str, device: str) -> torch.dtype:
    """Return the type that a model computes in: bfloat16 for slow models where the processor has it, else float32."""
    return torch.bfloat16 if model in ("cnn", "vit-b-16") and device == "cpu" and has_bfloat16() else torch.float32


def has_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16."""
    # Older versions of torch do not tell what the processor can do.
    abilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # x86; the last one: ARM


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Fold every batch norm that directly follows a convolution into it, in place, and return the network.

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
    """Return the device of that name, or the best one for "auto". Raises FerwatchError where it is missing."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        raise FerwatchError(f"--device {name}: there is no such device here; use --device cpu")
    return name


def load_classifier(
    model: str = "cnn",
    *,
    weights: Path | None = None,
    network: str | None = None,
    labels: str | None = None,
    device: str = "auto",
) -> Classifier:
    """Load a classifier with the model's shipped weights, or with others.

    Args:
        weights: a checkpoint other than the shipped one.
        network: a network of one's own, "file.py:Class", in place of `model`; needs `weights`.
        labels: "crowd", "fer2013", or None for crowd where the checkpoint has that head.
        device: "auto", "cpu", "cuda" or "mps".
    Raises WeightsError, and FerwatchError where there is no such device.
    """
    if network is not None:
        model = register_network(network)
        if weights is None:
            raise WeightsError(f"no weights of {network} are shipped: name its checkpoint with --weights")
    checkpoint = load_checkpoint(weights or shipped_weights(model), model)
    return Classifier(checkpoint, choose_device(device), labels=labels)


def labels_notice(classifier: Classifier, labels: str | None) -> str | None:
    """Return a notice if no labels were chosen and the checkpoint has no crowd head, else None."""
    if labels is not None or classifier.labels == "crowd":
        return None
    return (
        f"these weights of {classifier.checkpoint.model} have no crowd head: the emotions are FER2013's labels, "
        "not what people see"
    )
