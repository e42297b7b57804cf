"""Measures a classifier on FER2013, with the same Classifier that videos use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferwatch.evaluation.fer2013 import FerSplit
from ferwatch.evaluation.metrics import CrowdScores, Scores, score, score_crowd
from ferwatch.models.classifier import Classifier
from ferwatch.records import EMOTIONS

FACES_PER_STEP = 256
"""Number of faces that are classified between two reports of progress."""

HEAD_TITLES = {"fer2013": "fer2013 head", "crowd": "crowd head", "video": "as in a video"}
"""Key of Evaluation.heads -> title in the table of `side_by_side`."""


@dataclass(frozen=True)
class Answers:
    """The probabilities of one head, or those of a video, on one split, and their scores."""

    probabilities: NDArray[np.float64]
    """(N, 7) calibrated probabilities in the order of EMOTIONS."""
    labels: Scores
    """Scores against FER2013's labels."""
    crowd: CrowdScores | None
    """Scores against FER+'s votes; None without votes."""

    def as_dict(self) -> dict[str, Any]:
        """Return the figures without the tables, for --json."""
        figures: dict[str, Any] = {
            "accuracy": self.labels.accuracy,
            "macro_f1": self.labels.macro_f1,
            "ece": self.labels.ece,
        }
        if self.crowd is not None:
            figures |= {f"crowd_{name}": value for name, value in asdict(self.crowd).items()}
        return figures


@dataclass(frozen=True)
class Evaluation:
    """Scores of one model on one split."""

    model: str
    asked: str
    """Chosen labels, "fer2013" or "crowd": which answers `whole` and `deduplicated` score."""
    labels: NDArray[np.int64]
    """(N,) FER2013's labels, as indices into EMOTIONS."""
    whole: Scores
    """Scores of the chosen answers against FER2013's labels, on all images."""
    deduplicated: Scores | None
    """Scores without the images of which the training set holds an exact copy; None where they were not computed."""
    heads: dict[str, Answers]
    """Name of a head -> its answers; "video" -> those that a video gets with the crowd labels."""

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, 7) probabilities of the chosen answers."""
        return self.answers.probabilities

    @property
    def answers(self) -> Answers:
        """Answers of the chosen labels."""
        return self.heads["video" if self.asked == "crowd" else "fer2013"]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for --json."""
        figures: dict[str, Any] = {
            "model": self.model,
            "labels": self.asked,
            **asdict(self.whole),
            "deduplicated": self.deduplicated and asdict(self.deduplicated),
        }
        crowd, video = self.heads.get("crowd"), self.heads.get("video")
        if crowd is not None and crowd.crowd is not None:
            figures |= {
                "crowd_agreement": crowd.crowd.agreement,
                "crowd_macro_recall": crowd.crowd.macro_recall,
                "crowd_jsd_bits": crowd.crowd.jsd_bits,
                "crowd_ece": crowd.crowd.ece,
            }
        if video is not None and video.crowd is not None:
            figures["video_agreement"] = video.crowd.agreement
        if self.answers.crowd is not None:
            asked = self.answers.crowd
            figures["ferplus"] = {"n": asked.n, "agreement": asked.agreement, "divergence": asked.jsd_bits}
        return figures | {"heads": {name: answers.as_dict() for name, answers in self.heads.items()}}


def evaluate(
    classifier: Classifier,
    faces: FerSplit,
    unseen: NDArray[np.bool_] | None,
    *,
    tta: bool = False,
    on_faces: Callable[[int], object] | None = None,
) -> Evaluation:
    """Return the scores of a classifier, and of each of its heads, on one split.

    Args:
        faces: the split.
        unseen: (N,) marks the faces without a copy in the training set; None: they are not scored separately.
        tta: average ten views of each face.
        on_faces: called with the number of faces done since its last call.
    """
    checkpoint = classifier.checkpoint
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for start in range(0, len(faces), FACES_PER_STEP):
        crops = faces.images[start : start + FACES_PER_STEP]
        views = [classifier.by_head(view) for view in (tta_views(crops) if tta else [crops])]
        for name in views[0]:
            rows.setdefault(name, []).append(np.mean([answers[name] for answers in views], axis=0))
        if on_faces is not None:
            on_faces(len(crops))
    heads = {name: np.concatenate(parts) for name, parts in rows.items()}
    answers = {
        name: Answers(
            probabilities,
            score(probabilities, faces.labels),
            None if faces.votes is None else score_crowd(probabilities, faces.votes),
        )
        for name, probabilities in heads.items()
    }
    asked = answers["video" if classifier.labels == "crowd" else "fer2013"]
    return Evaluation(
        model=checkpoint.model,
        asked=classifier.labels,
        labels=faces.labels,
        whole=asked.labels,
        deduplicated=None if unseen is None else score(asked.probabilities[unseen], faces.labels[unseen]),
        heads=answers,
    )


