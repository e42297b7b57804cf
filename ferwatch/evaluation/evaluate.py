"""Measures a classifier on FER2013, with the same Classifier that videos use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferwatch.evaluation.fer2013 import VOTE_OF_EMOTION, Faces
from ferwatch.evaluation.metrics import Scores, jensen_shannon, score
from ferwatch.models.classifier import Classifier
from ferwatch.records import EMOTIONS

STEP = 256
"""Faces between two reports of progress."""


@dataclass(frozen=True)
class Crowd:
    """How a model agrees with the ten people who labelled each image for FER+."""

    n: int
    """Images on which one of the seven emotions has more votes than any other choice."""
    agreement: float
    """Share of them where the model's answer is the crowd's."""
    divergence: float
    """Mean Jensen-Shannon divergence, in bits, between the model's probabilities and the votes for the seven."""


@dataclass(frozen=True)
class Evaluation:
    """One model on one split."""

    model: str
    probabilities: NDArray[np.float64]  # (N, 7)
    labels: NDArray[np.int64]  # (N,)
    whole: Scores
    deduplicated: Scores | None
    """Figures without the images of which the training set holds an exact copy."""
    crowd: Crowd | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for --json."""
        crowd = {"ferplus": asdict(self.crowd)} if self.crowd else {}
        return {
            "model": self.model,
            **asdict(self.whole),
            "deduplicated": self.deduplicated and asdict(self.deduplicated),
            **crowd,
        }


def evaluate(
    classifier: Classifier,
    faces: Faces,
    unseen: NDArray[np.bool_] | None,
    *,
    tta: bool = False,
    on_faces: Callable[[int], object] | None = None,
) -> Evaluation:
    """Scores a classifier on faces of which `unseen` (N,) marks those without a copy in the training set.

    `tta` averages ten views of each face; `on_faces` is called with how many more faces are done.
    """
    rows = []
    for start in range(0, len(faces), STEP):
        crops = faces.images[start : start + STEP]
        rows.append(np.mean([classifier(view) for view in views(crops)], axis=0) if tta else classifier(crops))
        if on_faces is not None:
            on_faces(len(crops))
    probabilities = np.concatenate(rows)
    return Evaluation(
        model=classifier.checkpoint.model,
        probabilities=probabilities,
        labels=faces.labels,
        whole=score(probabilities, faces.labels),
        deduplicated=None if unseen is None else score(probabilities[unseen], faces.labels[unseen]),
        crowd=None if faces.votes is None else compare_with_crowd(probabilities, faces.votes),
    )


def views(crops: NDArray[np.uint8], shift: int = 2) -> list[NDArray[np.uint8]]:
    """Ten views of each face (N, 48, 48): as it is and moved by `shift` pixels in four directions, and their mirror
    images. What moves in repeats the border."""
    side = crops.shape[1]
    padded = np.pad(crops, ((0, 0), (shift, shift), (shift, shift)), mode="edge")
    moved = [
        padded[:, shift + y : shift + y + side, shift + x : shift + x + side]
        for x, y in ((0, 0), (-shift, 0), (shift, 0), (0, -shift), (0, shift))
    ]
    return [np.ascontiguousarray(image) for view in moved for image in (view, view[:, :, ::-1])]


def compare_with_crowd(probabilities: NDArray[np.float64], votes: NDArray[np.float32]) -> Crowd:
    """(N, 7) probabilities against (N, 9) votes."""
    majority, has_majority = crowd_majority(votes)
    seven = votes[:, VOTE_OF_EMOTION]
    voted = seven.sum(axis=1) > 0
    shares = seven[voted] / seven[voted].sum(axis=1, keepdims=True)
    return Crowd(
        n=int(has_majority.sum()),
        agreement=float((probabilities.argmax(axis=1) == majority)[has_majority].mean()),
        divergence=float(jensen_shannon(probabilities[voted], shares).mean()),
    )


def crowd_majority(votes: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The emotion (N,) with the most votes, and (N,) whether it has more than every other choice."""
    seven = votes[:, VOTE_OF_EMOTION]
    majority = seven.argmax(axis=1)
    most = seven.max(axis=1)
    return majority, (most > 0) & ((votes >= most[:, None]).sum(axis=1) == 1)


def class_table(scores: Scores) -> str:
    """Per class, in the report's form."""
    lines = [f"{e.capitalize():9}: {hits / max(n, 1):4.0%} ({hits}/{n})" for e, (hits, n) in scores.per_class.items()]
    return "\n".join([*lines, "", f"Accuracy : {scores.accuracy:.1%} ({scores.correct}/{scores.n})"])


def confusion_table(scores: Scores) -> str:
    """Rows: the label; columns: the answer."""
    head = " " * 9 + "".join(f"{e:>9}" for e in EMOTIONS)
    rows = [f"{e:9}" + "".join(f"{n:9}" for n in row) for e, row in zip(EMOTIONS, scores.confusion, strict=True)]
    return "\n".join([head, *rows])


def side_by_side(evaluations: list[Evaluation], names: list[str]) -> str:
    """One column a model."""
    width = max(12, *(len(name) + 2 for name in names))
    lines = [" " * 24 + "".join(f"{name:>{width}}" for name in names)]

    def line(title: str, values: list[str]) -> None:
        lines.append(f"{title:24}" + "".join(f"{value:>{width}}" for value in values))

    line("accuracy", [f"{e.whole.accuracy:.2%}" for e in evaluations])
    without = [e.deduplicated for e in evaluations if e.deduplicated is not None]
    if without:
        line("  without copies", [f"{scores.accuracy:.2%}" for scores in without])
    line("macro-F1", [f"{e.whole.macro_f1:.3f}" for e in evaluations])
    if without:
        line("  without copies", [f"{scores.macro_f1:.3f}" for scores in without])
    line("loss", [f"{e.whole.loss:.4f}" for e in evaluations])
    line("calibration error", [f"{e.whole.ece:.4f}" for e in evaluations])
    for emotion in EMOTIONS:
        line(emotion, [f"{hits / max(n, 1):.1%}" for hits, n in (e.whole.per_class[emotion] for e in evaluations)])
    crowds = [e.crowd for e in evaluations if e.crowd is not None]
    if crowds:
        line("agrees with FER+", [f"{crowd.agreement:.1%}" for crowd in crowds])
        line("divergence from FER+", [f"{crowd.divergence:.3f} bit" for crowd in crowds])
    return "\n".join(lines)
