import pytest
import torch

from ferwatch.models.preprocess import preprocess
from ferwatch.models.registry import InputSpec
from ferwatch.models.small_vit import SmallViT
from ferwatch.models.vit_b_16 import ViT
from ferwatch.training.net2net import from_small_vit, grow, narrow


@pytest.fixture(scope="module")
def small() -> ViT:
    """Two layers of ViT-Ti with every weight away from its start, norms and biases too."""
    torch.manual_seed(0)
    network = ViT(layers=2, width=192, heads=3).eval()
    for weight in network.parameters():
        weight.data.add_(torch.randn_like(weight) * 0.1)
    return network


def test_growth_keeps_the_function(small: ViT) -> None:
    x = torch.randn(4, 3, 96, 96)
    with torch.no_grad():
        before, after = small(x)["fer2013"], grow(small).eval()(x)["fer2013"]
    assert before.std() > 0.1
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_a_grown_network_is_torchvisions(small: ViT) -> None:
    from torchvision.models import vit_b_16  # after ViT's module, which lets it load

    reference = vit_b_16(image_size=96, num_classes=7).state_dict()
    grown = {name.replace("heads.fer2013.", "heads.head."): t for name, t in grow(small).state_dict().items()}
    assert all(tensor.shape == reference[name].shape for name, tensor in grown.items())
    assert sum(p.numel() for p in ViT().parameters()) == sum(t.numel() for t in reference.values())


def test_what_has_grown_can_be_narrowed_again(small: ViT) -> None:
    back = narrow(grow(small), 192)
    for name, tensor in small.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


def test_copies_learn_different_things(small: ViT) -> None:
    large = grow(small).train()
    torch.nn.functional.cross_entropy(large(torch.randn(4, 3, 96, 96))["fer2013"], torch.arange(4)).backward()
    gradient = large.encoder.layers[0].mlp[0].weight.grad
    one, another = gradient[:768], gradient[768:1536]
    assert (one - another).norm() > 0.1 * one.norm()


def test_a_vit_goes_on_from_a_small_vits_blocks() -> None:
    """But for the patches' embedding it computes what the small one does."""
    torch.manual_seed(0)
    student = SmallViT(pool="class").eval()
    for weight in student.parameters():
        weight.data.add_(torch.randn_like(weight) * 0.05)
    faces = torch.randint(0, 256, (40, 8, 8)).float()
    faces = torch.nn.functional.interpolate(faces[:, None], size=(48, 48), mode="bicubic")[:, 0].clamp(0, 255)
    vit = from_small_vit(student, faces).eval()
    small, large = preprocess(faces, InputSpec(48)), preprocess(faces, InputSpec(96, channels=3))
    with torch.no_grad():
        tokens = student.stem(small).flatten(2).transpose(1, 2)
        fitted = vit.conv_proj(large).flatten(2).transpose(1, 2)
        vit._process_input = lambda _: tokens  # type: ignore[method-assign]
        torch.testing.assert_close(vit(large)["fer2013"], student(small)["fer2013"], rtol=1e-3, atol=1e-3)
    # The embedding is linear and the stem is not: it explains a part.
    assert (fitted - tokens).var() < 0.9 * tokens.var(dim=(0, 1)).mean()
    with pytest.raises(ValueError, match="pools its tokens"):
        from_small_vit(SmallViT(), faces)
