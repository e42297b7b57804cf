"""Adds a network: one linear layer on the pixels, in a file of its own."""

from __future__ import annotations

from pathlib import Path

from conftest import DEMO

import ferwatch
from ferwatch.models.checkpoint import Checkpoint, save_checkpoint
from ferwatch.models.registry import get_model, register_network

FILE = '''
from torch import nn
class Linear(nn.Module):
    """A linear layer on 48x48 pixels."""
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleDict({"crowd": nn.Linear(48 * 48, 7), "fer2013": nn.Linear(48 * 48, 7)})

    def forward_features(self, x):
        return x.flatten(1)

    def forward_head(self, features):
        return {name: head(features) for name, head in self.heads.items()}

    def forward(self, x):
        return self.forward_head(self.forward_features(x))
'''


def test_a_video_is_analysed_with_the_network(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    source, weights = f"{tmp_path / 'mine.py'}:Linear", tmp_path / "linear.safetensors"
    model = get_model(register_network(source))
    save_checkpoint(Checkpoint("Linear", model.build(), model.input, source=source), weights)
    with ferwatch.Analyzer(network=source, weights=weights) as analyzer:
        first = next(iter(analyzer.track(DEMO, end=0.3)))
    assert abs(sum(first.faces[0].probabilities) - 1) < 1e-6
