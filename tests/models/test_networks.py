"""The five networks: shapes, first losses, and attention and patches done by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ferwatch.errors import WeightsError
from ferwatch.models import registry
from ferwatch.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ferwatch.models.classifier import Classifier, load_classifier
from ferwatch.models.heads import add_heads, head_names
from ferwatch.models.preprocess import preprocess
from ferwatch.models.registry import MODELS, get_model, register_network
from ferwatch.models.report import Head, ReportViT
from ferwatch.models.small_vit import Attention, SmallViT

SHARED = Path(__file__).parents[3] / "shared"


@pytest.mark.parametrize("name", MODELS)
def test_the_first_loss_is_ln_7(name: str) -> None:
    """A network that knows nothing says so: the report's ViT began at 30."""
    torch.manual_seed(0)
    model = get_model(name)
    network = model.build()
    faces = torch.randint(0, 256, (64, 12, 12)).float()  # blobs, which have a face's low frequencies
    x = preprocess(F.interpolate(faces[:, None], size=(48, 48), mode="bicubic")[:, 0].clamp(0, 255), model.input)
    with torch.no_grad():
        logits = network.train()(x)["fer2013"]
    assert logits.shape == (64, 7)
    assert float(F.cross_entropy(logits, torch.arange(64) % 7)) == pytest.approx(math.log(7), rel=0.1)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("cnn", 1e6, 3e6),
        ("small-vit", 1e6, 3e6),
        ("vit-b-16", 85e6, 87e6),
        ("report-cnn", 61_451, 61_451),
        ("report-vit", 12_384, 12_384),
    ],
)
def test_parameters(name: str, least: float, most: float) -> None:
    with torch.device("meta"):
        network = get_model(name).build()
    assert least <= sum(p.numel() for p in network.parameters()) <= most


def test_vit_b_16_is_torchvisions_module_for_module_but_for_its_heads() -> None:
    with torch.device("meta"):
        ours = get_model("vit-b-16").build()
        from torchvision.models import vit_b_16  # after our module, which lets torchvision load

        theirs = vit_b_16(image_size=96, num_classes=7)
    renamed = {n.replace("heads.head.", "heads.fer2013."): t.shape for n, t in theirs.state_dict().items()}
    assert {n: t.shape for n, t in ours.state_dict().items()} == renamed


def test_features_and_head_make_the_forward_pass_of_torchvisions_vit() -> None:
    from ferwatch.models.vit_b_16 import ViT

    torch.manual_seed(0)
    network = ViT(layers=2, width=192, heads=3).eval()
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        ours = network(x)["fer2013"]
        network.heads = network.heads["fer2013"]
        assert torch.allclose(ours, super(ViT, network).forward(x), atol=1e-6)


def test_attention_is_softmax_over_keys() -> None:
    torch.manual_seed(0)
    attention, x = Attention(width=12, heads=3), torch.randn(2, 5, 12)
    queries, keys, values = attention.to_qkv(x).split(12, dim=2)
    heads = []
    for h in range(3):
        q, k, v = (m[:, :, 4 * h : 4 * h + 4] for m in (queries, keys, values))
        weights = torch.zeros(2, 5, 5)
        for query in range(5):
            scores = torch.stack([(q[:, query] * k[:, key]).sum(dim=1) / 2 for key in range(5)], dim=1)
            weights[:, query] = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        assert torch.allclose(weights.sum(dim=2), torch.ones(2, 5))  # each query's weights over the keys
        assert torch.allclose(weights @ v, F.scaled_dot_product_attention(q, k, v), atol=1e-6)
        heads.append(weights @ v)
    assert torch.allclose(attention(x), attention.to_out(torch.cat(heads, dim=2)), atol=1e-5)


def test_a_head_of_the_reports_vit_is_softmax_over_keys() -> None:
    torch.manual_seed(0)
    head, x = Head(32, 8), torch.randn(2, 4, 32)
    q, k, v = x @ head.Q, x @ head.K, x @ head.V
    by_hand = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(8), dim=-1) @ v
    over_queries = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(8), dim=-2) @ v  # the report's appendix
    assert torch.allclose(head(x), by_hand, atol=1e-6)
    assert not torch.allclose(head(x), over_queries, atol=1e-2)


