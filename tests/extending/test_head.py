"""Adds an output head to cnn: whether a face smiles, beside the emotions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import needs_weights

from ferwatch.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ferwatch.models.classifier import Classifier, load_classifier
from ferwatch.models.registry import get_model, register_network

FILE = """
from torch import nn
from ferwatch.models.cnn import CNN

class SmileCNN(CNN):
    def __init__(self, **config):
        super().__init__(**config)
        self.heads["smile"] = nn.Linear(256, 2)
"""


@needs_weights
def test_the_head_answers_beside_the_emotions(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    source, weights = f"{tmp_path / 'mine.py'}:SmileCNN", tmp_path / "smile.safetensors"
    model, shipped = get_model(register_network(source)), load_classifier("cnn", device="cpu").checkpoint
    network = model.build(**shipped.config)
    network.load_state_dict(shipped.network.state_dict(), strict=False)
    save_checkpoint(Checkpoint("SmileCNN", network, model.input, config=shipped.config, source=source), weights)
    crops = np.random.default_rng(0).integers(0, 256, (20, 48, 48), np.uint8)
    classifier = Classifier(load_checkpoint(weights, "SmileCNN"))
    answers = classifier.by_head(crops)
    assert answers["smile"].shape == (20, 2)
    np.testing.assert_allclose(answers["smile"].sum(axis=1), 1)
    expected = Classifier(shipped).logits(crops)["fer2013"]
    np.testing.assert_allclose(classifier.logits(crops)["fer2013"], expected, atol=0.1)
