"""Crops in, calibrated probabilities out."""

from __future__ import annotations

import os

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ferwatch.preprocess import prepare
from ferwatch.records import FerwatchError
from ferwatch.weights import Checkpoint

BATCH = 16
"""Every forward pass has this many faces, the last one padded: a face's numbers never depend on its neighbours."""


class Classifier:
    """A checkpoint at work on a device."""

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu") -> None:
        self.checkpoint = checkpoint
        self.device = device
        self.network = checkpoint.network.to(device).eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(N, 48, 48) gray -> (N, 7) probabilities in the order of EMOTIONS; each row sums to 1."""
        logits = self.logits(crops) / self.checkpoint.temperature
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exp / exp.sum(axis=1, keepdims=True)

    @torch.inference_mode()
    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(N, 48, 48) gray -> (N, 7) logits before calibration."""
        answers = np.empty((len(crops), 7))
        for start in range(0, len(crops), BATCH):
            faces = torch.zeros(BATCH, *crops.shape[1:], dtype=torch.uint8)
            some = crops[start : start + BATCH]
            faces[: len(some)] = torch.from_numpy(some)
            x = prepare(faces.to(self.device), self.checkpoint.input)
            out = self.network(x.contiguous(memory_format=torch.channels_last))
            answers[start : start + len(some)] = out[: len(some)].double().cpu().numpy()
        return answers


def choose_device(name: str) -> str:
    """ "auto" becomes the best device there is; raises FerwatchError where a device that was asked for is missing."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        raise FerwatchError(f"--device {name}: there is no such device here; use --device cpu")
    return name


def use_threads(number: int | None) -> None:
    """Limits how many threads OpenCV and torch use; None: as many as there are cores."""
    cores = number or os.cpu_count() or 1
    torch.set_num_threads(cores)
    cv2.setNumThreads(cores)
