"""Turns a trained network into the files that ship: calibrated weights, a model card, figures of the training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ferwatch.evaluation.calibrate import Fit, cross_fit_probabilities, fit_temperature, fit_vector_scaling
from ferwatch.evaluation.evaluate import Answers
from ferwatch.evaluation.fer2013 import FerSplit, class_shares, crowd_majority
from ferwatch.evaluation.metrics import score, score_crowd
from ferwatch.evaluation.plots import draw_confusion, draw_reliability
from ferwatch.models.calibration import Blend, Calibration
from ferwatch.models.checkpoint import PART_BYTES, Checkpoint, load_checkpoint, save_checkpoint
from ferwatch.models.classifier import BATCH, Classifier
from ferwatch.models.registry import InputSpec, get_model
from ferwatch.records import EMOTIONS
from ferwatch.training.curves import Epoch, draw_curves, write_curve
from ferwatch.training.model_card import ModelCard, write_model_card
from ferwatch.training.recipe import Recipe
from ferwatch.utils.files import atomic_write, make_folder


def finalize(
    network: nn.Module,
    recipe: Recipe,
    curve: Sequence[Epoch],
    train_faces: FerSplit,
    public_test: FerSplit,
    unseen: NDArray[np.bool_],
    out: Path,
    *,
    command: str,
    stages: Sequence[Recipe] = (),
    source: str = "",
) -> list[Path]:
    """Calibrates the heads, measures what is shipped, and writes weights, card, curve and pictures; returns the files.

    All figures are of the weights as they are read back, at 8 bits where they are stored so. The calibrations that
    are stored are fitted on all of PublicTest; the figures that are reported come from calibrations
    that were fitted on four fifths of the images and used on the last.

    Args:
        train_faces: the prior corrections of the recipe go by the shares of the emotions in these.
        unseen: (N,) marks the images of PublicTest of which the training set holds no copy.
        command: what made it, for the card.
        stages: the recipes of earlier stages, where the network came from another recipe.
        source: file.py:Class of a network of the user's.
    """
    make_folder(out)
    model = get_model(recipe.model)
    checkpoint = Checkpoint(
        recipe.model,
        network.cpu().eval(),
        model.input,
        config=recipe.network_config,
        source=source,
    )
    parameters = sum(p.numel() for p in network.parameters())
    eight_bits = 4 * parameters > PART_BYTES
    path = out / f"{recipe.model}.safetensors"

    exact = Classifier(checkpoint).logits(public_test.images)["fer2013"].argmax(axis=1)
    (out / f"{recipe.model}.md").unlink(missing_ok=True)  # an older card states other checksums
    stored = load_checkpoint(save_checkpoint(checkpoint, path, eight_bits=eight_bits)[0], recipe.model)
    classifier = Classifier(stored)
    logits = classifier.logits(public_test.images)
    fits = {head: _fit(recipe, head, train_faces) for head in logits}
    offsets = tuple(float(recipe.video_offsets.get(emotion, 0)) for emotion in EMOTIONS)
    blend = Blend(recipe.crowd_weight, offsets=offsets if any(offsets) else ())
    heads = _measure(logits, fits, public_test, blend)
    deduplicated = score(heads["fer2013"].probabilities[unseen], public_test.labels[unseen])

    about: dict[str, Any] = {
        "command": command,
        "recipe": recipe.as_dict(),
        "stages": [stage.as_dict() for stage in stages],
        "parameters": parameters,
        "multiply_adds": multiply_adds(stored.network, model.input),
        "public_test": asdict(heads["fer2013"].labels) | {"deduplicated": asdict(deduplicated)},
        "heads": {name: answers.as_dict() for name, answers in heads.items()},
    }
    calibrations: dict[str, Calibration] = {}
    for head, values in logits.items():
        targets, labelled = _targets(head, public_test)
        calibrations[head] = fits[head](values[labelled], targets[labelled])
    if "crowd" in logits:
        blend = _fit_blend(blend, logits, calibrations, public_test)
    checkpoint = replace(checkpoint, calibrations=calibrations, blend=blend, about=about)
    files = save_checkpoint(checkpoint, path, eight_bits=eight_bits)
    card = ModelCard(
        checkpoint=checkpoint,
        description=model.about,
        recipes=[*stages, recipe],
        curve=curve,
        seconds_per_face=seconds_per_face(classifier),
        number_format=str(classifier.dtype).removeprefix("torch."),
        heads=heads,
        deduplicated=deduplicated,
        accuracy_before_8_bits=float((exact == public_test.labels).mean()) if eight_bits else None,
        files=files,
    )
    pictures = _draw(heads, public_test, curve, recipe.model, out)
    with atomic_write(out / f"{recipe.model}.md") as temp_path:
        temp_path.write_text(write_model_card(card), encoding="utf-8")
    return [*files, out / f"{recipe.model}.md", *pictures]


def _fit(recipe: Recipe, head: str, train_faces: FerSplit) -> Fit:
    """Return the function that calibrates a head as the recipe asks for."""
    if head in recipe.vector_scaling:
        return partial(fit_vector_scaling, rarity=recipe.vector_scaling[head])
    strength = recipe.prior_correction.get(head, 0.0)
    offsets = () if strength == 0 else tuple((-strength * np.log(class_shares(train_faces, head))).tolist())
    return partial(fit_temperature, offsets=offsets)


def _targets(head: str, faces: FerSplit) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The labels (N,) by which a head is calibrated, and the rows (N,) that have one.

    FER2013's labels for the fer2013 head, the majority of FER+'s voters for the crowd head.
    """
    if head == "fer2013" or faces.votes is None:
        return faces.labels, np.ones(len(faces), bool)
    return crowd_majority(faces.votes)


