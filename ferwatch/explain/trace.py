"""Records a forward pass: every operation of a network with its output, parameters and multiply-adds."""

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
"""PyTorch functions that are recorded as steps, and their names in the layer table. Reshapes are left out."""


@dataclass(frozen=True)
class Step:
    """One operation of a forward pass."""

    layer: str
    """Name of the parameter used, or else of the module that runs, for example "stages.0.conv1"; "" is the network."""
    operation: str
    """One of OPERATIONS' values."""
    output: Tensor
    """Result of the operation, batch of one first."""
    parameters: int
    """Number of parameters that no earlier step has used: a layer that is applied twice counts once."""
    multiply_adds: int
    """Multiply-adds of convolutions, matrix products and attention; elementwise operations count 0."""
    weight: Tensor | None = None
    """(out, in, height, width) kernels of a convolution; None for other operations."""
    attention: Tensor | None = None
    """(heads, tokens, tokens) attention weights, query tokens in rows; each row sums to 1. None without attention."""


@dataclass(frozen=True)
class Trace:
    """The recorded forward pass of one face."""

    input: Tensor
    """(1, channels, size, size) preprocessed face."""
    steps: list[Step]
    logits: Tensor
    """(1, 7) logits of the head `head`."""
    unused: dict[str, int]
    """Name -> size of each parameter that the forward pass never uses."""
    head: str = "fer2013"
    """Name of the head that gave the logits."""

    @property
    def parameters(self) -> int:
        """Number of all parameters of the network, used or not."""
        return sum(step.parameters for step in self.steps) + sum(self.unused.values())

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one face's forward pass."""
        return sum(step.multiply_adds for step in self.steps)


class _Recorder(TorchFunctionMode):
    """Intercepts every PyTorch function call while it is active and records those in OPERATIONS as steps."""

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
            # The result is the same; PyTorch returns the weights only when asked.
            kwargs = {**kwargs, "need_weights": True, "average_attn_weights": False}
        output = func(*args, **kwargs)
        if name == "multi_head_attention_forward":
            attention = output[1][0]
        elif name == "scaled_dot_product_attention":
            attention = attention_weights(*args[:2])
        used = [self.names[id(a)] for a in (*args, *kwargs.values()) if id(a) in self.names]
        self.new_parameters += sum(self.untouched.pop(parameter, 0) for parameter in used)
        if name in OPERATIONS:
            # Multi-head attention returns a tuple, and its output has the batch second: (tokens, 1, width).
            result = output[0].transpose(0, 1) if isinstance(output, tuple) else output
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
        """Record while the network runs; forward hooks keep track of the module that is running."""
        with ExitStack() as hooks:
            for path, module in network.named_modules():
                # `path=path` binds the value of this iteration.
                enter = module.register_forward_pre_hook(lambda _m, _x, path=path: self.path.append(path))
                leave = module.register_forward_hook(lambda _m, _x, _y: self._leave())
                hooks.callback(enter.remove)
                hooks.callback(leave.remove)
            with self:
                yield

    def _leave(self) -> None:
        self.path.pop()


def _is_layer(used: list[str]) -> bool:
    """Return whether these are the parameters of a standard layer, which is listed by its module's name."""
    return all(name.rpartition(".")[2] in ("weight", "bias", "in_proj_weight", "in_proj_bias") for name in used)


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """Return (heads, tokens, tokens) attention weights: softmax(q k^T / sqrt(size)) over the keys.

    q, k: queries and keys, (1, [heads,] tokens, size).
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
def record_forward(network: nn.Module, x: Tensor, head: str = "fer2013") -> Trace:
    """Run a network on one preprocessed face, (1, channels, size, size), and return every step of the pass.

    The network has to be in evaluation mode. `head` names the head whose logits are kept.
    """
    recorder = _Recorder(network)
    with recorder.inside(network):
        logits = head_logits(network, x)[head]
    return Trace(x, recorder.steps, logits, recorder.untouched, head)


def attention_layers(trace: Trace) -> list[Tensor]:
    """Return (heads, tokens, tokens) attention weights for every layer; heads that are separate modules are stacked."""
    layers: list[list[Tensor]] = []
    heads: list[str] = []
    for step in trace.steps:
        if step.attention is None:
            continue
        siblings = bool(heads) and step.layer.rpartition(".")[0] == heads[0].rpartition(".")[0]
        if not siblings or step.layer in heads:
            layers.append([])
            heads = []
        layers[-1].append(step.attention)
        heads.append(step.layer)
    return [torch.cat(layer) for layer in layers]


def layer_table(trace: Trace) -> list[tuple[str, str, str, int, int]]:
    """Return a row for every step: layer, operation, output shape without batch, parameters, multiply-adds."""
    rows = [
        (
            step.layer or "(network)",
            step.operation,
            "x".join(map(str, step.output.shape[1:])),
            step.parameters,
            step.multiply_adds,
        )
        for step in trace.steps
    ]
    return rows + [(name, "unused", "", count, 0) for name, count in trace.unused.items()]


def format_table(trace: Trace) -> str:
    """Return the layer table as text, with totals."""
    head = ("layer", "operation", "output", "parameters", "multiply-adds")
    rows = [(*row[:3], f"{row[3]:,}", f"{row[4]:,}") for row in layer_table(trace)]
    total = ("total", "", "", f"{trace.parameters:,}", f"{trace.multiply_adds:,}")
    widths = [max(len(row[i]) for row in (head, total, *rows)) for i in range(5)]
    lines = ["  ".join(f"{v:<{w}}" if i < 3 else f"{v:>{w}}" for i, (v, w) in enumerate(zip(row, widths, strict=True)))
             for row in (head, *rows, total)]  # fmt: skip
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]]) + "\n"


def write_table(trace: Trace, path: Path) -> None:
    """Write the layer table as CSV: layer, operation, output, parameters, multiply_adds."""
    with atomic_write(path) as temp_path, open(temp_path, "w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(("layer", "operation", "output", "parameters", "multiply_adds"))
        writer.writerows(layer_table(trace))
