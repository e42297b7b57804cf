"""Draws pictures of a convolutional network: its kernels, and the feature maps they give for a face."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from ferwatch.explain.trace import Step, Trace
from ferwatch.render.figures import (
    SIGNED_COLORMAP,
    VALUE_COLORMAP,
    Array,
    Picture,
    colour_bar,
    columns_for,
    label,
    limit,
    mosaic,
    place,
    probability_bars,
    render,
    show,
    show_gray,
    slide,
)

OVERVIEW_CHANNELS = 5
"""Channels shown for each layer on the overview slide."""
MAX_KERNELS = 64 * 32
"""Largest number of kernels shown on one slide; more would be too small to see."""
MAX_KERNEL_SIDE = 7
"""Largest side of a kernel, in pixels, that is shown as a kernel; larger ones embed whole patches."""


def layer_maps(trace: Trace) -> dict[str, Step]:
    """Return the steps whose feature maps are shown, by display name.

    They are every ReLU and max-pool, and each convolution that no batch norm follows.
    """
    maps: dict[str, Step] = {}
    name = ""
    for step, following in zip(trace.steps, [*trace.steps[1:], None], strict=True):
        if step.output.ndim != 4:
            continue
        if step.operation == "convolution":
            name = step.layer
            if following is None or following.operation != "batch norm":
                maps[name] = step
        elif step.operation == "sum of two":
            name = f"{step.layer}, block's sum"
        elif step.operation in ("ReLU", "max-pool"):
            name = f"{name} → {step.operation}"
            maps[name] = step
    return maps


def overview_picture(crop: NDArray[np.uint8], trace: Trace, probabilities: Array) -> Picture:
    """Return a slide of the whole forward pass: for each layer, the channels with the largest mean output."""
    # Only the last step of each block is shown.
    last = {(step.layer, step.operation, step.output.shape): step for step in layer_maps(trace).values()}
    steps = [step for step in last.values() if step.operation != "convolution"] or list(last.values())
    figure = slide(
        "The forward pass: from pixels to parts to an answer",
        f"One column per layer: the {OVERVIEW_CHANNELS} channels with the largest mean output for this face. Each "
        "column has its own scale, from 0 (dark) to its largest value (yellow). Maps become smaller and more numerous.",
    )
    show_gray(place(figure, 0, 0.33, 0.11, 0.36), crop, "the face")
    left, right = 0.135, 0.835
    width = (right - left) / len(steps)
    for column, step in enumerate(steps):
        maps = step.output[0].numpy()
        strongest = np.argsort(-maps.mean(axis=(1, 2)))[:OVERVIEW_CHANNELS]
        high = limit(maps[strongest])
        for row, channel in enumerate(strongest):
            at = (left + column * width, 0.81 - row * 0.2, width * 0.93, 0.18)
            axes = place(figure, *at)
            show(axes, maps[channel], VALUE_COLORMAP, 0, high)
            if row == 0:
                size = f"{maps.shape[0]}x{maps.shape[1]}x{maps.shape[2]}"
                label(axes, f"{step.layer or step.operation}\n{size}", 11)
    probability_bars(place(figure, 0.9, 0.2, 0.1, 0.62), probabilities, "the answer")
    return Picture(
        "forward-pass",
        "The forward pass: from pixels to parts to an answer",
        "Early layers keep the outline of the face and respond to edges and shading; later layers are coarse and "
        "respond to parts and their arrangement. The last maps are flattened or averaged, and one matrix turns "
        "them into the answer.",
        render(figure),
    )


def kernel_pictures(trace: Trace) -> list[Picture]:
    """Return one slide for the learnt kernels of each convolution that has few and small enough ones to show."""
    pictures = []
    for step in trace.steps:
        if step.weight is None or step.weight.shape[-1] == 1:
            continue
        out, into, height, width = step.weight.shape
        if out * into > MAX_KERNELS or height > MAX_KERNEL_SIDE:
            continue
        kernels = step.weight.numpy().reshape(out * into, height, width)
        if into == 1:
            caption = f"Each of the {out} kernels slides over the face and gives one feature map."
            sheet = mosaic(kernels, columns_for(out, 2.1))
        else:  # Outputs run across, since there are more of them and slides are wide.
            caption = f"One column for each of the {out} outputs; one row for each of the {into} input channels."
            sheet = mosaic(kernels.reshape(out, into, height, width).swapaxes(0, 1).reshape(-1, height, width), out)
        figure = slide(
            f"The learnt kernels of {step.layer}: {out} x {into} x {height}x{width}",
            f"{caption} Red weights add where the picture is bright, blue ones subtract; one scale for all.",
        )
        high = limit(kernels)
        shown = show(place(figure, 0, 0, 0.92, 1), sheet, SIGNED_COLORMAP, -high, high)
        colour_bar(figure, shown, "weight", (0.935, 0.15, 0.012, 0.7))
        pictures.append(
            Picture(
                f"kernels-{step.layer}",
                f"The learnt kernels of {step.layer}",
                "These were random numbers before training. A kernel that is red on one side and blue on the other "
                "responds to an edge; one with a red centre and blue around it to a spot; one of a single colour to "
                "brightness.",
                render(figure),
            )
        )
    return pictures


def feature_pictures(crop: NDArray[np.uint8], trace: Trace) -> list[Picture]:
    """Return one slide for each layer's feature maps, in the order of the forward pass."""
    return [_feature_picture(crop, name, step) for name, step in layer_maps(trace).items()]


def _feature_picture(crop: NDArray[np.uint8], name: str, step: Step) -> Picture:
    maps = step.output[0].numpy()
    channels, height, width = maps.shape
    signed = bool(maps.min() < 0)
    figure = slide(
        f"{name}: {channels} x {height}x{width}",
        f"{channels} feature maps of {height}x{width}, all on one scale. "
        + (
            "Red: the kernel's pattern is here; blue: its opposite."
            if signed
            else "Yellow: the kernel's pattern is here; dark: it is not."
        ),
    )
    show_gray(place(figure, 0, 0.34, 0.14, 0.34), crop, "the face")
    high = limit(maps)
    cmap, low = (SIGNED_COLORMAP, -high) if signed else (VALUE_COLORMAP, 0.0)
    sheet = mosaic(maps, columns_for(channels, 1.75), gap=max(1, height // 14))
    shown = show(place(figure, 0.165, 0, 0.755, 1), sheet, cmap, low, high)
    colour_bar(figure, shown, "output", (0.935, 0.15, 0.012, 0.7))
    file = re.sub(r"[^a-z0-9.]+", "-", name.lower())
    return Picture(f"features-{file}", f"Feature maps: {name}", _EXPLAIN[step.operation], render(figure))


_EXPLAIN = {
    "convolution": "The output of a convolution before its activation function: positive where the picture resembles "
    "the kernel, negative where it resembles the opposite.",
    "ReLU": "After ReLU, max(0, x), a map is above zero only where its pattern is present. (In a residual block, "
    "ReLU follows the addition of the block's input.)",
    "max-pool": "The largest value of each 2x2 square is kept. The map's side is halved, and a pattern may move by a "
    "pixel without changing the result.",
}
