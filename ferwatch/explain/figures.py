"""The pictures of any network: from the frame to the answer, the numbers before it, and what moved it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ferwatch.explain.occlusion import PATCH, STRIDE, Occlusion
from ferwatch.explain.trace import Trace
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.registry import InputSpec
from ferwatch.records import EMOTIONS, Face
from ferwatch.render.figures import (
    BOTTOM,
    FAINT,
    LEFT,
    RIGHT,
    SIGNED,
    TOP,
    VALUES,
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
    image: NDArray[np.uint8], face: Face, recorded: Trace, to: InputSpec, probabilities: Array, model: str
) -> Picture:
    """Frame, aligned crop, the network's input, its answer."""
    contrast = "shifted to mean 0 and deviation 1" if to.normalization == "standard" else "scaled from 0..255 to 0..1"
    size = f"{to.size}x{to.size}"
    figure = slide(
        f"From the frame to the answer of {model}",
        "The eyes and the mouth are moved to where FER2013 has them, at 48x48 gray pixels; the network is given "
        f"{size}, {contrast}.",
    )
    show_frame(place(figure, 0, 0.14, 0.33, 0.7), image, face.bbox, "the face found in the frame")
    show_gray(place(figure, 0.375, 0.25, 0.17, 0.5), face.crop, "aligned, 48x48")
    axes = place(figure, 0.59, 0.25, 0.17, 0.5)
    x = recorded.input[0, 0].numpy()
    show(axes, x, "gray", float(x.min()), float(x.max()))
    label(axes, f"the input, {size}")
    axes.text(
        0.5, -0.05, f"black is {x.min():.2f}, white {x.max():.2f}",
        transform=axes.transAxes, fontsize=11, color=FAINT, ha="center", va="top",
    )  # fmt: skip
    probability_bars(place(figure, 0.87, 0.12, 0.13, 0.76), probabilities, "the answer")
    for at in (0.3525, 0.5675, 0.7825):
        figure.text(
            LEFT + at * (RIGHT - LEFT), (TOP + BOTTOM) / 2, "→", fontsize=22, color=FAINT, ha="center", va="center"
        )
    return Picture(
        "input",
        f"From the frame to the answer of {model}",
        "MediaPipe finds the face and six of its points. A similarity transform (shift, turn, scale) moves the eyes "
        "and the mouth to their average places in FER2013, so that the network meets faces as it met them in training. "
        "The answer is the softmax of its seven outputs, divided by the calibration's temperature.",
        render(figure),
    )


def answer_picture(recorded: Trace, features: Array, checkpoint: Checkpoint, probabilities: Array) -> Picture:
    """The last vector, the seven outputs of the head that was asked, the seven probabilities."""
    temperature = checkpoint.calibration(recorded.head).temperature
    blended = recorded.head == "crowd" and checkpoint.crowd_weight < 1
    mixed = (
        f" What people see is answered by two heads: {checkpoint.crowd_weight:.0%} of the answer come from the crowd "
        "head, shown here, and the rest from the fer2013 head, which reads the same features."
        if blended
        else ""
    )
    figure = slide(
        "The last step: from a vector to seven probabilities",
        f"{len(features)} numbers are all that is left of the face. One matrix turns them into seven outputs "
        f"(logits); the softmax of the logits, divided by the temperature {temperature:.3g}, is "
        f"{'its' if blended else 'the'} answer. Only their differences count.",
    )
    high = limit(features)
    cmap, low = (SIGNED, -high) if features.min() < 0 else (VALUES, 0.0)
    width = 16
    padded = np.full(-(-len(features) // width) * width, np.nan)
    padded[: len(features)] = features
    axes = place(figure, 0.0, 0.02, 0.26, 0.86)
    shown = show(axes, padded.reshape(-1, width), cmap, low, high)
    label(axes, f"the features: {len(features)} numbers")
    colour_bar(figure, shown, "value", (0.275, 0.2, 0.01, 0.5))
    logits = recorded.logits[0].double().numpy()
    axes = place(figure, 0.44, 0.08, 0.2, 0.8)
    axes.set_axis_on()
    axes.barh(EMOTIONS, logits - logits.mean(), color=FAINT, height=0.72)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0, labelsize=12.5)
    axes.tick_params(axis="x", labelsize=11)
    axes.spines[["top", "right", "left"]].set_visible(False)
    label(axes, "logits, from their mean")
    probability_bars(place(figure, 0.76, 0.08, 0.24, 0.8), probabilities, "probabilities")
    return Picture(
        "answer",
        "The last step: from a vector to seven probabilities",
        "The network's body ends in a vector of features; its head is one matrix (and a bias, in most of the "
        "networks). The softmax makes the logits positive and lets them sum to 1. Dividing by the temperature, fitted "
        "on PublicTest, makes the probabilities honest: of faces answered with 70%, about 70% are right." + mixed,
        render(figure),
    )


def occlusion_picture(crop: NDArray[np.uint8], occluded: Occlusion, probabilities: Array) -> Picture:
    """What covering each part of the face does to the top class."""
    top = int(probabilities.argmax())
    emotion = EMOTIONS[top]
    change = occluded.change[top]
    figure = slide(
        f"Which part of the face says {emotion}?",
        f"A gray patch of {PATCH}x{PATCH} pixels slides over the 48x48 face, {STRIDE} pixels at a time, and the "
        f"network answers anew at each of {len(range(STRIDE - PATCH, 48, STRIDE)) ** 2} places. Blue: covering this "
        f"place takes probability from {emotion}; red: it adds some.",
    )
    show_gray(place(figure, 0, 0.2, 0.24, 0.6), crop, f"the face: {emotion} {probabilities[top]:.1%}")
    high = max(0.02, float(np.abs(change).max()))
    axes = place(figure, 0.265, 0.08, 0.33, 0.84)
    shown = show(axes, tint(crop, (change / high + 1) / 2, SIGNED), SIGNED, -high, high)
    label(axes, f"change of {emotion} where the patch covers it")
    colour_bar(figure, shown, "mean change of the probability", (0.605, 0.14, 0.012, 0.72))
    show_gray(place(figure, 0.75, 0.5, 0.2, 0.42), occluded.covered, "the place that costs most")
    probability_bars(place(figure, 0.78, 0.0, 0.2, 0.38), occluded.probabilities, "and the answer then")
    return Picture(
        "occlusion",
        f"Which part of the face says {emotion}?",
        "Occlusion sensitivity (Zeiler and Fergus 2014): cover a part, ask again, colour the part by what was lost. "
        "It needs nothing from inside the network, so that it compares a CNN with a transformer fairly. Each pixel "
        "shows the mean over all patches that cover it. A part that matters only together with another one stays pale.",
        render(figure),
    )
