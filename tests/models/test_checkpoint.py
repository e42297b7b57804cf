"""Checkpoints: what is written comes back, and what is wrong is refused by name."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ferwatch.errors import WeightsError
from ferwatch.models import checkpoint as weights
from ferwatch.models.calibration import Blend, Calibration
from ferwatch.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ferwatch.models.registry import InputSpec, get_model
from ferwatch.records import EMOTIONS


@pytest.fixture
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    network = get_model("report-cnn").build().eval()
    return Checkpoint(
        "report-cnn",
        network,
        get_model("report-cnn").input,
        {"fer2013": Calibration(1.25)},
        about={"command": "ferwatch train"},
    )


def test_a_checkpoint_rebuilds_its_network(tmp_path: Path, checkpoint: Checkpoint) -> None:
    files = save_checkpoint(checkpoint, tmp_path / "report-cnn.safetensors")
    back = load_checkpoint(files[0], "report-cnn")
    x = torch.rand(3, 1, 32, 32)
    assert torch.equal(back.network(x)["fer2013"], checkpoint.network(x)["fer2013"])
    assert (back.calibration("fer2013").temperature, back.input, back.about) == (
        1.25,
        checkpoint.input,
        checkpoint.about,
    )
    assert back.checksum == hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert not back.network.training
    assert files[0].stat().st_mode & 0o044  # others may read it


def test_both_heads_and_how_they_are_used_come_back(tmp_path: Path) -> None:
    config = {"widths": [8, 16, 32], "blocks": 1, "head_names": ["fer2013", "crowd"]}
    calibrations = {"fer2013": Calibration(0.9), "crowd": Calibration(1.5, (0.5, 0, 0, 0, 0, 0, -0.5))}
    network = get_model("cnn").build(**config).eval()
    blend = Blend(0.6, 0.9, (0, -1.25, 0, 0, 0, 0, 0))
    made = Checkpoint("cnn", network, InputSpec(48), calibrations, blend, config=config)
    back = load_checkpoint(save_checkpoint(made, tmp_path / "cnn.safetensors")[0], "cnn")
    assert back.head_names == ["fer2013", "crowd"]
    assert back.calibrations == calibrations
    assert back.blend == blend
    x = torch.rand(2, 1, 48, 48)
    for head, logits in back.network(x).items():
        assert torch.equal(logits, network(x)[head])


@pytest.mark.parametrize(("model", "old"), [("cnn", "head."), ("small-vit", "head."), ("vit-b-16", "heads.head.")])
def test_files_from_before_there_were_two_heads_still_load(tmp_path: Path, model: str, old: str) -> None:
    """Format 1: the last layer is called head, one temperature, the input's side and contrast."""
    config = {
        "cnn": {"widths": [8, 16, 32], "blocks": 1},
        "small-vit": {"width": 24, "depth": 1, "heads": 3},
        "vit-b-16": {"width": 24, "layers": 1, "heads": 3},
    }[model]
    network = get_model(model).build(**config).eval()
    tensors = {name.replace("heads.fer2013.", old): tensor for name, tensor in network.state_dict().items()}
    assert f"{old}weight" in tensors
    spec = get_model(model).input
    metadata = {
        "format": 1,
        "model": model,
        "config": config,
        "classes": list(EMOTIONS),
        "input": {"side": spec.size, "channels": spec.channels, "contrast": spec.normalization},
        "temperature": 0.75,
        "parts": ["old.safetensors"],
        "about": {},
    }
    save_file(tensors, tmp_path / "old.safetensors", metadata={"ferwatch": json.dumps(metadata)})
    back = load_checkpoint(tmp_path / "old.safetensors", model)
    assert back.head_names == ["fer2013"]
    assert back.input == spec
    assert back.calibration("fer2013") == Calibration(0.75)
    x = torch.rand(1, spec.channels, spec.size, spec.size)
    assert torch.equal(back.network(x)["fer2013"], network(x)["fer2013"])


def test_building_a_network_to_load_into_never_waits_for_random_numbers() -> None:
    """PyTorch redraws normal numbers until all are within bounds; the memory that stands in for them has to be."""
    with weights._NoRandomNumbers():
        for far_out in (torch.full((3, 3), 1e9), torch.full((3, 3), float("nan"))):
            assert torch.equal(far_out.normal_(0, 0.02), torch.zeros(3, 3))


def test_a_network_of_another_shape_is_built_from_its_config(tmp_path: Path) -> None:
    config = {"width": 96, "depth": 2, "heads": 2, "pool": "class"}
    network = get_model("small-vit").build(**config).eval()
    path = save_checkpoint(Checkpoint("small-vit", network, InputSpec(48), config=config), tmp_path / "a.safetensors")[
        0
    ]
    x = torch.rand(2, 1, 48, 48)
    assert torch.equal(load_checkpoint(path, "small-vit").network(x)["fer2013"], network(x)["fer2013"])


def test_parts_and_eight_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PART_BYTES", 200_000)
    torch.manual_seed(0)
    network = get_model("cnn").build(widths=[32, 64], blocks=1).eval()
    made = Checkpoint("cnn", network, InputSpec(48), config={"widths": [32, 64], "blocks": 1})
    exact, small = (save_checkpoint(made, tmp_path / f"{bits}.safetensors", eight_bits=bits) for bits in (False, True))
    assert len(exact) > 1
    assert exact[0].name == "False.part1.safetensors"
    assert all(file.stat().st_size < 250_000 for file in exact)
    assert sum(f.stat().st_size for f in small) < 0.35 * sum(f.stat().st_size for f in exact)
    x = torch.rand(4, 1, 48, 48)
    with torch.no_grad():
        assert torch.equal(load_checkpoint(exact[0], "cnn").network(x)["fer2013"], network(x)["fer2013"])
        for name, tensor in load_checkpoint(small[0], "cnn").network.state_dict().items():
            original = network.state_dict()[name].float()
            step = original.flatten(1).abs().amax(dim=1) / 127 if original.ndim > 1 else torch.zeros(1)
            assert (
                ((tensor - original).abs().flatten(1).amax(dim=1) <= step * 0.501).all() if original.ndim > 1 else True
            )
    exact[1].unlink()
    with pytest.raises(WeightsError, match=r"False\.part2\.safetensors cannot be read"):
        load_checkpoint(exact[0], "cnn")


