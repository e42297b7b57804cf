"""Look inside: the pictures' numbers are those of a plain forward pass."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from einops import rearrange
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from ferwatch.cli.main import cli
from ferwatch.errors import WeightsError
from ferwatch.explain.attention import AttentionAnalysis, analyze_attention
from ferwatch.explain.occlusion import PATCH_PIXELS, occlude
from ferwatch.explain.report import look_inside
from ferwatch.explain.trace import Trace, attention_layers, layer_table, record_forward
from ferwatch.models.checkpoint import Checkpoint, load_checkpoint
from ferwatch.models.heads import head_logits
from ferwatch.models.registry import MODELS
from ferwatch.records import Face

CONFIG = {"cnn": {}, "small-vit": {"depth": 3}, "vit-b-16": {"layers": 2}, "report-cnn": {}, "report-vit": {}}
"""The networks as they are, only fewer blocks where blocks repeat."""


@pytest.fixture(scope="module", params=list(CONFIG))
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    torch.manual_seed(0)
    model: str = request.param
    network = MODELS[model].build(**CONFIG[model]).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # a new block is its shortcut alone; let the branch say something too
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
    return Checkpoint(model, network, MODELS[model].input)


def some_face(checkpoint: Checkpoint) -> Tensor:
    to = checkpoint.input
    return torch.rand(1, 1, to.size, to.size, generator=torch.Generator().manual_seed(1)).expand(
        -1, to.channels, -1, -1
    )


@pytest.fixture(scope="module")
def trace(checkpoint: Checkpoint) -> Trace:
    return record_forward(checkpoint.network, some_face(checkpoint))


def hooked(network: nn.Module, x: Tensor) -> tuple[dict[str, list[tuple[Tensor, Tensor]]], Tensor]:
    """A plain forward pass: the first input and the output of every module, by name, for each time it ran."""
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def note(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen.setdefault(name, []).append((inputs[0], output[0] if isinstance(output, tuple) else output))

        return note

    handles = [module.register_forward_hook(hook(name)) for name, module in network.named_modules()]
    with torch.no_grad():
        logits = head_logits(network, x)["fer2013"]
    for handle in handles:
        handle.remove()
    return seen, logits


def test_recorded_outputs_are_those_of_a_plain_pass(checkpoint: Checkpoint, trace: Trace) -> None:
    plain, logits = hooked(checkpoint.network, some_face(checkpoint))
    torch.testing.assert_close(trace.logits, logits, rtol=1e-4, atol=1e-5)
    leaves = {n for n, m in checkpoint.network.named_modules() if not list(m.children())} & set(plain)
    compared = set()
    for name in leaves:
        steps = [step for step in trace.steps if step.layer == name]
        for step, (_, output) in zip(steps, plain[name], strict=False):
            torch.testing.assert_close(step.output, output, rtol=1e-4, atol=1e-5)
            compared.add(name)
    with_weights = {n for n in leaves if dict(checkpoint.network.named_modules())[n]._parameters}
    assert with_weights <= compared


def test_every_parameter_is_counted_once(checkpoint: Checkpoint, trace: Trace) -> None:
    assert trace.parameters == sum(p.numel() for p in checkpoint.network.parameters())
    assert trace.unused == ({"classification_token": 32} if checkpoint.model == "report-vit" else {})


def test_multiply_adds_agree_with_pytorchs_own_counter(checkpoint: Checkpoint, trace: Trace) -> None:
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        checkpoint.network(some_face(checkpoint))
    torch.backends.mha.set_fastpath_enabled(True)
    fused = 0
    if checkpoint.model in ("small-vit", "vit-b-16"):  # PyTorch's counter leaves out fused attention on a CPU
        fused = sum(2 * a.numel() * (64 if a.shape[0] in (3, 12) else 0) for a in attention_layers(trace))
    assert trace.multiply_adds - fused == counter.get_total_flops() / 2


def test_multiply_adds_by_hand() -> None:
    table = layer_table(record_forward(MODELS["report-cnn"].build().eval(), torch.rand(1, 1, 32, 32)))
    rows = {layer: rest for layer, *rest in table if layer != "(network)"}
    assert rows["conv1"] == ["convolution", "6x28x28", 6 * (25 + 1), 28 * 28 * 6 * 25]
    assert rows["conv2"] == ["convolution", "16x10x10", 16 * (6 * 25 + 1), 10 * 10 * 16 * 6 * 25]
    assert rows["fc1"] == ["linear", "120", 400 * 120 + 120, 400 * 120]


def test_attention_gives_the_networks_own_output(checkpoint: Checkpoint, trace: Trace) -> None:
    """Weights times values, by hand from hooked tensors, is what the layer itself put out."""
    layers = attention_layers(trace)
    plain, _ = hooked(checkpoint.network, some_face(checkpoint))
    modules = dict(checkpoint.network.named_modules())
    if checkpoint.model in ("cnn", "report-cnn"):
        assert layers == []
    elif checkpoint.model == "small-vit":
        for i, weights in enumerate(layers):
            _, _, v = rearrange(plain[f"blocks.{i}.attention.to_qkv"][0][1][0], "t (k h d) -> k h t d", k=3, h=3)
            expected = plain[f"blocks.{i}.attention.to_out"][0][0][0]
            torch.testing.assert_close(rearrange(weights @ v, "h t d -> t (h d)"), expected, rtol=1e-4, atol=1e-5)
    elif checkpoint.model == "vit-b-16":
        for i, weights in enumerate(layers):
            name = f"encoder.layers.encoder_layer_{i}.self_attention"
            attention = modules[name]
            assert isinstance(attention, nn.MultiheadAttention)
            x, expected = plain[name][0]
            _, _, v = F.linear(x[0], attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
            mixed = rearrange(weights @ rearrange(v, "t (h d) -> h t d", h=12), "h t d -> t (h d)")
            torch.testing.assert_close(attention.out_proj(mixed), expected[0], rtol=1e-4, atol=1e-5)
    else:
        assert len(layers) == 2  # one block, applied twice
        for time, weights in enumerate(layers):
            for h in range(4):
                name = f"transformer_block.multi_head.multiheads.{h}"
                x, expected = plain[name][time]
                torch.testing.assert_close(weights[h] @ (x[0] @ modules[name].V), expected[0], rtol=1e-4, atol=1e-5)
    for weights in layers:
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:2]))


def test_readout_and_positions(checkpoint: Checkpoint, trace: Trace) -> None:
    analysis = analyze_attention(checkpoint.network, trace)
    if checkpoint.model in ("cnn", "report-cnn"):
        assert analysis is None
        return
    assert analysis is not None
    assert analysis.grid_side == {"small-vit": 6, "vit-b-16": 6, "report-vit": 2}[checkpoint.model]
    assert analysis.has_class_token == (checkpoint.model == "vit-b-16")
    assert float(analysis.readout.sum()) == pytest.approx(1)
    embeddings = {"small-vit": "positions", "vit-b-16": "encoder.pos_embedding", "report-vit": "pe"}[checkpoint.model]
    e = dict(checkpoint.network.named_parameters())[embeddings].detach()[0][-(analysis.grid_side**2) :].numpy()
    assert analysis.position_similarity is not None
    expected = e[1] @ e[0] / np.linalg.norm(e[0]) / np.linalg.norm(e[1])
    assert float(analysis.position_similarity[0, 1]) == pytest.approx(expected, abs=1e-5)


def test_rollout_by_hand() -> None:
    # token 0 takes all from token 3 in the first layer; in the second all take from token 0
    first = torch.eye(4)[[3, 1, 2, 3]][None]
    second = torch.eye(4)[[0, 0, 0, 0]][None]
    analysis = AttentionAnalysis(
        2, torch.zeros(4, 8), torch.eye(4), [first, second], torch.full((4,), 0.25), "all tokens"
    )
    after_one, after_two = analysis.rollout()
    # half of token 0 is now token 3
    assert after_one.flatten().tolist() == pytest.approx([0.125, 0.25, 0.25, 0.375])
    # half of the answer comes from token 0, of which half is token 3; the rest is as before
    assert after_two.flatten().tolist() == pytest.approx([0.3125, 0.125, 0.125, 0.4375])


def test_occlusion_finds_the_place_that_matters() -> None:
    """A classifier that is happy as far as the mouth is bright."""
    crop = np.full((48, 48), 40, np.uint8)
    crop[32:40, 16:32] = 240

    def classify(crops: np.ndarray) -> np.ndarray:
        happy = crops[:, 32:40, 16:32].mean(axis=(1, 2)) / 255
        rest = (1 - happy)[:, None] / 6
        return np.concatenate([np.repeat(rest, 3, axis=1), happy[:, None], np.repeat(rest, 3, axis=1)], axis=1)

    found = occlude(classify, crop)
    happy = found.change[3]
    y, x = np.unravel_index(happy.argmin(), happy.shape)
    assert 32 <= y < 40
    assert 16 <= x < 32
    assert happy[: 32 - PATCH_PIXELS].max() == 0 == happy[: 32 - PATCH_PIXELS].min()
    np.testing.assert_allclose(found.change.sum(axis=0), 0, atol=1e-12)
    assert found.probabilities[3] == pytest.approx(classify(found.covered[None])[0, 3])


def test_pictures_tables_and_page(checkpoint: Checkpoint, trace: Trace, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    crop = noise[:48, :48, 0]
    face = Face((20.0, 10.0, 50.0, 50.0), np.zeros((6, 2), np.float32), 0.9, crop)
    page = checkpoint.model == "report-vit"
    inside = look_inside(noise, face, checkpoint, tmp_path, html=page)
    assert sorted(inside.files) == sorted(tmp_path.iterdir())
    names = [re.sub(r"^\d+-", "", f.stem) for f in inside.files if f.suffix == ".png"]
    assert {"input", "answer", "occlusion"} <= set(names)
    own = {
        "cnn": {"forward-pass", "kernels-stem.0", "features-stem.0-relu", "features-stages.5-block-s-sum-relu"},
        "report-cnn": {"kernels-conv1", "kernels-conv2", "features-conv1", "features-conv2-relu-max-pool"},
    }
    expected = own.get(checkpoint.model, {"patches", "positions", "attention-matrices", "attention-maps", "rollout"})
    assert expected <= set(names)
    for file in inside.files:
        if file.suffix == ".png":
            with Image.open(file) as picture:
                picture.load()
                assert picture.size == (1536, 864)
    with open(tmp_path / "layers.csv", newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert sum(int(row["parameters"]) for row in rows) == trace.parameters
    assert sum(int(row["multiply_adds"]) for row in rows) == trace.multiply_adds
    if page:
        html = (tmp_path / "index.html").read_text(encoding="utf-8")
        assert html.count("data:image/png;base64,") == len(names)
        assert not re.search(r"""(src|href)=["'](?!data:|#)""", html)


