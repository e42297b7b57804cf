"""The model card that lies beside a checkpoint, in Markdown."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferwatch.evaluation.metrics import Scores
from ferwatch.models.registry import Input
from ferwatch.records import EMOTIONS
from ferwatch.training.curves import Epoch
from ferwatch.training.recipe import Recipe, as_toml

FAILURES = 6
"""Number of confusions that the card names."""


@dataclass(frozen=True)
class Card:
    """What a card tells."""

    model: str
    input: Input
    about: str
    command: str
    recipes: Sequence[Recipe]
    """Stages in the order in which they were trained."""
    curve: Sequence[Epoch]
    parameters: int
    multiply_adds: int
    seconds_per_face: float
    temperature: float
    whole: Scores
    deduplicated: Scores
    accuracy_before_8_bits: float | None
    files: Sequence[Path]


def write_card(card: Card) -> str:
    """The card's text."""
    return "\n\n".join(
        [
            f"# {card.model}: {card.about}",
            _network(card),
            "## On FER2013's PublicTest\n\n" + _figures(card),
            "## Where it fails\n\n" + _failures(card.whole),
            "## Training\n\n" + _training(card),
            "## Files\n\nChecked at every load; `sha256sum -c` reads these lines too.\n\n```\n"
            + _checksums(card)
            + "\n```\n",
        ]
    )


def _network(card: Card) -> str:
    gray = "gray" if card.input.channels == 1 else f"gray, repeated on {card.input.channels} channels"
    lines = [
        f"- Input: {card.input.side}x{card.input.side} pixels, {gray}, aligned as FER2013's faces are",
        f"- {card.parameters:,} parameters, {card.multiply_adds / 1e6:,.1f} million multiply-adds a face",
        f"- {1000 * card.seconds_per_face:.2f} ms a face, in batches of 16 and one thread",
        f"- Classes, in this order: {', '.join(EMOTIONS)}",
    ]
    return "\n".join(lines)


def _figures(card: Card) -> str:
    rows = [("whole", card.whole), ("without copies of training images", card.deduplicated)]
    lines = ["| | images | accuracy | macro-F1 | loss | calibration error |", "| --- | --- | --- | --- | --- | --- |"]
    for name, s in rows:
        lines.append(
            f"| {name} | {s.n} | {s.accuracy:.2%} ({s.correct}) | {s.macro_f1:.3f} | {s.loss:.4f} | {s.ece:.4f} |"
        )
    lines.append("")
    lines.append("| " + " | ".join(["", *EMOTIONS]) + " |")
    lines.append("| " + " | ".join(["---"] * (len(EMOTIONS) + 1)) + " |")
    counts = [card.whole.per_class[e] for e in EMOTIONS]
    lines.append(
        "| " + " | ".join(["right", *(f"{hits} of {n} ({hits / max(n, 1):.0%})" for hits, n in counts)]) + " |"
    )
    lines.append("")
    lines.append(
        f"One view of each face. Probabilities are calibrated by a temperature of {card.temperature:.3f}, fitted after "
        "training on PublicTest; the loss and the calibration error (15 bins) above come from two temperatures, each "
        "fitted on one half and used on the other."
    )
    if card.accuracy_before_8_bits is not None:
        lost = 100 * (card.accuracy_before_8_bits - card.whole.accuracy)
        lines.append(
            "The weights are stored at 8 bits with one scale a channel, which "
            f"{'costs' if lost >= 0 else 'adds'} {abs(lost):.2f} points ({card.accuracy_before_8_bits:.2%} before)."
        )
    return "\n".join(lines)


def _failures(scores: Scores) -> str:
    confusion = np.array(scores.confusion)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    lines = []
    for place in np.argsort(shares, axis=None)[::-1][:FAILURES]:
        row, column = np.unravel_index(place, shares.shape)
        count = f"{confusion[row, column]} of {confusion[row].sum()} ({shares[row, column]:.0%})"
        lines.append(f"- {EMOTIONS[row]} taken for {EMOTIONS[column]}: {count}")
    lines.append(
        "- Part of this is the labels: FER2013's agree with the majority of ten later voters (FER+) on 63% of the "
        "images, on 13% for fear."
    )
    return "\n".join(lines)


def _training(card: Card) -> str:
    parts = [
        f"Made by `{card.command}`, on FER2013's Training split alone; the last epoch's weights, not the best one's."
    ]
    for before, recipe in zip([None, *card.recipes], card.recipes, strict=False):
        after = f"trained on for {recipe.epochs} epochs" if recipe.epochs else "not trained any further"
        if before is not None and before.config.get("width") != recipe.config.get("width"):
            parts.append(
                "Then grown to this width without changing its answers (every feature copied, its readers' weights "
                f"shared out among the copies), and {after}. The growth itself adds no accuracy: only "
                "epochs after it can."
            )
        elif before is not None:
            parts.append(f"Then {after}, in a cycle of the learning rate of its own.")
        targets = ["FER2013's labels"]
        if recipe.vote_targets > 0:
            targets.append(f"the FER+ votes (weight {recipe.vote_targets} against the labels')")
        if recipe.votes > 0:
            targets.append(f"the FER+ votes by a second head dropped after training (weight {recipe.votes})")
        if recipe.distill > 0:
            itself = recipe.starts_from and "--teacher" not in card.command
            teachers = ", ".join(recipe.teachers) or ("the network that it starts from" if itself else "its teachers")
            targets.append(f"the answers of {teachers} (weight {recipe.distill} against the labels')")
        if recipe.epochs > 0:
            parts.append(f"Targets: {', '.join(targets)}.\n\n```toml\n{as_toml(recipe)}\n```")
    if card.curve:
        steps = sorted({0, *np.linspace(0, len(card.curve) - 1, 9).round().astype(int).tolist()})
        lines = ["| epoch | training loss | training accuracy | PublicTest accuracy |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {e.epoch} | {e.train_loss:.3f} | {e.train_accuracy:.1%} | {e.public_test_accuracy:.1%} |"
            for e in (card.curve[i] for i in steps)
        ]
        hours = sum(e.seconds for e in card.curve) / 3600
        parts.append("\n".join(lines))
        parts.append(f"{len(card.curve)} epochs in {hours:.1f} hours. ![learning curves]({card.model}-curves.png)")
    return "\n\n".join(parts)


def _checksums(card: Card) -> str:
    return "\n".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in card.files)