def test_a_file_that_differs_from_its_card_is_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = save_checkpoint(checkpoint, tmp_path / "report-cnn.safetensors")[0]
    card = tmp_path / "report-cnn.md"
    card.write_text(f"# card\n\n{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    load_checkpoint(path, "report-cnn")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"not the file that report-cnn\.md describes"):
        load_checkpoint(path, "report-cnn")


@pytest.mark.parametrize("kept", [0, 4, 100, 5000, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, checkpoint: Checkpoint, kept: int) -> None:
    path = save_checkpoint(checkpoint, tmp_path / "report-cnn.safetensors")[0]
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"report-cnn\.safetensors is damaged"):
        load_checkpoint(path, "report-cnn")


def test_weights_of_another_network_are_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = save_checkpoint(checkpoint, tmp_path / "mine.safetensors")[0]
    with pytest.raises(WeightsError, match="holds weights of report-cnn, not of cnn"):
        load_checkpoint(path, "cnn")
    rewrite(path, model="report-vit")
    with pytest.raises(WeightsError, match="is not of the network report-vit"):
        load_checkpoint(path, "report-vit")


def test_another_class_order_is_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = save_checkpoint(checkpoint, tmp_path / "mine.safetensors")[0]
    rewrite(path, classes=["happy", "angry", "disgust", "fear", "sad", "surprise", "neutral"])
    with pytest.raises(WeightsError, match=r"has the classes \['happy', 'angry'"):
        load_checkpoint(path, "report-cnn")


def test_a_config_that_cannot_be_built_is_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = save_checkpoint(checkpoint, tmp_path / "mine.safetensors")[0]
    rewrite(path, config={"layers": 10**9})
    with pytest.raises(WeightsError, match="cannot be built"):
        load_checkpoint(path, "report-cnn")


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    checkpoint.network.fc3.bias.data[0] = float("nan")
    with pytest.raises(WeightsError, match="not finite"):
        load_checkpoint(save_checkpoint(checkpoint, tmp_path / "mine.safetensors")[0], "report-cnn")


def test_other_safetensors_files_and_other_formats_are_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match="not one that ferwatch wrote"):
        load_checkpoint(tmp_path / "foreign.safetensors", "cnn")
    path = save_checkpoint(checkpoint, tmp_path / "mine.safetensors")[0]
    rewrite(path, format=3)
    with pytest.raises(WeightsError, match="update ferwatch"):
        load_checkpoint(path, "report-cnn")
    with pytest.raises(WeightsError, match="no such weights file"):
        load_checkpoint(tmp_path / "none.safetensors", "cnn")


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("wrap", ["pickle", "torch", "inside"])
def test_a_pickle_is_never_executed(tmp_path: Path, wrap: str) -> None:
    target, path = tmp_path / "pwned", tmp_path / "weights.pth"
    if wrap == "pickle":
        path.write_bytes(pickle.dumps(Evil(target)))
    else:
        state = get_model("report-cnn").build().state_dict()
        torch.save(Evil(target) if wrap == "torch" else {**state, "fc3.bias": Evil(target)}, path)
    with pytest.raises(WeightsError, match=r"weights\.pth is damaged, or holds more than plain tensors"):
        load_checkpoint(path, "report-cnn")
    assert not target.exists()
    pickle.loads(pickle.dumps(Evil(target)))  # the trap is a real one
    assert target.exists()


def test_a_foreign_state_dict_is_read(tmp_path: Path, checkpoint: Checkpoint) -> None:
    torch.save(checkpoint.network.state_dict(), tmp_path / "foreign.pth")
    x = torch.rand(3, 1, 32, 32)
    back = load_checkpoint(tmp_path / "foreign.pth", "report-cnn")
    assert torch.equal(back.network(x)["fer2013"], checkpoint.network(x)["fer2013"])
    with pytest.raises(WeightsError, match="is not of the network report-vit"):
        load_checkpoint(tmp_path / "foreign.pth", "report-vit")


def rewrite(path: Path, **changed: object) -> None:
    """Changes what a checkpoint says of itself."""
    with safe_open(path, framework="pt") as f:
        metadata = json.loads(f.metadata()["ferwatch"])
    tensors = load_file(path)
    save_file(tensors, path, metadata={"ferwatch": json.dumps({**metadata, **changed})})
    assert struct.unpack("<Q", path.read_bytes()[:8])[0] > 100


@pytest.mark.parametrize("model", ["cnn", "small-vit"])
def test_loading_leaves_torch_s_compiler_alone(tmp_path: Path, model: str) -> None:
    """Its import takes a second, a third of the time to the first row."""
    path = tmp_path / "w.safetensors"
    save_checkpoint(Checkpoint(model, get_model(model).build(), get_model(model).input), path)
    program = f"""
import sys, pathlib
from ferwatch.models.checkpoint import load_checkpoint
load_checkpoint(pathlib.Path({str(path)!r}), {model!r})
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