def test_report_cnn_first_layer_is_conv2d_with_the_stored_kernels(
    report: Callable[[str], Path], tmp_path: Path
) -> None:
    weights = report("conv_weights.pth")
    checkpoint = load_checkpoint(weights, "report-cnn")
    x = some_face(checkpoint)
    stored = torch.load(weights, weights_only=True)
    first = record_forward(checkpoint.network, x).steps[0]
    assert first.output.shape == (1, 6, 28, 28)
    torch.testing.assert_close(first.output, F.conv2d(x, stored["conv1.weight"], stored["conv1.bias"]))

    pair = str(report("pair.jpg"))
    arguments = ["look-inside", pair, "--model", "report-cnn", "--weights", str(weights), "--face", "2"]
    done = CliRunner().invoke(cli, [*arguments, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.exception
    assert "61,451 parameters, 416,268 multiply-adds" in done.stdout
    assert (tmp_path / "05-features-conv1.png").is_file()


def test_wrong_usage(clip: Callable[[str], Path]) -> None:
    video = str(clip("single_face.mp4"))
    assert CliRunner().invoke(cli, ["look-inside", video]).exit_code == 2  # a video needs a time
    done = CliRunner().invoke(cli, ["look-inside", video, "--at", "1:00", "--weights", "nothing.pth"])
    assert isinstance(done.exception, WeightsError)
