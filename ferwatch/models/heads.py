"""The last layer of a network: one linear layer, a head, for each kind of label."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ferwatch.models.registry import HEADS
from ferwatch.records import EMOTIONS


def classification_heads(names: Sequence[str], width: int, *, std: float = 0.01) -> nn.ModuleDict:
    """Return one linear layer of `width` features and seven outputs for each head name, in the order of HEADS.

    Args:
        std: deviation of the fresh weights. A small one makes the first predictions nearly uniform, so that the first
            loss is ln 7.
    Raises ValueError where a name is not one of HEADS.
    """
    unknown = sorted(set(names) - set(HEADS))
    if unknown or not names:
        raise ValueError(f"heads are some of {', '.join(HEADS)}, not {list(names)}")
    heads = nn.ModuleDict({name: nn.Linear(width, len(EMOTIONS)) for name in HEADS if name in names})
    for head in heads.values():
        assert isinstance(head, nn.Linear)
        nn.init.normal_(head.weight, std=std)
        nn.init.zeros_(head.bias)
    return heads


def add_heads(network: nn.Module, names: Sequence[str]) -> None:
    """Add to a network, in place, fresh heads for those of the names that it lacks.

    Raises ValueError where the network has a last layer of its own kind, as the report's networks have.
    """
    heads = getattr(network, "heads", None)
    if not isinstance(heads, nn.ModuleDict):
        raise ValueError(f"a {type(network).__name__} has one head and takes no more")
    first = next(iter(heads.values()))
    assert isinstance(first, nn.Linear)
    fresh = classification_heads([name for name in HEADS if name in names or name in heads], first.in_features)
    for name, head in fresh.items():
        fresh[name] = heads[name] if name in heads else head  # noqa: SIM401  (a ModuleDict has no get)
    network.heads = fresh


def head_logits(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return a network's (N, 7) logits by head. One that returns a plain tensor has the fer2013 head alone."""
    logits = network(x)
    return {"fer2013": logits} if isinstance(logits, Tensor) else logits


def head_names(network: nn.Module) -> list[str]:
    """Return the names of a network's heads without running it: fer2013 alone where it has no `heads`."""
    heads = getattr(network, "heads", None)
    return list(heads) if isinstance(heads, nn.ModuleDict) else ["fer2013"]
