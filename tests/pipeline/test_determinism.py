"""The same command gives the same bytes, whatever the number of threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DEMO, needs_weights

from ferwatch import analyze
from ferwatch.models.checkpoint import load_checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.models.pretrained import shipped_weights
from ferwatch.video.sampling import Sampling


@needs_weights
def test_the_rows_do_not_depend_on_the_threads(tmp_path: Path) -> None:
    tables = set()
    for number, threads in enumerate((1, 2, 2, None)):
        run = analyze(DEMO, tmp_path / str(number), sampling=Sampling(every=2), end=4, annotate=False, threads=threads)
        tables.add((run.folder / "frames.csv").read_bytes())
    assert len(tables) == 1
    assert tables.pop().count(b"\n") > 50


@needs_weights
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_cpu_and_gpu_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, which a GPU computes in; a CPU's bfloat16 changes the third decimal (docs/performance.md)."""
    monkeypatch.setattr("ferwatch.models.classifier.best_dtype", lambda *_: torch.float32)
    crops = np.random.default_rng(0).integers(0, 256, (40, 48, 48), dtype=np.uint8)
    checkpoint = load_checkpoint(shipped_weights("cnn"), "cnn")
    np.testing.assert_allclose(Classifier(checkpoint, "cuda")(crops), Classifier(checkpoint)(crops), atol=1e-3)
