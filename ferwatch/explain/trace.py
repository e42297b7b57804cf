"""One forward pass, recorded: every operation of the real network with its output, its parameters and its cost."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ferwatch.models.heads import head_logits
from ferwatch.utils.files import atomic_write

OPERATIONS = {
    "conv2d": "convolution",
    "linear": "linear",
    "matmul": "matrix product",
    "scaled_dot_product_attention": "attention",
    "multi_head_attention_forward": "multi-head attention",
    "batch_norm": "batch norm",
    "layer_norm": "layer norm",
    "relu": "ReLU",
    "gelu": "GELU",
    "softmax": "softmax",
    "max_pool2d": "max-pool",
    "mean": "mean",
    "sum": "sum",
    "add": "sum of two",
    "mul": "product of two",
    "cat": "concatenation",
}
"""PyTorch's functions that count as a step, and their names in the table; reshapes and the like are no steps."""


@dataclass(frozen=True)
class Step:
    """One operation of a forward pass."""

    layer: str
    """The parameter it uses, or else the module it happens in, as in "stages.0.conv1"; "" is the network itself."""
    operation: str
    """One of OPERATIONS' values."""
    output: Tensor
    parameters: int
    """Those that no earlier step has used: a layer that is applied twice counts once."""
    multiply_adds: int
    """Of convolutions, matrix products and attention; what works element by element is not counted."""
    weight: Tensor | None = None
    """The kernels (out, in, height, width) of a convolution."""
    attention: Tensor | None = None
    """(heads, tokens, tokens): how much each token (row) takes from every token (column); rows sum to 1."""


@dataclass(frozen=True)
class Trace:
    """A forward pass of one face."""

    input: Tensor
    """(1, channels, side, side)"""
    steps: list[Step]
    logits: Tensor
    """(1, 7)"""
    unused: dict[str, int]
    """Parameters that the network holds and its forward pass never touches, with their numbers."""
    head: str = "fer2013"
    """The head that gave the logits."""

    @property
    def parameters(self) -> int:
        """All that the network holds."""
        return sum(step.parameters for step in self.steps) + sum(self.unused.values())

    @property
    def multiply_adds(self) -> int:
        """Of one face."""
        return sum(step.multiply_adds for step in self.steps)


