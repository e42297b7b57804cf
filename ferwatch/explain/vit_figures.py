"""The pictures of a vision transformer: patches, positions, attention, and what attention adds up to."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from torch import Tensor, nn

from ferwatch.explain.attention import Reading
from ferwatch.explain.trace import Trace
from ferwatch.render.figures import (
    FAINT,
    SIGNED,
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

HEAT = "plasma"
COMPONENTS = 28
"""Of the patch filters, as many as the ViT paper shows."""


def transformer_pictures(
    crop: NDArray[np.uint8], network: nn.Module, recorded: Trace, reading: Reading
) -> list[Picture]:
    """All of a transformer's own slides, in the order of the pass."""
    filters = _filters_picture(network, recorded)
    return [
        _patches_picture(recorded, reading),
        *([filters] if filters else []),
        _positions_picture(reading),
        *_matrix_pictures(reading),
        _maps_picture(crop, reading),
        _rollout_picture(crop, reading),
    ]


def _patches_picture(recorded: Trace, reading: Reading) -> Picture:
    x = recorded.input[0, 0].numpy()
    rows = reading.rows
    side = x.shape[0] // rows
    patches = x.reshape(rows, side, rows, side).swapaxes(1, 2).reshape(-1, side, side)
    count, width = reading.tokens.shape
    overlapping = recorded.steps[0].weight is not None and recorded.steps[0].weight.shape[-1] < side
    stem = (
        f"Each patch with a rim around it passes three convolutions and becomes a token of {width} numbers."
        if overlapping
        else f"Each patch of {side}x{side} is multiplied by one matrix and becomes a token of {width} numbers."
    )
    figure = slide(
        f"The face as a sentence of {count} patches", f"{stem} Its position is added, and the blocks see nothing else."
    )
    axes = place(figure, 0, 0.06, 0.36, 0.84)
    show(axes, mosaic(patches, rows, gap=max(1, side // 8)), "gray", float(x.min()), float(x.max()))
    label(axes, f"{count} patches of {side}x{side}")
    strip = mosaic(patches, min(count, 12), gap=max(1, side // 4))
    axes = place(figure, 0.4, 0.62, 0.53, 0.28)
    show(axes, strip, "gray", float(x.min()), float(x.max()))
    label(axes, "in reading order, as the transformer gets them")
    tokens = reading.tokens.numpy()
    high = limit(tokens)
    axes = place(figure, 0.4, 0.04, 0.53, 0.48)
    shown = axes.imshow(tokens, cmap=SIGNED, vmin=-high, vmax=high, aspect="auto", interpolation="nearest")
    label(axes, f"the tokens: {count} rows of {width} numbers")
    colour_bar(figure, shown, "value", (0.945, 0.04, 0.012, 0.48))
    return Picture(
        "patches",
        f"The face as a sentence of {count} patches",
        "A transformer reads a list, not a picture: the patches are cut, each becomes a vector, and only the position "
        "embedding that is added to it tells where it was.",
        render(figure),
    )


def patch_filters(network: nn.Module, recorded: Trace) -> Tensor | None:
    """(out, side, side): the filters by which whole patches are embedded; None where a stem of convolutions does it."""
    parameters = dict(network.named_parameters())
    if "C" in parameters:
        return parameters["C"].detach().T.unflatten(1, (16, 16))
    weight = recorded.steps[0].weight
    # the three colour channels get the same gray picture, so that their filters act as their sum
    return weight.detach().sum(dim=1) if weight is not None and weight.shape[-1] == 16 else None


def _filters_picture(network: nn.Module, recorded: Trace) -> Picture | None:
    filters = patch_filters(network, recorded)
    if filters is None:
        return None
    count, side, _ = filters.shape
    images = filters.numpy()
    what, caption = f"{count} filters", "Each number of a token says how much the patch resembles one of these filters."
    if count > 64:
        _, _, components = np.linalg.svd(images.reshape(count, -1), full_matrices=False)
        images = components[:COMPONENTS].reshape(-1, side, side)
        what = f"the first {COMPONENTS} principal components of {count} filters"
        caption = "A token's numbers are mixtures of how much the patch resembles these patterns, the strongest first."
    figure = slide(f"What a patch is compared with: {what}", f"{caption} Filters of {side}x{side}, one scale for all.")
    high = limit(images)
    sheet = mosaic(images, columns_for(len(images), 2.1), gap=2)
    shown = show(place(figure, 0, 0, 0.92, 1), sheet, SIGNED, -high, high)
    colour_bar(figure, shown, "weight", (0.935, 0.15, 0.012, 0.7))
    return Picture(
        "filters",
        "What a patch is compared with",
        "The patch embedding is one convolution whose stride is its own size. Filters that look like waves and blobs "
        "were learnt; noise that looks like television snow was left over from the random start.",
        render(figure),
    )


def _positions_picture(reading: Reading) -> Picture:
    rows = reading.rows
    maps = reading.positions.numpy().copy().reshape(rows**2, rows, rows)
    figure = slide(
        "Positions: which places the network takes for neighbours",
        f"One small map for each of the {rows}x{rows} places: the cosine similarity of its position embedding to all "
        "others. White with a plus: the place itself, whose similarity is 1.",
    )
    maps[np.eye(rows**2, dtype=bool).reshape(maps.shape)] = np.nan
    high = max(0.1, float(np.nanmax(np.abs(maps))))
    axes = place(figure, 0.2, 0, 0.6, 1)
    shown = show(axes, mosaic(maps, rows), SIGNED, -high, high)
    for place_number in range(rows**2):
        row, column = divmod(place_number, rows)
        axes.text(column * (rows + 2), row * (rows + 2), "+", ha="center", va="center", fontsize=9, color=FAINT)
    colour_bar(figure, shown, "cosine similarity", (0.8, 0.15, 0.012, 0.7))
    return Picture(
        "positions",
        "Positions: which places the network takes for neighbours",
        "Nobody tells a transformer that the picture has rows and columns. Where training was long enough, each small "
        "map shows a bright cross or spot around its own place: the network has found the grid by itself.",
        render(figure),
    )


def _matrix_pictures(reading: Reading) -> list[Picture]:
    """The attention matrices, up to eight layers a slide."""
    layers, heads = len(reading.attention), len(reading.attention[0])
    slides = -(-layers // 8)
    per_slide = -(-layers // slides)
    high = max(limit(a.numpy()) for a in reading.attention)
    first_token = "The first row and column are the class token's. " if reading.has_class_token else ""
    pictures = []
    for start in range(0, layers, per_slide):
        some = reading.attention[start : start + per_slide]
        which = f"layers {start + 1} to {start + len(some)}" if slides > 1 else f"{layers} layers"
        title = f"Attention: {which}, {heads} heads each"
        figure = slide(
            title,
            "Row: the token that asks; column: the token it takes from; every row sums to 1. "
            f"{first_token}A bright diagonal: it looks at itself; a bright column: all look at the same place.",
        )
        tiles = np.stack([layer.numpy() for layer in some])
        axes = place(figure, 0.06, 0, 0.86, 0.96)
        shown = _sheet(axes, tiles, HEAT, high, [f"layer {start + i + 1}" for i in range(len(some))], 2.1)
        colour_bar(figure, shown, "attention", (0.935, 0.15, 0.012, 0.7))
        pictures.append(
            Picture(
                f"attention-matrices{f'-{start + 1:02d}' if slides > 1 else ''}",
                title,
                "Every token asks all tokens (its query against their keys), and the softmax of the answers says from "
                "whom it takes how much. These are the weights of the real pass, not an average.",
                render(figure),
            )
        )
    return pictures


def _maps_picture(crop: NDArray[np.uint8], reading: Reading) -> Picture:
    """Attention over the face, of every head and layer."""
    maps = np.stack([layer.numpy() for layer in reading.attention_to_face()])  # (layers, heads, rows, rows)
    layers, heads, rows, _ = maps.shape
    title = "Where each head looks"
    figure = slide(
        f"{title}: {heads} heads in {layers} layers",
        f"Attention over the face, asked by {reading.read_by}. Dark: not looked at; bright: looked at; one scale for "
        f"all. Looking everywhere alike would be {1 / reading.attention[0].shape[-1]:.3f}.",
    )
    axes = place(figure, 0, 0.22, 0.22, 0.56)
    show_gray(axes, crop, f"the face, {rows}x{rows} patches")
    for i in range(1, rows):
        axes.axhline(i * 48 / rows - 0.5, color="white", linewidth=0.8, alpha=0.7)
        axes.axvline(i * 48 / rows - 0.5, color="white", linewidth=0.8, alpha=0.7)
    high = limit(maps)
    axes = place(figure, 0.31, 0, 0.61, 0.96)
    shown = _sheet(axes, maps, HEAT, high, [f"layer {i + 1}" for i in range(layers)], 1.5, under=crop)
    colour_bar(figure, shown, "attention", (0.935, 0.15, 0.012, 0.7))
    return Picture(
        "attention-maps",
        title,
        "The same weights, laid over the face: the rows of the attention matrices that belong to the tokens the "
        "answer is read from. Heads of one layer can look at different places at once; that is what several heads are "
        "for.",
        render(figure),
    )


def _rollout_picture(crop: NDArray[np.uint8], reading: Reading) -> Picture:
    """Attention rollout, growing with the layers, and over the face at the end."""
    rollout = np.stack([layer.numpy() for layer in reading.rollout()])
    layers = len(rollout)
    figure = slide(
        "Attention rollout: from where the answer was gathered",
        "The product of all layers' attention, heads averaged, half of each token passed on by the residual "
        f"connection. Asked by {reading.read_by}.",
    )
    last = rollout[-1]
    low, high = float(last.min()), float(last.max())
    show_gray(place(figure, 0, 0.3, 0.25, 0.62), crop, "the face")
    axes = place(figure, 0.29, 0.3, 0.25, 0.62)
    show(axes, tint(crop, (last - low) / (high - low or 1), HEAT), HEAT, 0, 1)
    label(axes, "rollout over the face")
    axes = place(figure, 0.58, 0.3, 0.25, 0.62)
    shown = show(axes, last, HEAT, low, high)
    label(axes, "rollout, patch by patch")
    for (y, x), share in np.ndenumerate(last):
        dark = share < (low + high) / 2
        axes.text(x, y, f"{share:.1%}", ha="center", va="center", fontsize=9.5, color="white" if dark else "black")
    colour_bar(figure, shown, "share of the answer", (0.85, 0.34, 0.012, 0.54))
    axes = place(figure, 0, 0, 1, 0.19)
    scaled = [(layer - layer.min()) / (np.ptp(layer) or 1) for layer in rollout]
    sheet = mosaic(np.stack([tint(crop, layer, HEAT) for layer in scaled]), layers, gap=6)
    axes.imshow(np.nan_to_num(sheet, nan=1.0), interpolation="nearest")
    axes.set_anchor("W")
    for i in range(layers):
        axes.text(
            i * 54 + 23.5,
            -5,
            f"after layer {i + 1}" if layers < 9 else f"{i + 1}",
            ha="center",
            fontsize=10,
            color=FAINT,
        )
    return Picture(
        "rollout",
        "Attention rollout: from where the answer was gathered",
        "One layer's attention says little, since its tokens are already mixtures. Rollout (Abnar and Zuidema 2020) "
        "multiplies the layers and so follows every patch to the answer. It ignores what the MLPs and the values do: "
        "read it beside the occlusion map. Below, the map after each layer, each on its own scale.",
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
    """(layers, heads, side, side) on one scale, in a grid for a field of `aspect`; over a face if one is given."""
    layers, heads, side, _ = maps.shape
    across = (
        layers / heads > 1 if abs(np.log(layers / heads / aspect)) < abs(np.log(heads / layers / aspect)) else False
    )
    if across:
        maps = maps.swapaxes(0, 1)
    rows, columns = maps.shape[:2]
    tiles = maps.reshape(-1, side, side)
    gap = max(1, side // 10)
    if under is not None:
        tiles, gap, side = np.stack([tint(under, tile / high, cmap) for tile in tiles]), 5, len(under)
    sheet = mosaic(tiles, columns, gap)
    # matplotlib draws an RGB image as it is; the scale is for the colour bar
    shown = show(axes, np.nan_to_num(sheet, nan=1.0) if under is not None else sheet, cmap, 0, high)
    step = side + gap
    # Twelve names side by side leave no room for the word.
    head_names = [f"head {i + 1}" if heads <= 8 or i == 0 else str(i + 1) for i in range(heads)]
    size = 11 if max(rows, columns) < 10 else 8.5
    for i, name in enumerate(names if across else head_names):
        at = (i * step + side / 2 - 0.5, -0.5)
        axes.annotate(name, at, (0, 5), textcoords="offset points", ha="center", fontsize=size, color=FAINT)
    for i, name in enumerate(head_names if across else names):
        at = (-0.5, i * step + side / 2 - 0.5)
        axes.annotate(
            name, at, (-6, 0), textcoords="offset points", ha="right", va="center", fontsize=size, color=FAINT
        )
    return shown
