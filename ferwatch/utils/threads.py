"""The number of threads that OpenCV and torch use."""

from __future__ import annotations


def use_single_threaded_libraries() -> None:
    """Make OpenCV and torch compute in the thread that calls them, in the whole process.

    Segments are analysed in parallel, so further threads within each would only wait for each other. Call this only in
    ferwatch's own processes, the command line and its workers: in another program the setting is not ours to change.
    """
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
