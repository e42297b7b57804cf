"""`ferwatch train` on a small data set that can be learnt."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT
from training_faces import some_faces

from ferwatch.cli.main import cli
from ferwatch.errors import FerwatchError
from ferwatch.models.checkpoint import load_checkpoint
from ferwatch.models.pretrained import read_metadata


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in the folder layout."""
    root = tmp_path_factory.mktemp("fer2013")
    for split, n, seed in (("train", 140, 0), ("public_test", 70, 1)):
        faces = some_faces(n, seed)
        for i, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
            place = root / split / ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")[label]
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f"{i:05d}.png"), image)
    return root


def test_the_command_trains_resumes_and_writes_what_evaluate_reads(
    ferwatch: Callable[..., object], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "quick.toml").write_text(
        'model = "report-cnn"\nepochs = 12\nbatch_size = 14\noptimizer = "adam"\nlearning_rate = 3e-3\n'
        "augment = 0.0\nmirror = false\nerase = 0.0\nema = 0.9\n"
    )
    command = ["train", "--model", "report-cnn", "--data", folder, "--recipe", "quick.toml", "--out", "trained"]
    done = ferwatch(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch ") == 12
    assert "\r" not in done.stderr
    path = tmp_path / "trained" / "report-cnn.safetensors"
    told = read_metadata(path)["about"]
    assert told["command"].startswith("ferwatch train --model report-cnn --data ")
    assert str(folder.parent) not in json.dumps(told)
    assert told["public_test"]["accuracy"] > 0.9
    card = (tmp_path / "trained" / "report-cnn.md").read_text()
    assert f"{told['public_test']['accuracy']:.2%}" in card
    assert "learning_rate = 0.003" in card
    load_checkpoint(path, "report-cnn")  # whose checksum the card states
    for name in ("curves", "confusion", "reliability"):
        assert cv2.imread(str(tmp_path / "trained" / f"report-cnn-{name}.png")).std() > 5
    with open(tmp_path / "trained" / "report-cnn-curve.csv") as f:
        curve = list(csv.DictReader(f))
    assert float(curve[-1]["train_loss"]) < float(curve[0]["train_loss"])

    again = ferwatch(*command)  # complete: it is only measured and written again
    assert "epoch " not in again.stdout
    assert read_metadata(path)["about"]["public_test"] == told["public_test"]

    weights = ["--weights", path, "--json", "figures.json", "--out", "pictures"]
    shown = ferwatch("evaluate", "--model", "report-cnn", "--data", folder, *weights)
    assert shown.returncode == 0, shown.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["per_class"] == told["public_test"]["per_class"]
    assert figures["n"] == 70
    assert f"({figures['correct']}/70)" in shown.stdout
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2


def test_wrong_use_is_told_in_one_line(folder: Path) -> None:
    for arguments, code, told in (
        (["train", "--model", "resnet", "--data", folder], 1, "there is no model 'resnet'"),
        (["train", "--model", "cnn", "--data", folder, "--pretrained", "imagenet"], 2, "--pretrained is for vit-b-16"),
        (["train", "--model", "cnn", "--data", "nowhere.csv"], 1, "nowhere.csv cannot be read"),
        (["evaluate", "--model", "cnn", "--data", folder, "--weights", "no.safetensors"], 1, "no.safetensors"),
    ):
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert result.exit_code == code, arguments
        message = result.output or str(result.exception)
        assert told in message
        if code == 1:
            assert isinstance(result.exception, FerwatchError), "anything else would be a traceback"
            assert "\n" not in message


def test_two_processes_train_like_one(folder: Path, tmp_path: Path) -> None:
    """With DistributedDataParallel over gloo: the same batches, so the same losses but for rounding."""
    (tmp_path / "short.toml").write_text(
        'model = "report-vit"\nepochs = 3\nbatch_size = 14\noptimizer = "adam"\nlearning_rate = 3e-3\nmixup = 0.2\n'
    )
    curves = []
    for out, start in (("one", []), ("two", ["torch.distributed.run", "--nproc_per_node=2", "-m"])):
        words = ["train", "--model", "report-vit", "--data", folder, "--recipe", "short.toml", "--out", out]
        done = subprocess.run(
            [sys.executable, "-m", *start, "ferwatch", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("epoch ") == 3
        with open(tmp_path / out / "curve.csv") as f:
            curves.append([(float(row["train_loss"]), float(row["public_test_loss"])) for row in csv.DictReader(f)])
    np.testing.assert_allclose(curves[0], curves[1], rtol=2e-3)


def test_a_network_of_ones_own_is_trained_and_used(
    ferwatch: Callable[..., object], folder: Path, tmp_path: Path
) -> None:
    """The example of docs/training.md."""
    example = (ROOT / "docs" / "training.md").read_text(encoding="utf-8").split("    from torch import nn\n", 1)[1]
    lines = example.split("\nThe checkpoint remembers")[0].splitlines()
    (tmp_path / "mine.py").write_text("from torch import nn\n" + "\n".join(line[4:] for line in lines) + "\n")
    (tmp_path / "mine.toml").write_text(
        'model = "Net"\nconfig = { width = 8 }\nepochs = 12\nbatch_size = 14\noptimizer = "adam"\n'
        "learning_rate = 3e-3\naugment = 0.0\nmirror = false\nerase = 0.0\nema = 0.9\n"
    )
    network = ["--network", "mine.py:Net"]
    done = ferwatch("train", *network, "--data", folder, "--recipe", "mine.toml", "--out", "mine")
    assert done.returncode == 0, done.stderr
    weights = ["--weights", "mine/Net.safetensors", "--data", folder]
    shown = ferwatch("evaluate", *network, *weights, "--json", "figures.json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads((tmp_path / "figures.json").read_text())["accuracy"] > 0.9
    refused = ferwatch("evaluate", "--model", "cnn", *weights)
    assert refused.returncode == 1
    assert "holds weights of Net, not of cnn; name its network with --network mine.py:Net" in refused.stderr