def tta_views(crops: NDArray[np.uint8], shift: int = 2) -> list[NDArray[np.uint8]]:
    """Return ten views of the faces (N, 48, 48): unmoved, moved by `shift` pixels in four directions, and mirrored.

    Pixels that move in from outside repeat the border.
    """
    side = crops.shape[1]
    padded = np.pad(crops, ((0, 0), (shift, shift), (shift, shift)), mode="edge")
    moved = [
        padded[:, shift + y : shift + y + side, shift + x : shift + x + side]
        for x, y in ((0, 0), (-shift, 0), (shift, 0), (0, -shift), (0, shift))
    ]
    return [np.ascontiguousarray(image) for view in moved for image in (view, view[:, :, ::-1])]


def class_table(scores: Scores) -> str:
    """Return the accuracy of each class, and of all, as lines of text."""
    lines = [f"{e.capitalize():9}: {hits / max(n, 1):4.0%} ({hits}/{n})" for e, (hits, n) in scores.per_class.items()]
    return "\n".join([*lines, "", f"Accuracy : {scores.accuracy:.1%} ({scores.correct}/{scores.n})"])


def confusion_table(scores: Scores) -> str:
    """Return the confusion matrix as text: labels in rows, answers in columns."""
    head = " " * 9 + "".join(f"{e:>9}" for e in EMOTIONS)
    rows = [f"{e:9}" + "".join(f"{n:9}" for n in row) for e, row in zip(EMOTIONS, scores.confusion, strict=True)]
    return "\n".join([head, *rows])


def side_by_side(evaluations: list[Evaluation], names: list[str]) -> str:
    """Return the figures of several evaluations as a table of text, one column per model."""
    width = max(12, *(len(name) + 2 for name in names))
    lines = [" " * 28 + "".join(f"{name:>{width}}" for name in names)]

    def line(title: str, values: list[str]) -> None:
        lines.append(f"{title:28}" + "".join(f"{value:>{width}}" for value in values))

    line("accuracy", [f"{e.whole.accuracy:.2%}" for e in evaluations])
    without = [e.deduplicated for e in evaluations if e.deduplicated is not None]
    if without:
        line("  without copies", [f"{scores.accuracy:.2%}" for scores in without])
    line("macro-F1", [f"{e.whole.macro_f1:.3f}" for e in evaluations])
    if without:
        line("  without copies", [f"{scores.macro_f1:.3f}" for scores in without])
    line("loss", [f"{e.whole.loss:.4f}" for e in evaluations])
    line("calibration error (labels)", [f"{e.whole.ece:.4f}" for e in evaluations])
    for emotion in EMOTIONS:
        line(emotion, [f"{hits / max(n, 1):.1%}" for hits, n in (e.whole.per_class[emotion] for e in evaluations)])
    for head, title in HEAD_TITLES.items():
        having = [e.heads.get(head) for e in evaluations]
        crowds = [None if answers is None else answers.crowd for answers in having]
        if any(crowds):
            lines.append(title)
            line("  FER2013's label", [f"{a.labels.accuracy:.2%}" if a else "" for a in having])
            line("  agrees with people", [f"{c.agreement:.2%}" if c else "" for c in crowds])
            line("  macro recall", [f"{c.macro_recall:.3f}" if c else "" for c in crowds])
            line("  divergence, bits", [f"{c.jsd_bits:.3f}" if c else "" for c in crowds])
            line("  calibration error (people)", [f"{c.ece:.4f}" if c else "" for c in crowds])
    return "\n".join(lines)
