"""Threads of the libraries."""

from __future__ import annotations


def use_single_threaded_libraries() -> None:
    """Make OpenCV and torch compute in the thread that calls them, in the whole process.

    The stages of a run work side by side; threads within each only wait for each other. For processes of ferwatch's
    own, the command line's and a batch's workers: in somebody else's program the setting is theirs.
    """
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
