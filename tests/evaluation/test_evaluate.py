"""What `ferwatch evaluate` measures, on answers that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ferwatch.evaluation.evaluate import class_table, evaluate, side_by_side, tta_views
from ferwatch.evaluation.fer2013 import FerSplit, crowd_majority
from ferwatch.evaluation.metrics import score, score_crowd
from ferwatch.models.calibration import Calibration
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.models.registry import InputSpec


class Brightness(torch.nn.Module):
    """Answers with the class whose seventh of the picture's width is brightest."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([part.mean(dim=(1, 2, 3)) for part in x[..., :42].split(6, dim=3)], dim=1) * 8


def striped(labels: list[int]) -> FerSplit:
    images = np.zeros((len(labels), 48, 48), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 6 * label : 6 * label + 6] = 255
    return FerSplit(images, np.array(labels))


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(
        Checkpoint("cnn", Brightness(), InputSpec(48, normalization="unit"), {"fer2013": Calibration(2.0)})
    )


def test_the_checkpoints_temperature_is_used_and_copies_are_left_out(classifier: Classifier) -> None:
    faces = striped([0, 1, 2, 3, 4, 5, 6])
    faces.labels[6] = 0  # one that it gets wrong
    unseen = np.array([True] * 5 + [False] * 2)
    result = evaluate(classifier, faces, unseen)
    assert result.whole.correct == 6
    assert (result.deduplicated.n, result.deduplicated.correct) == (5, 5)
    sure = np.exp(8 / 2) / (np.exp(8 / 2) + 6)
    assert result.probabilities.max(axis=1) == pytest.approx(sure, rel=1e-4)
    told = result.as_dict()
    assert told["per_class"]["angry"] == [1, 2]
    assert {"n", "correct", "accuracy", "macro_f1", "loss", "ece", "per_class", "deduplicated"} <= set(told)


def test_ten_views_are_the_face_moved_and_mirrored() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    ten = tta_views(crops, shift=2)
    assert len(ten) == 10
    assert np.array_equal(ten[0], crops)
    assert np.array_equal(ten[1], crops[:, :, ::-1])
    assert np.array_equal(ten[2][:, :, 2:], crops[:, :, :-2])  # moved right, the border repeated
    assert np.array_equal(ten[2][:, :, 0], crops[:, :, 0])
    assert len({view.tobytes() for view in ten}) == 10


def test_averaging_views_averages_their_probabilities(classifier: Classifier) -> None:
    faces = striped([0, 3])
    averaged = evaluate(classifier, faces, None, tta=True)
    by_hand = np.mean([classifier(view) for view in tta_views(faces.images)], axis=0)
    assert np.allclose(averaged.probabilities, by_hand)
    assert averaged.deduplicated is None


def test_the_crowds_majority_has_more_votes_than_any_other_choice() -> None:
    # neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown
    votes = np.array(
        [
            [1, 8, 0, 0, 0, 0, 1, 0, 0],
            [5, 5, 0, 0, 0, 0, 0, 0, 0],  # a draw
            [3, 0, 0, 0, 0, 0, 0, 7, 0],  # contempt, which is none of the seven
            [0] * 9,
            [0, 0, 0, 0, 6, 4, 0, 0, 0],
        ],
        np.float32,
    )
    majority, has = crowd_majority(votes)
    assert has.tolist() == [True, False, False, False, True]
    assert majority[has].tolist() == [3, 0]  # happy, angry


def test_agreement_and_divergence() -> None:
    votes = np.array([[0, 10, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 10, 0, 0, 0, 0, 0]], np.float32)
    happy, sad, angry = (np.eye(7)[[i]] for i in (3, 4, 0))
    same = score_crowd(np.concatenate([happy, sad]), votes)
    assert (same.n, same.agreement, same.jsd_bits) == (2, 1.0, pytest.approx(0))
    half = score_crowd(np.concatenate([happy, angry]), votes)
    assert (half.agreement, half.jsd_bits) == (0.5, pytest.approx(0.5))  # one distribution disjoint: 1 bit
    between = score_crowd(np.concatenate([(happy + sad) / 2, sad]), votes)
    by_hand = (0.5 * np.log2(1 / 0.75) + 0.5 * (0.5 * np.log2(0.5 / 0.75) + 0.5 * np.log2(0.5 / 0.25))) / 2
    assert between.jsd_bits == pytest.approx(by_hand)


def test_the_crowds_figures_by_hand() -> None:
    """Three say happy, of which one is answered so; one says fear, which is; one image has no majority."""
    votes = np.zeros((5, 9), np.float32)
    votes[:3, 1] = 10  # happiness
    votes[3, 6] = 10  # fear
    votes[4, :2] = 5
    happy, fear, sad = (np.eye(7)[i] for i in (3, 2, 4))
    scores = score_crowd(np.stack([happy, sad, sad, fear, happy]), votes)
    assert scores.n == 4
    assert scores.agreement == pytest.approx(2 / 4)
    assert scores.macro_recall == pytest.approx((1 / 3 + 1) / 2)
    assert scores.ece == pytest.approx(0.5)  # sure each time, right half of the times
    assert (scores.confusion[3][3], scores.confusion[3][4], scores.confusion[2][2]) == (1, 2, 1)


def test_each_head_is_measured_and_the_asked_one_first() -> None:
    class Both(Brightness):
        """The crowd head always says neutral."""

        def __init__(self) -> None:
            super().__init__()
            self.heads = torch.nn.ModuleDict({"fer2013": torch.nn.Identity(), "crowd": torch.nn.Identity()})

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            neutral = torch.zeros(len(x), 7).index_fill(1, torch.tensor(6), 3.0)
            return {"fer2013": super().forward(x), "crowd": neutral}

    faces = striped([0, 3, 6, 6])
    votes = np.zeros((4, 9), np.float32)
    votes[[0, 1, 2], 0] = 10  # neutral
    votes[3, 1] = 10  # happiness
    faces = FerSplit(faces.images, faces.labels, votes)
    checkpoint = Checkpoint("cnn", Both(), InputSpec(48, normalization="unit"))
    measured = evaluate(Classifier(checkpoint, labels="fer2013"), faces, None)
    titles = {line[:28].strip() for line in side_by_side([measured], ["cnn"]).splitlines() if "calibration" in line}
    assert titles == {"calibration error (labels)", "calibration error (people)"}
    told = measured.as_dict()
    assert (told["labels"], told["accuracy"]) == ("fer2013", 1.0)
    assert told["crowd_agreement"] == told["video_agreement"] == 0.75
    assert told["crowd_macro_recall"] == pytest.approx(0.5)
    assert told["crowd_ece"] == pytest.approx(np.e**3 / (np.e**3 + 6) - 0.75, abs=1e-6)
    assert told["heads"]["fer2013"]["crowd_agreement"] == 0.25
    assert told["heads"]["crowd"]["accuracy"] == 0.5
    crowd = evaluate(Classifier(checkpoint), faces, None).as_dict()
    assert (crowd["labels"], crowd["accuracy"], crowd["ferplus"]["agreement"]) == ("crowd", 0.5, 0.75)


def test_the_class_table_has_the_reports_form() -> None:
    probabilities = np.eye(7)[[3, 3, 0]]
    table = class_table(score(probabilities, np.array([3, 3, 3])))
    assert "Happy    :  67% (2/3)" in table
    assert table.endswith("Accuracy : 66.7% (2/3)")
