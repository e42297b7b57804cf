"""Draws pictures of any network: its input, its last layer, and the occlusion map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ferwatch.explain.occlusion import PATCH_PIXELS, STRIDE_PIXELS, Occlusion
from ferwatch.explain.trace import Trace
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.registry import InputSpec
from ferwatch.records import EMOTIONS, Face
from ferwatch.render.figures import (
    BOTTOM,
    FAINT_INK,
    LEFT,
    RIGHT,
    SIGNED_COLORMAP,
    TOP,
    VALUE_COLORMAP,
    Array,
    Picture,
    colour_bar,
    label,
    limit,
    place,
    probability_bars,
    render,
    show,
    show_frame,
    show_gray,
    slide,
    tint,
)


def input_picture(
    image: NDArray[np.uint8], face: Face, trace: Trace, to: InputSpec, probabilities: Array, model: str
) -> Picture:
    """Return a slide with the frame, the aligned crop, the network's input and its answer."""
    contrast = (
        "shifted to mean 0 and standard deviation 1"
        if to.normalization == "standard"
        else "scaled from 0 to 255 to 0 to 1"
    )
    size = f"{to.size}x{to.size}"
    figure = slide(
        f"From the frame to the answer of {model}",
        "The eyes and the mouth are moved to where FER2013 has them, in 48x48 gray pixels. The network's input is "
        f"{size}, {contrast}.",
    )
    show_frame(place(figure, 0, 0.14, 0.33, 0.7), image, face.bbox, "the face found in the frame")
    show_gray(place(figure, 0.375, 0.25, 0.17, 0.5), face.crop, "aligned, 48x48")
    axes = place(figure, 0.59, 0.25, 0.17, 0.5)
    x = trace.input[0, 0].numpy()
    show(axes, x, "gray", float(x.min()), float(x.max()))
    label(axes, f"the input, {size}")
    axes.text(
        0.5, -0.05, f"black is {x.min():.2f}, white {x.max():.2f}",
        transform=axes.transAxes, fontsize=11, color=FAINT_INK, ha="center", va="top",
    )  # fmt: skip
    probability_bars(place(figure, 0.87, 0.12, 0.13, 0.76), probabilities, "the answer")
    for at in (0.3525, 0.5675, 0.7825):
        figure.text(
            LEFT + at * (RIGHT - LEFT), (TOP + BOTTOM) / 2, "→", fontsize=22, color=FAINT_INK, ha="center", va="center"
        )
    return Picture(
        "input",
        f"From the frame to the answer of {model}",
        "MediaPipe finds the face and six of its points. A similarity transform (shift, rotation, scale) moves the "
        "eyes and the mouth to their average positions in FER2013, so that faces look as they did in training. The "
        "answer is the softmax of the network's seven outputs (logits), after calibration.",
        render(figure),
    )


