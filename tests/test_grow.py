import pytest
import torch

from ferwatch.models.vit_b_16 import ViT
from ferwatch.training.grow import grow


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
        before, after = small(x), grow(small).eval()(x)
    assert before.std() > 0.1
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_a_grown_network_is_torchvisions(small: ViT) -> None:
    from torchvision.models import vit_b_16  # after ViT's module, which lets it load

    reference = vit_b_16(image_size=96, num_classes=7).state_dict()
    grown = grow(small).state_dict()
    assert all(tensor.shape == reference[name].shape for name, tensor in grown.items())
    assert sum(p.numel() for p in ViT().parameters()) == sum(t.numel() for t in reference.values())


def test_copies_learn_different_things(small: ViT) -> None:
    large = grow(small).train()
    torch.nn.functional.cross_entropy(large(torch.randn(4, 3, 96, 96)), torch.arange(4)).backward()
    gradient = large.encoder.layers[0].mlp[0].weight.grad
    one, another = gradient[:768], gradient[768:1536]
    assert (one - another).norm() > 0.1 * one.norm()
