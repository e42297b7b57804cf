"""The form that a checkpoint runs in answers as the network itself does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import needs_weights
from numpy.typing import NDArray
from torch import nn

from ferwatch.errors import WeightsError
from ferwatch.models.calibration import Blend, Calibration
from ferwatch.models.checkpoint import Checkpoint, load_checkpoint
from ferwatch.models.classifier import BATCH, Classifier, best_dtype, labels_notice
from ferwatch.models.preprocess import preprocess
from ferwatch.models.pretrained import shipped_weights
from ferwatch.models.registry import get_model

CROPS = np.random.default_rng(0).integers(0, 256, (BATCH + 3, 48, 48), dtype=np.uint8)


def trained(model: str) -> Checkpoint:
    """A network whose batch norms have seen something, as after training."""
    torch.manual_seed(0)
    network = get_model(model).build()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    head = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    nn.init.normal_(head.weight, std=0.1)
    return Checkpoint(model, network.eval(), get_model(model).input)


@pytest.mark.parametrize("model", ["cnn", "small-vit", "report-cnn"])
def test_agrees_with_the_network_as_it_is(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferwatch.models.classifier.best_dtype", lambda *_: torch.float32)
    checkpoint = trained(model)
    classifier = Classifier(checkpoint)
    with torch.inference_mode():
        plain = (
            checkpoint.network(preprocess(torch.from_numpy(CROPS), checkpoint.input))["fer2013"].softmax(dim=1).numpy()
        )
    assert plain.std() > 0.01  # there is something to agree on
    assert np.abs(classifier(CROPS) - plain).max() < 1e-4
    assert not any(isinstance(module, nn.BatchNorm2d) for module in classifier.network.modules())


@needs_weights
def test_the_fast_form_hardly_changes_an_answer(public_test: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> None:
    """In bfloat16, where the processor has it, at least 99.5% of PublicTest keep their label."""
    checkpoint = load_checkpoint(shipped_weights("cnn"), "cnn")
    classifier = Classifier(checkpoint)
    if classifier.dtype is torch.float32:
        pytest.skip("this processor has no instructions for bfloat16: the fast form is float32")
    faces, _ = public_test
    with torch.inference_mode():
        plain = torch.cat(
            [
                checkpoint.network(preprocess(batch, checkpoint.input))["fer2013"]
                for batch in torch.from_numpy(faces).split(256)
            ]
        )
    exact = checkpoint.calibration("fer2013").probabilities(plain.double().numpy())
    fast = classifier.by_head(faces)["fer2013"]
    assert (fast.argmax(axis=1) == exact.argmax(axis=1)).mean() >= 0.995
    assert np.abs(fast - exact).mean() < 1e-3


@pytest.mark.parametrize("model", ["cnn", "small-vit"])
def test_numbers_depend_on_the_face_alone(model: str) -> None:
    classifier = Classifier(trained(model))
    together = classifier.logits(CROPS)["fer2013"]
    rounding = 0.0 if classifier.dtype == torch.float32 else 0.02  # logits in bfloat16 have two to three digits
    for first, last in ((0, len(CROPS)), (BATCH, len(CROPS)), (0, 1), (3, 10)):
        alone = classifier.logits(CROPS[first:last])["fer2013"]
        assert np.abs(alone - together[first:last]).max() <= rounding


def test_the_checkpoint_keeps_its_network() -> None:
    checkpoint = trained("cnn")
    before = {name: tensor.clone() for name, tensor in checkpoint.network.state_dict().items()}
    Classifier(checkpoint)
    after = checkpoint.network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_only_the_dear_networks_give_up_precision() -> None:
    assert best_dtype("small-vit", "cpu") is torch.float32
    assert best_dtype("cnn", "cuda") is best_dtype("vit-b-16", "cuda") is torch.float32


class TwoHeads(torch.nn.Module):
    """Says angry with logit 1 in one head, and neutral with logit 2 in the other."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"fer2013": nn.Identity(), "crowd": nn.Identity()})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        nothing = torch.zeros(len(x), 7)
        return {
            "fer2013": nothing.index_fill(1, torch.tensor(0), 1.0),
            "crowd": nothing.index_fill(1, torch.tensor(6), 2.0),
        }