def _measure(
    logits: dict[str, NDArray[np.float64]],
    fits: dict[str, Fit],
    faces: FerSplit,
    blend: Blend,
) -> dict[str, Answers]:
    """Return the figures of each head, and of "video", what a video uses; each fifth is calibrated on the others.

    Args:
        blend: what a video uses. Where it uses both heads, its temperature is fitted here, too.
    """
    probabilities = {}
    for head, values in logits.items():
        targets, labelled = _targets(head, faces)
        probabilities[head] = cross_fit_probabilities(values, targets, fits[head], labelled)
    if "crowd" in probabilities:
        fer2013, crowd = probabilities["fer2013"], probabilities["crowd"]
        if blend.crowd_weight == 1:
            probabilities["video"] = blend.probabilities(fer2013, crowd)
        else:
            majority, labelled = _targets("crowd", faces)
            fit = partial(fit_temperature, offsets=blend.offsets)
            probabilities["video"] = cross_fit_probabilities(blend.log_mean(fer2013, crowd), majority, fit, labelled)
    return {
        name: Answers(
            values,
            score(values, faces.labels),
            None if faces.votes is None else score_crowd(values, faces.votes),
        )
        for name, values in probabilities.items()
    }


def _fit_blend(
    blend: Blend, logits: dict[str, NDArray[np.float64]], calibrations: dict[str, Calibration], faces: FerSplit
) -> Blend:
    """The blend with the temperature that fits the majority of FER+'s voters best."""
    if blend.crowd_weight == 1:
        return blend
    heads = {name: calibrations[name].probabilities(values) for name, values in logits.items()}
    majority, labelled = _targets("crowd", faces)
    values = blend.log_mean(heads["fer2013"], heads["crowd"])[labelled]
    return replace(blend, temperature=fit_temperature(values, majority[labelled], blend.offsets).temperature)


def _draw(heads: dict[str, Answers], faces: FerSplit, curve: Sequence[Epoch], model: str, out: Path) -> list[Path]:
    """Pictures of the training and of each head; returns the files."""
    files = []
    if curve:
        files += [out / f"{model}-curves.png", out / f"{model}-curve.csv"]
        draw_curves(curve, files[0])
        write_curve(files[1], list(curve))
    fer2013 = heads["fer2013"]
    files += [out / f"{model}-confusion.png", out / f"{model}-reliability.png"]
    draw_confusion(fer2013.labels.confusion, f"{model}: FER2013's labels, PublicTest", files[-2])
    draw_reliability(fer2013.probabilities, faces.labels, f"{model}: FER2013's labels, PublicTest", files[-1])
    crowd = heads.get("crowd")
    if crowd is not None and crowd.crowd is not None and faces.votes is not None:
        files += [out / f"{model}-crowd-confusion.png", out / f"{model}-crowd-reliability.png"]
        title = f"{model}: what people see, PublicTest"
        draw_confusion(crowd.crowd.confusion, title, files[-2], rows="majority")
        majority, has_majority = crowd_majority(faces.votes)
        draw_reliability(crowd.probabilities[has_majority], majority[has_majority], title, files[-1])
    return files


def multiply_adds(network: nn.Module, input_spec: InputSpec) -> int:
    """Multiply-adds of one forward pass of one face."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # whose fused attention the counter does not know
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, input_spec.channels, input_spec.size, input_spec.size))
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
    return int(counter.get_total_flops() // 2)


def seconds_per_face(classifier: Classifier, batches: int = 6) -> float:
    """The median over some batches, after a first one, in one thread."""
    crops = np.random.default_rng(0).integers(0, 256, (BATCH, 48, 48)).astype(np.uint8)
    times = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker that analyses a video
    try:
        for _ in range(batches + 1):
            started = time.perf_counter()
            classifier(crops)
            times.append((time.perf_counter() - started) / BATCH)
    finally:
        torch.set_num_threads(threads)
    return float(np.median(times[1:]))