def test_the_reports_patches_are_row_major() -> None:
    """With a picture whose four quarters are 1, 2, 3, 4, the tokens before position are multiples of one vector."""
    network = ReportViT()
    seen = []
    network.transformer_block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.zeros(1, 1, 32, 32)
    for row in range(2):
        for column in range(2):
            x[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 1 + 2 * row + column
    network(x)
    once = network.C.sum(dim=0)
    by_hand = torch.stack([once * n for n in (1, 2, 3, 4)]) + network.pe[0]
    assert torch.allclose(seen[0][0], by_hand, atol=1e-5)


def test_the_small_vits_tokens_are_row_major_places() -> None:
    network = SmallViT().eval()
    with torch.no_grad():
        plain = network.tokens(torch.zeros(1, 1, 48, 48))
        x = torch.zeros(1, 1, 48, 48)
        x[:, :, 15:18, 31:34] = 5.0  # what row 2, column 4 of the 6x6 places looks at, around (16, 32)
        changed = (network.tokens(x) - plain).abs().sum(dim=2)[0]
    assert plain.shape == (1, 36, 192)
    assert int(changed.argmax()) == 2 * 6 + 4


def test_a_class_token_instead_of_pooling() -> None:
    network = SmallViT(pool="class").eval()
    assert network.tokens(torch.zeros(2, 1, 48, 48)).shape == (2, 37, 192)
    assert network(torch.zeros(2, 1, 48, 48))["fer2013"].shape == (2, 7)
    with pytest.raises(ValueError, match="mean"):
        SmallViT(pool="mean")


def test_an_unknown_model_is_answered_with_those_there_are() -> None:
    with pytest.raises(WeightsError, match="'resnet'; the models are cnn, small-vit"):
        get_model("resnet")


def test_listing_the_models_imports_no_torch() -> None:
    code = "import sys, ferwatch.cli.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


@pytest.mark.parametrize(
    ("model", "file", "per_class"),
    [
        ("report-cnn", "conv_weights.pth", [38, 0, 43, 728, 222, 217, 193]),
        ("report-cnn", "conv_weights_aug.pth", [1, 0, 9, 674, 254, 174, 13]),
        ("report-vit", "hand_vit_weights.pth", [53, 0, 135, 560, 60, 61, 52]),
    ],
)
def test_the_reports_checkpoints_give_the_reports_counts(
    public_test: tuple[NDArray[np.uint8], NDArray[np.int64]], model: str, file: str, per_class: list[int]
) -> None:
    if not (SHARED / "report" / file).exists():
        pytest.skip("the report's checkpoints are not here: they lie in ../shared/report")
    images, labels = public_test
    answers = Classifier(load_checkpoint(SHARED / "report" / file, model))(images).argmax(axis=1)
    assert [int(((answers == c) & (labels == c)).sum()) for c in range(7)] == per_class
    assert np.bincount(labels).sum() == 3589


@pytest.mark.parametrize("name", ["cnn", "small-vit"])
def test_each_head_reads_the_same_features(name: str) -> None:
    network = get_model(name).build(head_names=["crowd", "fer2013"]).eval()
    x = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        logits, features = network(x), network.forward_features(x)
        assert list(logits) == ["fer2013", "crowd"]
        for head, values in logits.items():
            torch.testing.assert_close(values, network.heads[head](features))
    assert not torch.equal(logits["fer2013"], logits["crowd"])
    with pytest.raises(ValueError, match="heads are some of fer2013, crowd"):
        get_model(name).build(head_names=["valence"])


def test_a_head_is_added_beside_those_there_are() -> None:
    network = get_model("cnn").build()
    before = network.heads["fer2013"].weight.clone()
    add_heads(network, ["fer2013", "crowd"])
    assert head_names(network) == ["fer2013", "crowd"]
    assert torch.equal(network.heads["fer2013"].weight, before)
    with pytest.raises(ValueError, match="ReportCNN has one head"):
        add_heads(get_model("report-cnn").build(), ["crowd"])


def test_a_network_of_ones_own_becomes_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MODELS", dict(MODELS))
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "from ferwatch.models.registry import InputSpec\n"
        "class Tiny(nn.Module):\n"
        "    'A linear map.'\n"
        "    input_spec = InputSpec(8)\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.map = nn.Linear(64, 7)\n"
        "    def forward(self, x):\n"
        "        return self.map(x.flatten(1))\n"
    )
    source = f"{tmp_path / 'mine.py'}:Tiny"
    assert register_network(source) == register_network(source) == "Tiny"
    model = get_model("Tiny")
    assert (model.input.size, model.about) == (8, "A linear map.")
    checkpoint = Checkpoint("Tiny", model.build().eval(), model.input, source=source)
    file = save_checkpoint(checkpoint, tmp_path / "tiny.safetensors")[0]
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    ours = load_classifier(network=source, weights=file, device="cpu")
    assert ours.labels == "fer2013"
    np.testing.assert_array_equal(ours(faces), Classifier(checkpoint)(faces))
    with pytest.raises(WeightsError, match=r"name its network with --network .*mine\.py:Tiny"):
        load_checkpoint(file, "cnn")
    for wrong, told in (
        ("mine.py", "like file.py:Class"),
        (f"{tmp_path / 'none.py'}:None_", "no such file"),
        (f"{tmp_path / 'mine.py'}:Other", "has no class Other"),
        (f"{tmp_path / 'other.py'}:Tiny", "another model of the name Tiny"),
    ):
        with pytest.raises(WeightsError, match=told):
            register_network(wrong)
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(WeightsError, match="ZeroDivisionError"):
        register_network(f"{tmp_path / 'broken.py'}:Net")