class _Recorder(TorchFunctionMode):
    """Hears every PyTorch function that is called while it is on, as a forward hook hears every module."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.names = {id(parameter): name for name, parameter in network.named_parameters()}
        self.counts = {name: parameter.numel() for name, parameter in network.named_parameters()}
        self.untouched = dict(self.counts)
        self.new_parameters = 0
        self.path = [""]
        self.steps: list[Step] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        attention = None
        if name == "multi_head_attention_forward":
            # the same products; PyTorch only hands the weights out when asked
            kwargs = {**kwargs, "need_weights": True, "average_attn_weights": False}
        output = func(*args, **kwargs)
        if name == "multi_head_attention_forward":
            attention = output[1][0]
        elif name == "scaled_dot_product_attention":
            attention = attention_weights(*args[:2])
        used = [self.names[id(a)] for a in (*args, *kwargs.values()) if id(a) in self.names]
        self.new_parameters += sum(self.untouched.pop(parameter, 0) for parameter in used)
        if name in OPERATIONS:
            result = (
                output[0].transpose(0, 1) if isinstance(output, tuple) else output
            )  # (tokens, 1, width): batch second
            self.steps.append(
                Step(
                    layer=self.path[-1] if not used or _is_layer(used) else used[0],
                    operation=OPERATIONS[name],
                    output=result,
                    parameters=self.new_parameters,
                    multiply_adds=_multiply_adds(name, args, result),
                    weight=args[1].detach() if name == "conv2d" else None,
                    attention=attention,
                )
            )
            self.new_parameters = 0
        return output

    @contextmanager
    def inside(self, network: nn.Module) -> Iterator[None]:
        """Knows, by forward hooks on every module, which one is at work."""
        with ExitStack() as hooks:
            for path, module in network.named_modules():
                # `path=path`: each hook keeps its own
                enter = module.register_forward_pre_hook(lambda _m, _x, path=path: self.path.append(path))
                leave = module.register_forward_hook(lambda _m, _x, _y: self._leave())
                hooks.callback(enter.remove)
                hooks.callback(leave.remove)
            with self:
                yield

    def _leave(self) -> None:
        self.path.pop()


def _is_layer(used: list[str]) -> bool:
    """Whether the parameters are a standard layer's, which goes by its module's name."""
    return all(name.rpartition(".")[2] in ("weight", "bias", "in_proj_weight", "in_proj_bias") for name in used)


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """(1, [heads,] tokens, size) queries and keys -> (heads, tokens, tokens): softmax over the keys of
    q k^T / sqrt(size), so that every row sums to 1.
    """
    weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1)
    return weights.flatten(0, -3)


def _multiply_adds(name: str, args: tuple[Any, ...], output: Tensor) -> int:
    if name == "conv2d":
        return output.numel() * args[1][0].numel()
    if name in ("linear", "matmul"):
        return output.numel() * args[0].shape[-1]
    if name == "scaled_dot_product_attention":
        q, k, _ = args[:3]
        return (q.numel() + output.numel()) * k.shape[-2]  # q k^T, then the weights times v
    if name == "multi_head_attention_forward":
        tokens, _, width = args[0].shape
        return 4 * tokens * width**2 + 2 * tokens**2 * width  # q, k, v, output; q k^T, weights times v
    return 0


@torch.inference_mode()
def trace(network: nn.Module, x: Tensor, head: str = "fer2013") -> Trace:
    """Runs a network in evaluation mode on one prepared face, (1, channels, size, size), and records every step.

    Args:
        head: the head whose logits are kept.
    """
    recorder = _Recorder(network)
    with recorder.inside(network):
        logits = head_logits(network, x)[head]
    return Trace(x, recorder.steps, logits, recorder.untouched, head)


def attention_layers(recorded: Trace) -> list[Tensor]:
    """(heads, tokens, tokens) for every layer of attention; heads that are modules of their own are put together."""
    layers: list[list[Tensor]] = []
    heads: list[str] = []
    for step in recorded.steps:
        if step.attention is None:
            continue
        siblings = bool(heads) and step.layer.rpartition(".")[0] == heads[0].rpartition(".")[0]
        if not siblings or step.layer in heads:
            layers.append([])
            heads = []
        layers[-1].append(step.attention)
        heads.append(step.layer)
    return [torch.cat(layer) for layer in layers]


def layer_table(recorded: Trace) -> list[tuple[str, str, str, int, int]]:
    """layer, operation, output shape without the batch, parameters, multiply-adds of every step."""
    rows = [
        (
            step.layer or "(network)",
            step.operation,
            "x".join(map(str, step.output.shape[1:])),
            step.parameters,
            step.multiply_adds,
        )
        for step in recorded.steps
    ]
    return rows + [(name, "unused", "", count, 0) for name, count in recorded.unused.items()]


def format_table(recorded: Trace) -> str:
    """The layer table as text, with its totals."""
    head = ("layer", "operation", "output", "parameters", "multiply-adds")
    rows = [(*row[:3], f"{row[3]:,}", f"{row[4]:,}") for row in layer_table(recorded)]
    total = ("total", "", "", f"{recorded.parameters:,}", f"{recorded.multiply_adds:,}")
    widths = [max(len(row[i]) for row in (head, total, *rows)) for i in range(5)]
    lines = ["  ".join(f"{v:<{w}}" if i < 3 else f"{v:>{w}}" for i, (v, w) in enumerate(zip(row, widths, strict=True)))
             for row in (head, *rows, total)]  # fmt: skip
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]]) + "\n"


def write_table(recorded: Trace, path: Path) -> None:
    """Writes the layer table as CSV: layer, operation, output, parameters, multiply_adds."""
    with atomic_write(path) as temp_path, open(temp_path, "w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(("layer", "operation", "output", "parameters", "multiply_adds"))
        writer.writerows(layer_table(recorded))
