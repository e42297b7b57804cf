"""Training in several processes: `torchrun` starts them, and each takes its part of every batch.

Every process draws the same random numbers for the whole batch and then keeps its own rows, so that the batches, and
but for dropout and batch norm the losses, are those of one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ferwatch.errors import DataError


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Joins the processes that torchrun started, where it did; yields this one's device."""
    if "LOCAL_RANK" not in os.environ:
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def count() -> int:
    """Return the number of processes that train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """This process's number; 0 writes the files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def local_rows(batch_size: int) -> slice:
    """This process's rows of a batch. Raises DataError where the batch cannot be shared out equally."""
    if batch_size % count():
        raise DataError(f"a batch of {batch_size} cannot be shared out among {count()} processes")
    own = batch_size // count()
    return slice(rank() * own, (rank() + 1) * own)


def wrap_ddp(learner: nn.Module, *, all_used: bool) -> nn.Module:
    """The learner, its gradients averaged over the processes; batch norms, on GPUs, take all processes' rows.

    Args:
        all_used: every parameter takes part in every step.
    """
    if count() == 1:
        return learner
    if next(learner.parameters()).is_cuda:
        learner = nn.SyncBatchNorm.convert_sync_batchnorm(learner)
    return DistributedDataParallel(learner, find_unused_parameters=not all_used)


def mean(value: Tensor) -> float:
    """A number's mean over the processes."""
    value = value.detach().float().clone()
    if count() > 1:
        distributed.all_reduce(value)
    return float(value) / count()