def answer_picture(trace: Trace, features: Array, checkpoint: Checkpoint, probabilities: Array) -> Picture:
    """Return a slide with the last feature vector, the seven logits of the head in use and the seven probabilities."""
    calibration, blend = checkpoint.calibration(trace.head), checkpoint.blend
    logits = calibration.calibrated_logits(trace.logits[:1].double().numpy())[0]
    shifted = bool(calibration.offsets)
    if trace.head == "crowd" and blend.crowd_weight == 1 and blend.offsets:
        logits, shifted = logits + np.array(blend.offsets), True
    if calibration.scales:
        how = "multiplied by a constant of its emotion, and another constant is added"
    else:
        how = f"divided by the temperature {calibration.temperature:.3g}"
        how = f"shifted by a constant of its emotion and {how}" if shifted else how
    blended = trace.head == "crowd" and blend.crowd_weight < 1
    both_heads = (
        f" The answer comes from two heads: {blend.crowd_weight:.0%} from the crowd head, shown here, and "
        "the rest from the fer2013 head, which reads the same features."
    )
    figure = slide(
        "The last step: from a vector to seven probabilities",
        f"The face is now {len(features)} numbers. One matrix turns them into seven outputs (logits). The "
        f"{'head' if blended else 'network'}'s answer is their softmax after calibration: each logit is {how}. Only "
        "differences between logits matter.",
    )
    high = limit(features)
    cmap, low = (SIGNED_COLORMAP, -high) if features.min() < 0 else (VALUE_COLORMAP, 0.0)
    width = 16
    padded = np.full(-(-len(features) // width) * width, np.nan)
    padded[: len(features)] = features
    axes = place(figure, 0.0, 0.02, 0.26, 0.86)
    shown = show(axes, padded.reshape(-1, width), cmap, low, high)
    label(axes, f"the features: {len(features)} numbers")
    colour_bar(figure, shown, "value", (0.275, 0.2, 0.01, 0.5))
    axes = place(figure, 0.44, 0.08, 0.2, 0.8)
    axes.set_axis_on()
    axes.barh(EMOTIONS, logits - logits.mean(), color=FAINT_INK, height=0.72)
    axes.axvline(0, color=FAINT_INK, linewidth=0.8)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0, labelsize=12.5)
    axes.tick_params(axis="x", labelsize=11)
    axes.spines[["top", "right", "left"]].set_visible(False)
    label(axes, "calibrated logits minus their mean")
    probability_bars(place(figure, 0.76, 0.08, 0.24, 0.8), probabilities, "probabilities")
    return Picture(
        "answer",
        "The last step: from a vector to seven probabilities",
        "The backbone ends in a vector of features; the head is one matrix (and a bias, in most of the networks). The "
        "softmax makes the outputs positive and lets them sum to 1. The calibration is fitted on PublicTest: of the "
        "answers given with 70%, about 70% are right." + (both_heads if blended else ""),
        render(figure),
    )


def occlusion_picture(crop: NDArray[np.uint8], occluded: Occlusion, probabilities: Array) -> Picture:
    """Return a slide that shows how the top class changes when each part of the face is covered."""
    top = int(probabilities.argmax())
    emotion = EMOTIONS[top]
    change = occluded.change[top]
    positions = len(range(STRIDE_PIXELS - PATCH_PIXELS, len(crop), STRIDE_PIXELS)) ** 2
    figure = slide(
        f"Which part of the face indicates {emotion}?",
        f"A gray patch of {PATCH_PIXELS}x{PATCH_PIXELS} pixels covers the 48x48 face at {positions} positions, "
        f"{STRIDE_PIXELS} pixels apart, and the network answers again at each. Blue: covering this part lowers the "
        f"probability of {emotion}; red: it raises it.",
    )
    show_gray(place(figure, 0, 0.2, 0.24, 0.6), crop, f"the face: {emotion} {probabilities[top]:.1%}")
    high = max(0.02, float(np.abs(change).max()))
    axes = place(figure, 0.265, 0.08, 0.33, 0.84)
    shown = show(axes, tint(crop, (change / high + 1) / 2, SIGNED_COLORMAP), SIGNED_COLORMAP, -high, high)
    label(axes, f"change of {emotion} where the patch covers it")
    colour_bar(figure, shown, "mean change of the probability", (0.605, 0.14, 0.012, 0.72))
    show_gray(place(figure, 0.75, 0.5, 0.2, 0.42), occluded.covered, "the patch that lowers it most")
    probability_bars(place(figure, 0.78, 0.0, 0.2, 0.38), occluded.probabilities, "the answer with the patch")
    return Picture(
        "occlusion",
        f"Which part of the face indicates {emotion}?",
        "Occlusion sensitivity (Zeiler and Fergus 2014): cover a part, classify again, and colour the part by the "
        "change. It uses nothing from inside the network, so a CNN and a transformer can be compared. Each pixel shows "
        "the mean over all patches that cover it. A part that matters only in combination with another stays pale.",
        render(figure),
    )
