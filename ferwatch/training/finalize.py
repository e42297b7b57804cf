"""Turns a trained network into the files that ship: calibrated weights, a model card, figures of the training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ferwatch.evaluation.fer2013 import Faces
from ferwatch.evaluation.metrics import cross_fit_probabilities, fit_temperature, score
from ferwatch.evaluation.plots import draw_confusion, draw_reliability
from ferwatch.models.checkpoint import PART_BYTES, Checkpoint, load, save
from ferwatch.models.classifier import BATCH, Classifier
from ferwatch.models.registry import find
from ferwatch.training.curves import Epoch, draw_curves, write_curve
from ferwatch.training.model_card import Card, write_card
from ferwatch.training.recipe import Recipe
from ferwatch.utils.files import atomic_write


def finish(
    network: nn.Module,
    recipe: Recipe,
    curve: Sequence[Epoch],
    public_test: Faces,
    unseen: NDArray[np.bool_],
    out: Path,
    *,
    command: str,
    stages: Sequence[Recipe] = (),
) -> list[Path]:
    """Fits the temperature, measures what is shipped, and writes weights, card, curve and pictures; returns the files.

    All figures are of the weights as they are read back, at 8 bits where they are stored so. The temperature that is
    stored is fitted on all of PublicTest; the calibration error and the loss that are reported come from temperatures
    fitted on the other half each.

    Args:
        unseen: (N,) marks the images of PublicTest of which the training set holds no copy.
        command: what made it, for the card.
        stages: the recipes of earlier stages, where the network came from another recipe.
    """
    model = find(recipe.model)
    parameters = sum(p.numel() for p in network.parameters())
    checkpoint = Checkpoint(recipe.model, network.cpu().eval(), model.input, config=recipe.config)
    eight_bits = 4 * parameters > PART_BYTES
    path = out / f"{recipe.model}.safetensors"

    labels = public_test.labels
    exact = float((Classifier(checkpoint).logits(public_test.images).argmax(axis=1) == labels).mean())
    (out / f"{recipe.model}.md").unlink(missing_ok=True)  # an older card states other checksums
    stored = load(save(checkpoint, path, eight_bits=eight_bits)[0], recipe.model)
    classifier = Classifier(stored)
    logits = classifier.logits(public_test.images)
    probabilities = cross_fit_probabilities(logits, labels)
    whole, deduplicated = score(probabilities, labels), score(probabilities[unseen], labels[unseen])

    about: dict[str, Any] = {
        "command": command,
        "recipe": recipe.as_dict(),
        "stages": [stage.as_dict() for stage in stages],
        "parameters": parameters,
        "multiply_adds": multiply_adds(stored.network, recipe.model),
        "public_test": asdict(whole) | {"deduplicated": asdict(deduplicated)},
    }
    checkpoint = replace(checkpoint, temperature=fit_temperature(logits, labels), about=about)
    files = save(checkpoint, path, eight_bits=eight_bits)
    card = Card(
        model=recipe.model,
        input=model.input,
        about=model.about,
        command=command,
        recipes=[*stages, recipe],
        curve=curve,
        parameters=parameters,
        multiply_adds=about["multiply_adds"],
        seconds_per_face=seconds_per_face(classifier),
        temperature=checkpoint.temperature,
        whole=whole,
        deduplicated=deduplicated,
        accuracy_before_8_bits=exact if eight_bits else None,
        files=files,
    )
    pictures = [out / f"{recipe.model}-{name}.png" for name in ("curves", "confusion", "reliability")]
    if curve:
        draw_curves(curve, pictures[0])
        write_curve(out / f"{recipe.model}-curve.csv", list(curve))
        pictures.append(out / f"{recipe.model}-curve.csv")
    draw_confusion(whole, f"{recipe.model} on PublicTest", pictures[1])
    draw_reliability(probabilities, labels, f"{recipe.model} on PublicTest", pictures[2])
    with atomic_write(out / f"{recipe.model}.md") as temp_path:
        temp_path.write_text(write_card(card), encoding="utf-8")
    return [*files, out / f"{recipe.model}.md", *(picture for picture in pictures if picture.exists())]


def multiply_adds(network: nn.Module, model: str) -> int:
    """Of one forward pass of one face."""
    to = find(model).input
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # whose fused attention the counter does not know
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, to.channels, to.side, to.side))
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
    return int(counter.get_total_flops() // 2)


def seconds_per_face(classifier: Classifier, batches: int = 6) -> float:
    """The median over some batches, after a first one, in one thread."""
    crops = np.random.default_rng(0).integers(0, 256, (BATCH, 48, 48)).astype(np.uint8)
    times = []
    for _ in range(batches + 1):
        started = time.perf_counter()
        classifier(crops)
        times.append((time.perf_counter() - started) / BATCH)
    return float(np.median(times[1:]))
