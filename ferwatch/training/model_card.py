"""The model card that lies beside a checkpoint, in Markdown."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferwatch.evaluation.evaluate import Answers
from ferwatch.evaluation.metrics import Scores
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.records import EMOTIONS
from ferwatch.training.curves import Epoch
from ferwatch.training.recipe import Recipe, as_toml

FAILURES = 6
"""Number of confusions that the card names for each head."""


@dataclass(frozen=True)
class ModelCard:
    """The facts that a card tells."""

    checkpoint: Checkpoint
    description: str
    recipes: Sequence[Recipe]
    """Stages in the order in which they were trained."""
    curve: Sequence[Epoch]
    seconds_per_face: float
    number_format: str
    """Type of the numbers that `seconds_per_face` was measured with, "float32" or "bfloat16"."""
    heads: dict[str, Answers]
    """Figures by head, and "video" for what a video uses."""
    deduplicated: Scores
    """The fer2013 head without the images of which the training set holds an exact copy."""
    accuracy_before_8_bits: float | None
    files: Sequence[Path]


def write_model_card(card: ModelCard) -> str:
    """The card's text."""
    model = card.checkpoint.model
    parts = [f"# {model}: {card.description}", _network(card)]
    crowd = card.heads.get("crowd")
    if crowd is not None:
        parts.append("## What people see: the crowd head\n\n" + _crowd_figures(card))
    parts.append("## FER2013's labels: the fer2013 head\n\n" + _label_figures(card))
    parts += [
        "## Training\n\n" + _training(card),
        "## Files\n\nChecked at every load; `sha256sum -c` reads these lines too.\n\n```\n"
        + _checksums(card)
        + "\n```\n",
    ]
    return "\n\n".join(parts)


def _network(card: ModelCard) -> str:
    input_spec, about = card.checkpoint.input, card.checkpoint.about
    gray = "gray" if input_spec.channels == 1 else f"gray, repeated on {input_spec.channels} channels"
    lines = [
        f"- Input: {input_spec.size}x{input_spec.size} pixels, {gray}, aligned as FER2013's faces are",
        f"- {about['parameters']:,} parameters, {about['multiply_adds'] / 1e6:,.1f} million multiply-adds a face",
        f"- {1000 * card.seconds_per_face:.2f} ms a face in {card.number_format}, in batches of 16 and one thread",
        f"- Heads: {' and '.join(card.checkpoint.head_names)}",
        f"- Classes, in this order: {', '.join(EMOTIONS)}",
    ]
    return "\n".join(lines)


def _crowd_figures(card: ModelCard) -> str:
    crowd, video = card.heads["crowd"], card.heads["video"]
    assert crowd.crowd is not None
    assert video.crowd is not None
    names = [("crowd head", crowd.crowd)]
    blend = card.checkpoint.blend
    if blend.crowd_weight < 1 or blend.offsets:
        names.append(("as in a video", video.crowd))
    lines = [
        f"Ten people voted on each image (FER+). On {crowd.crowd.n} images of PublicTest one of the seven emotions has "
        "more votes than any other choice; agreement counts those. Macro recall gives each emotion the same weight.",
        "",
        "| | agrees with the majority | macro recall | divergence from the votes | calibration error |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {s.agreement:.2%} | {s.macro_recall:.3f} | {s.jsd_bits:.3f} bits | {s.ece:.4f} |"
        for name, s in names
    ]
    lines += ["", _per_class_table(crowd.crowd.confusion, "the majority's, found"), ""]
    lines.append(_calibration(card, "crowd") + _blend(card))
    lines += ["", "Where it fails:", "", _failures(crowd.crowd.confusion)]
    return "\n".join(lines)


def _blend(card: ModelCard) -> str:
    blend = card.checkpoint.blend
    if blend.crowd_weight == 1:
        text = " A video uses this head alone."
    else:
        text = (
            f" A video uses {blend.crowd_weight:.0%} of this head's probabilities and {1 - blend.crowd_weight:.0%} of "
            f"the fer2013 head's; a temperature of {blend.temperature:.3f} calibrates their mean."
        )
    if blend.offsets:
        changes = ", ".join(f"{e} {o:+g}" for e, o in zip(EMOTIONS, blend.offsets, strict=True) if o)
        text += f" In a video the logarithms of the probabilities are changed ({changes})."
    return text