def test_what_a_video_uses_is_the_blend_of_both_calibrated_heads() -> None:
    """By hand: temperature 0.5 and 2, the crowd head's offsets ln 3 for disgust, a crowd weight of 0.75, and
    temperature 0.5 for the blend."""
    offsets = (0.0, 2 * np.log(3), 0.0, 0.0, 0.0, 0.0, 0.0)
    calibrations = {"fer2013": Calibration(0.5), "crowd": Calibration(2.0, offsets)}
    checkpoint = Checkpoint("cnn", TwoHeads(), get_model("cnn").input, calibrations, Blend(0.75, 0.5))
    fer2013 = np.array([np.e**2, 1, 1, 1, 1, 1, 1]) / (np.e**2 + 6)
    crowd = np.array([1, 3, 1, 1, 1, 1, np.e]) / (8 + np.e)
    video = (0.75 * crowd + 0.25 * fer2013) ** 2
    video /= video.sum()
    by_head = Classifier(checkpoint).by_head(CROPS)
    for name, expected in (("fer2013", fer2013), ("crowd", crowd), ("video", video)):
        np.testing.assert_allclose(by_head[name], np.tile(expected, (len(CROPS), 1)), rtol=1e-6)
    for labels, expected in (("crowd", video), (None, video), ("fer2013", fer2013)):
        classifier = Classifier(checkpoint, labels=labels)
        np.testing.assert_allclose(classifier(CROPS)[0], expected, rtol=1e-6)
        assert labels_notice(classifier, labels) is None


def test_a_videos_offsets_change_what_a_video_uses_and_no_head() -> None:
    """By hand: a crowd head that says neutral with logit 2, of which a video takes off 2 again."""
    blend = Blend(offsets=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -2.0))
    classifier = Classifier(Checkpoint("cnn", TwoHeads(), get_model("cnn").input, blend=blend))
    by_head = classifier.by_head(CROPS)
    np.testing.assert_allclose(by_head["crowd"][0], np.array([1, 1, 1, 1, 1, 1, np.e**2]) / (6 + np.e**2), rtol=1e-6)
    np.testing.assert_allclose(by_head["video"][0], np.full(7, 1 / 7), rtol=1e-6)
    np.testing.assert_array_equal(classifier(CROPS), by_head["video"])


def test_a_network_with_the_crowd_head_alone_answers() -> None:
    class Crowd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = torch.nn.ModuleDict({"crowd": torch.nn.Linear(1, 7)})

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"crowd": torch.zeros(len(x), 7)}

    classifier = Classifier(Checkpoint("cnn", Crowd(), get_model("cnn").input))
    np.testing.assert_allclose(classifier(CROPS), np.full((len(CROPS), 7), 1 / 7))


def test_offsets_come_before_the_temperature_of_a_video() -> None:
    """By hand: of two equal heads the square, after 2 is taken off neutral's logarithm."""
    blend = Blend(0.5, 0.5, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -2.0))
    shares = np.array([[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4]])
    expected = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4 / np.e**2]) ** 2
    np.testing.assert_allclose(blend.probabilities(shares, shares)[0], expected / expected.sum(), rtol=1e-9)


def test_a_checkpoint_without_a_crowd_head_says_so() -> None:
    checkpoint = trained("report-cnn")
    classifier = Classifier(checkpoint)
    assert classifier.labels == "fer2013"
    assert "report-cnn have no crowd head" in str(labels_notice(classifier, None))
    assert labels_notice(classifier, "fer2013") is None
    with pytest.raises(WeightsError, match="report-cnn have no crowd head, only fer2013"):
        Classifier(checkpoint, labels="crowd")


def test_a_library_call_leaves_torchs_threads_alone() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        Classifier(trained("report-cnn"))(CROPS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
