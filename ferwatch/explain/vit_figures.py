"""Draws pictures of a vision transformer: patches, positions, attention, and attention rollout."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from torch import Tensor, nn

from ferwatch.explain.attention import AttentionAnalysis
from ferwatch.explain.trace import Trace
from ferwatch.render.figures import (
    FAINT_INK,
    SIGNED_COLORMAP,
    Array,
    Picture,
    colour_bar,
    columns_for,
    label,
    limit,
    mosaic,
    place,
    render,
    show,
    show_gray,
    slide,
    tint,
)

ATTENTION_COLORMAP = "plasma"
MAX_FILTERS = 64
"""Largest number of patch filters shown one by one; of more, the principal components are shown."""
FILTER_COMPONENTS = 28
"""Number of principal components of the patch filters, as in the ViT paper."""
PATCH_SIDE = 16
"""Side, in pixels, of the patches that the networks embed with one matrix."""


def transformer_pictures(
    crop: NDArray[np.uint8], network: nn.Module, trace: Trace, analysis: AttentionAnalysis
) -> list[Picture]:
    """Return the slides that only a transformer has, in the order of the forward pass."""
    pictures = []
    if analysis.tokens is not None:
        pictures.append(_patches_picture(trace, analysis.tokens, analysis.grid_side))
    filters = patch_filters(network, trace)
    if filters is not None:
        pictures.append(_filters_picture(filters))
    if analysis.position_similarity is not None:
        pictures.append(_positions_picture(analysis.position_similarity, analysis.grid_side))
    return [
        *pictures,
        *_matrix_pictures(analysis),
        _maps_picture(crop, analysis),
        _rollout_picture(crop, analysis),
    ]


def _patches_picture(trace: Trace, entering: Tensor, rows: int) -> Picture:
    x = trace.input[0, 0].numpy()
    side = x.shape[0] // rows
    patches = x.reshape(rows, side, rows, side).swapaxes(1, 2).reshape(-1, side, side)
    count, width = entering.shape
    overlapping = trace.steps[0].weight is not None and trace.steps[0].weight.shape[-1] < side
    stem = (
        f"Each patch and its surroundings pass through convolutions and become a token of {width} numbers."
        if overlapping
        else f"Each patch of {side}x{side} is multiplied by one matrix and becomes a token of {width} numbers."
    )
    figure = slide(
        f"The face as a sentence of {count} patches",
        f"{stem} A position embedding is added; the tokens are all that the blocks see.",
    )
    axes = place(figure, 0, 0.06, 0.36, 0.84)
    show(axes, mosaic(patches, rows, gap=max(1, side // 8)), "gray", float(x.min()), float(x.max()))
    label(axes, f"{count} patches of {side}x{side}")
    strip = mosaic(patches, min(count, 12), gap=max(1, side // 4))
    axes = place(figure, 0.4, 0.62, 0.53, 0.28)
    show(axes, strip, "gray", float(x.min()), float(x.max()))
    label(axes, "in reading order, as the transformer receives them")
    tokens = entering.numpy()
    high = limit(tokens)
    axes = place(figure, 0.4, 0.04, 0.53, 0.48)
    shown = axes.imshow(tokens, cmap=SIGNED_COLORMAP, vmin=-high, vmax=high, aspect="auto", interpolation="nearest")
    label(axes, f"the tokens: {count} rows of {width} numbers")
    colour_bar(figure, shown, "value", (0.945, 0.04, 0.012, 0.48))
    return Picture(
        "patches",
        f"The face as a sentence of {count} patches",
        "A transformer reads a list, not a picture. The face is cut into patches and each becomes a vector; only the "
        "position embedding that is added to it says where the patch was.",
        render(figure),
    )


def patch_filters(network: nn.Module, trace: Trace) -> Tensor | None:
    """Return the (out, side, side) filters that embed whole patches; None where convolutions embed them."""
    parameters = dict(network.named_parameters())
    if "C" in parameters:
        return parameters["C"].detach().T.unflatten(1, (PATCH_SIDE, PATCH_SIDE))
    weight = trace.steps[0].weight
    # The three colour channels receive the same gray picture, so their filters act as their sum.
    return weight.detach().sum(dim=1) if weight is not None and weight.shape[-1] == PATCH_SIDE else None


def _filters_picture(filters: Tensor) -> Picture:
    count, side, _ = filters.shape
    images = filters.numpy()
    what, caption = f"{count} filters", "Each number of a token says how much the patch resembles one of these filters."
    if count > MAX_FILTERS:
        _, _, components = np.linalg.svd(images.reshape(count, -1), full_matrices=False)
        images = components[:FILTER_COMPONENTS].reshape(-1, side, side)
        what = f"the first {FILTER_COMPONENTS} principal components of {count} filters"
        caption = "Each number of a token mixes how much the patch resembles these patterns, strongest first."
    figure = slide(f"What a patch is compared with: {what}", f"{caption} Filters of {side}x{side}, one scale for all.")
    high = limit(images)
    sheet = mosaic(images, columns_for(len(images), 2.1), gap=2)
    shown = show(place(figure, 0, 0, 0.92, 1), sheet, SIGNED_COLORMAP, -high, high)
    colour_bar(figure, shown, "weight", (0.935, 0.15, 0.012, 0.7))
    return Picture(
        "filters",
        "What a patch is compared with",
        "The patch embedding is one convolution whose stride is its own size. Filters that look like waves and blobs "
        "were learnt; filters that look like noise are left from the random initialization.",
        render(figure),
    )


def _positions_picture(similarity: Tensor, rows: int) -> Picture:
    maps = similarity.numpy().copy().reshape(rows**2, rows, rows)
    figure = slide(
        "Positions: which patches the network treats as neighbours",
        f"One small map for each of the {rows}x{rows} patches: the cosine similarity of its position embedding to all "
        "others. White with a plus: the patch itself, whose similarity is 1.",
    )
    maps[np.eye(rows**2, dtype=bool).reshape(maps.shape)] = np.nan
    high = max(0.1, float(np.nanmax(np.abs(maps))))
    axes = place(figure, 0.2, 0, 0.6, 1)
    shown = show(axes, mosaic(maps, rows), SIGNED_COLORMAP, -high, high)
    for patch in range(rows**2):
        row, column = divmod(patch, rows)
        axes.text(column * (rows + 2), row * (rows + 2), "+", ha="center", va="center", fontsize=9, color=FAINT_INK)
    colour_bar(figure, shown, "cosine similarity", (0.8, 0.15, 0.012, 0.7))
    return Picture(
        "positions",
        "Positions: which patches the network treats as neighbours",
        "A transformer is not told that the picture has rows and columns. After enough training, each small map shows "
        "a bright cross or spot around its own patch: the network has learnt the grid from the data.",
        render(figure),
    )


def _matrix_pictures(analysis: AttentionAnalysis) -> list[Picture]:
    """Return slides of the attention matrices, up to eight layers each."""
    layers, heads = len(analysis.attention), len(analysis.attention[0])
    slides = -(-layers // 8)
    per_slide = -(-layers // slides)
    high = max(limit(a.numpy()) for a in analysis.attention)
    first_token = "The first row and column are the class token's. " if analysis.has_class_token else ""
    pictures = []
    for start in range(0, layers, per_slide):
        some = analysis.attention[start : start + per_slide]
        which = f"layers {start + 1} to {start + len(some)}" if slides > 1 else f"{layers} layers"
        title = f"Attention: {which}, {heads} heads each"
        figure = slide(
            title,
            "Row: the query token; column: the token it attends to; every row sums to 1. "
            f"{first_token}A bright diagonal: tokens attend to themselves; a bright column: all attend to one token.",
        )
        tiles = np.stack([layer.numpy() for layer in some])
        axes = place(figure, 0.06, 0, 0.86, 0.96)
        shown = _sheet(axes, tiles, ATTENTION_COLORMAP, high, [f"layer {start + i + 1}" for i in range(len(some))], 2.1)
        colour_bar(figure, shown, "attention", (0.935, 0.15, 0.012, 0.7))
        pictures.append(
            Picture(
                f"attention-matrices{f'-{start + 1:02d}' if slides > 1 else ''}",
                title,
                "The query of every token is compared with the keys of all tokens, and a softmax turns the scores into "
                "weights. These are the weights of this forward pass, not an average over faces.",
                render(figure),
            )
        )
    return pictures


def _maps_picture(crop: NDArray[np.uint8], analysis: AttentionAnalysis) -> Picture:
    """Return a slide of the attention over the face, for every head and layer."""
    maps = np.stack([layer.numpy() for layer in analysis.readout_attention()])  # (layers, heads, rows, rows)
    layers, heads, rows, _ = maps.shape
    title = "What each head attends to"
    figure = slide(
        f"{title}: {heads} heads in {layers} layers",
        f"Attention over the face; queries: {analysis.readout_name}. Dark: little; bright: much; one scale for all. "
        f"Uniform attention would be {1 / analysis.attention[0].shape[-1]:.3f}.",
    )
    axes = place(figure, 0, 0.22, 0.22, 0.56)
    show_gray(axes, crop, f"the face, {rows}x{rows} patches")
    for i in range(1, rows):
        axes.axhline(i * 48 / rows - 0.5, color="white", linewidth=0.8, alpha=0.7)
        axes.axvline(i * 48 / rows - 0.5, color="white", linewidth=0.8, alpha=0.7)
    high = limit(maps)
    axes = place(figure, 0.31, 0, 0.61, 0.96)
    shown = _sheet(axes, maps, ATTENTION_COLORMAP, high, [f"layer {i + 1}" for i in range(layers)], 1.5, under=crop)
    colour_bar(figure, shown, "attention", (0.935, 0.15, 0.012, 0.7))
    return Picture(
        "attention-maps",
        title,
        "The same weights laid over the face: the rows of the attention matrices that belong to the tokens from which "
        "the answer is computed. Heads of one layer can attend to different parts at once; that is their purpose.",
        render(figure),
    )


def _rollout_picture(crop: NDArray[np.uint8], analysis: AttentionAnalysis) -> Picture:
    """Return a slide of the attention rollout: over the face after the last layer, and small after each layer."""
    rollout = np.stack([layer.numpy() for layer in analysis.rollout()])
    layers = len(rollout)
    figure = slide(
        "Attention rollout: where the answer comes from",
        "The product of all layers' attention, heads averaged, with half of each token passed on by the residual "
        f"connection. Readout: {analysis.readout_name}.",
    )
    last = rollout[-1]
    low, high = float(last.min()), float(last.max())
    show_gray(place(figure, 0, 0.3, 0.25, 0.62), crop, "the face")
    axes = place(figure, 0.29, 0.3, 0.25, 0.62)
    show(axes, tint(crop, (last - low) / (high - low or 1), ATTENTION_COLORMAP), ATTENTION_COLORMAP, 0, 1)
    label(axes, "rollout over the face")
    axes = place(figure, 0.58, 0.3, 0.25, 0.62)
    shown = show(axes, last, ATTENTION_COLORMAP, low, high)
    label(axes, "rollout, patch by patch")
    for (y, x), share in np.ndenumerate(last):
        dark = share < (low + high) / 2
        axes.text(x, y, f"{share:.1%}", ha="center", va="center", fontsize=9.5, color="white" if dark else "black")
    colour_bar(figure, shown, "share of the answer", (0.85, 0.34, 0.012, 0.54))
    axes = place(figure, 0, 0, 1, 0.19)
    scaled = [(layer - layer.min()) / (np.ptp(layer) or 1) for layer in rollout]
    sheet = mosaic(np.stack([tint(crop, layer, ATTENTION_COLORMAP) for layer in scaled]), layers, gap=6)
    axes.imshow(np.nan_to_num(sheet, nan=1.0), interpolation="nearest")
    axes.set_anchor("W")
    for i in range(layers):
        name = f"after layer {i + 1}" if layers < 9 else f"{i + 1}"
        axes.text(i * 54 + 23.5, -5, name, ha="center", fontsize=10, color=FAINT_INK)
    return Picture(
        "rollout",
        "Attention rollout: where the answer comes from",
        "The attention of one layer says little, since its tokens are already mixtures. Rollout (Abnar and Zuidema "
        "2020) multiplies the layers and so follows every patch to the answer. It ignores the MLPs and the values, so "
        "compare it with the occlusion map. Below: the map after each layer, each on its own scale.",
        render(figure),
    )


def _sheet(
    axes: Axes,
    maps: Array,
    cmap: str,
    high: float,
    names: list[str],
    aspect: float,
    under: NDArray[np.uint8] | None = None,
) -> AxesImage:
    """Draw (layers, heads, side, side) maps on one scale as a grid, and return its image.

    Args:
        high: value at the top of the scale, which starts at 0.
        names: one per layer.
        aspect: width / height of the area; it decides whether layers run across or down.
        under: (48, 48) gray face over which the maps are laid.
    """
    layers, heads, side, _ = maps.shape
    ratio = layers / heads
    across = ratio > 1 and abs(np.log(ratio / aspect)) < abs(np.log(1 / ratio / aspect))
    if across:
        maps = maps.swapaxes(0, 1)
    rows, columns = maps.shape[:2]
    tiles = maps.reshape(-1, side, side)
    gap = max(1, side // 10)
    if under is not None:
        tiles, gap, side = np.stack([tint(under, tile / high, cmap) for tile in tiles]), 5, len(under)
    sheet = mosaic(tiles, columns, gap)
    # Matplotlib draws an RGB image as it is; the scale is for the colour bar.
    shown = show(axes, np.nan_to_num(sheet, nan=1.0) if under is not None else sheet, cmap, 0, high)
    step = side + gap
    # There is no room for the word "head" in more than eight names side by side.
    head_names = [f"head {i + 1}" if heads <= 8 or i == 0 else str(i + 1) for i in range(heads)]
    size = 11 if max(rows, columns) < 10 else 8.5
    for i, name in enumerate(names if across else head_names):
        at = (i * step + side / 2 - 0.5, -0.5)
        axes.annotate(name, at, (0, 5), textcoords="offset points", ha="center", fontsize=size, color=FAINT_INK)
    for i, name in enumerate(head_names if across else names):
        at = (-0.5, i * step + side / 2 - 0.5)
        axes.annotate(
            name, at, (-6, 0), textcoords="offset points", ha="right", va="center", fontsize=size, color=FAINT_INK
        )
    return shown
