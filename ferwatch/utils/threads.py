"""Threads of native libraries: a matter for whole programs, never for a library call."""

from __future__ import annotations


def limit_native_threads() -> None:
    """Let each call into OpenCV and PyTorch use one thread in this process.

    The pipeline runs its stages side by side, and the classifier its batches; threads within a call would only get into
    each other's way. For the command line and worker processes.
    """
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