def _label_figures(card: ModelCard) -> str:
    whole = card.heads["fer2013"].labels
    rows = [("whole", whole), ("without copies of training images", card.deduplicated)]
    lines = [
        "On PublicTest, one view of each face:",
        "",
        "| | images | accuracy | macro-F1 | loss | calibration error |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, s in rows:
        lines.append(
            f"| {name} | {s.n} | {s.accuracy:.2%} ({s.correct}) | {s.macro_f1:.3f} | {s.loss:.4f} | {s.ece:.4f} |"
        )
    lines += ["", _per_class_table(whole.confusion, "right"), ""]
    lines.append(
        _calibration(card, "fer2013") + " All calibration is fitted after training on PublicTest; the figures on this "
        "card come from five calibrations, each fitted on four fifths of the images and used on the last (calibration "
        "errors: 15 bins)."
    )
    if card.accuracy_before_8_bits is not None:
        lost = 100 * (card.accuracy_before_8_bits - whole.accuracy)
        lines.append(
            "The weights are stored at 8 bits with one scale a channel, which "
            f"{'costs' if lost >= 0 else 'adds'} {abs(lost):.2f} points ({card.accuracy_before_8_bits:.2%} before)."
        )
    lines += [
        "",
        "Where it fails:",
        "",
        _failures(whole.confusion),
        "- Part of this is the labels: FER2013's agree with the majority of ten later voters (FER+) on 63% of the "
        "images, on 13% for fear.",
    ]
    return "\n".join(lines)


def _calibration(card: ModelCard, head: str) -> str:
    calibration = card.checkpoint.calibration(head)
    common = f"Temperature {calibration.temperature:.3f}."
    if calibration.scales:
        rarity = card.recipes[-1].vector_scaling[head]
        rows = [("scale", calibration.scales), ("offset", calibration.offsets)]
        values = [f"{name}s {', '.join(f'{value:.2f}' for value in row)}" for name, row in rows]
        weighed = f", each emotion weighed by its frequency to the power of -{rarity:g}" if rarity else ""
        return (
            f"{common} Vector scaling: each logit is multiplied by a scale and an offset is added ({'; '.join(values)}"
            f"){weighed}."
        )
    strength = card.recipes[-1].prior_correction.get(head, 0.0)
    if not strength:
        return f"{common} No prior correction."
    direction = "more often" if strength > 0 else "less often"
    return (
        f"{common} Prior correction {strength:g}: that part of the logarithm of each emotion's share in training is "
        f"taken off the logits, so that rare emotions are answered {direction}."
    )


def _per_class_table(confusion: list[list[int]], title: str) -> str:
    counts = [(row[i], sum(row)) for i, row in enumerate(confusion)]
    return "\n".join(
        [
            "| " + " | ".join(["", *EMOTIONS]) + " |",
            "| " + " | ".join(["---"] * (len(EMOTIONS) + 1)) + " |",
            "| " + " | ".join([title, *(f"{hits} of {n} ({hits / max(n, 1):.0%})" for hits, n in counts)]) + " |",
        ]
    )


def _failures(confusion: list[list[int]]) -> str:
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    lines = []
    for place in np.argsort(shares, axis=None)[::-1][:FAILURES]:
        row, column = np.unravel_index(place, shares.shape)
        count = f"{counts[row, column]} of {counts[row].sum()} ({shares[row, column]:.0%})"
        lines.append(f"- {EMOTIONS[row]} taken for {EMOTIONS[column]}: {count}")
    return "\n".join(lines)


def _training(card: ModelCard) -> str:
    command = card.checkpoint.about["command"]
    if card.recipes[-1].blocks_from and not card.curve:
        source = card.recipes[-1].blocks_from
        return f"Made by `{command}`: the shipped {source}, written out with the same answers. Nothing was trained."
    parts = [f"Made by `{command}`, on FER2013's Training split alone; the last epoch's weights, not the best one's."]
    for before, recipe in zip([None, *card.recipes], card.recipes, strict=False):
        parts += _stage(before, recipe, given_teacher="--teacher" in command)
    if card.curve:
        steps = sorted({0, *np.linspace(0, len(card.curve) - 1, 9).round().astype(int).tolist()})
        lines = [
            "| epoch | training loss | training accuracy | PublicTest accuracy | agrees with people |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {e.epoch} | {e.train_loss:.3f} | {e.train_accuracy:.1%} | {e.public_test_accuracy:.1%} | "
            f"{'' if np.isnan(e.public_test_crowd) else f'{e.public_test_crowd:.1%}'} |"
            for e in (card.curve[i] for i in steps)
        ]
        hours = sum(e.seconds for e in card.curve) / 3600
        parts.append("\n".join(lines))
        earlier = " (those after the weights that it started from)" if "--start-from" in command else ""
        model = card.checkpoint.model
        parts.append(f"{len(card.curve)} epochs{earlier} in {hours:.1f} hours. ![learning curves]({model}-curves.png)")
    return "\n\n".join(parts)


def _stage(before: Recipe | None, recipe: Recipe, *, given_teacher: bool) -> list[str]:
    """One stage of the training in words, and its recipe."""
    parts = []
    after = f"trained on for {recipe.epochs} epochs" if recipe.epochs else "not trained any further"
    if recipe.feature_views > 0:
        after += f", the crowd head alone, on the features of {recipe.feature_views} views of each face"
    if before is not None:
        parts.append(f"Then {after}, in a cycle of the learning rate of its own.")
    targets = [] if "heads.fer2013" in recipe.frozen else ["FER2013's labels"]
    if recipe.vote_targets > 0:
        targets.append(f"the FER+ votes (weight {recipe.vote_targets} against the labels')")
    if recipe.votes > 0:
        targets.append(f"the FER+ votes by a second head (weight {recipe.votes})")
    if recipe.distill > 0:
        itself = recipe.starts_from and not given_teacher
        teachers = ", ".join(recipe.teachers) or ("the network that it starts from" if itself else "its teachers")
        targets.append(f"the answers of {teachers} (weight {recipe.distill} against the labels')")
    if recipe.epochs > 0:
        parts.append(f"Targets: {', '.join(targets)}.\n\n```toml\n{as_toml(recipe)}\n```")
    return parts


def _checksums(card: ModelCard) -> str:
    return "\n".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in card.files)
