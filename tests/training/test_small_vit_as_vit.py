from pathlib import Path

import numpy as np
import pytest
import torch
from training_faces import some_faces, with_votes_for_the_next

from ferwatch.models.checkpoint import load_checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.models.preprocess import preprocess
from ferwatch.models.pretrained import shipped_weights
from ferwatch.models.registry import InputSpec
from ferwatch.models.small_vit import SmallViT
from ferwatch.models.vit_b_16 import ViT
from ferwatch.training.recipe import read_recipe, shipped_recipe
from ferwatch.training.small_vit_as_vit import small_vit_as_vit
from ferwatch.training.stages import train_stages


def smooth_faces(n: int) -> torch.Tensor:
    """(n, 48, 48) gray, 0 to 255: random shades without detail, which enlarging would soften."""
    shades = torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(0)) * 255
    return torch.nn.functional.interpolate(shades, size=(48, 48), mode="bicubic", align_corners=False)[:, 0].clamp(
        0, 255
    )


@pytest.fixture(scope="module")
def small() -> SmallViT:
    """A SmallViT with every weight away from its start, norms and biases too."""
    torch.manual_seed(0)
    network = SmallViT(pool="class", head_names=("fer2013", "crowd")).eval()
    for name, weight in network.named_parameters():
        weight.data.add_(torch.randn_like(weight) * (0.1 if "heads" in name else 0.03))
    network.stem[1].running_mean.normal_(std=0.1)  # type: ignore[union-attr,operator]
    network.stem[4].running_var.uniform_(0.5, 2)  # type: ignore[union-attr,operator]
    return network


@pytest.fixture(scope="module")
def large(small: SmallViT) -> ViT:
    return small_vit_as_vit(small)


def test_the_vit_gives_the_small_ones_answers(small: SmallViT, large: ViT) -> None:
    faces = smooth_faces(8)
    with torch.no_grad():
        wanted = small(preprocess(faces, InputSpec(48)))
        answers = large(preprocess(faces, InputSpec(96, channels=3)))
    for head, logits in wanted.items():
        assert logits.std() > 0.3
        assert (answers[head] - logits).abs().max() < 0.1 * logits.std()


def test_every_place_of_the_face_is_seen_where_it_is(small: SmallViT, large: ViT) -> None:
    """The ViT's third layer gives each token what the small one's stem gives it, at the edges of the face too."""
    faces = smooth_faces(4)
    with torch.no_grad():
        wanted = small.tokens(preprocess(faces, InputSpec(48)))
        patches = large._process_input(preprocess(faces, InputSpec(96, channels=3)))
        tokens = torch.cat([large.class_token.expand(len(faces), -1, -1), patches], dim=1) + large.encoder.pos_embedding
        for layer in large.encoder.layers[:3]:
            tokens = layer(tokens)
    for copy in tokens.chunk(4, dim=-1):
        worst = (copy - wanted).abs().amax(dim=(0, 2))
        assert worst.max() < 0.25 * wanted.std(), worst


def test_the_network_is_torchvisions(large: ViT) -> None:
    from torchvision.models import vit_b_16  # after ViT's module, which lets it load

    reference = vit_b_16(image_size=96, num_classes=7).state_dict()
    shapes = {name: tensor.shape for name, tensor in large.state_dict().items() if not name.startswith("heads.")}
    assert shapes == {name: tensor.shape for name, tensor in reference.items() if not name.startswith("heads.")}


def test_a_small_vit_without_a_class_token_is_refused() -> None:
    with pytest.raises(ValueError, match="pools its tokens"):
        small_vit_as_vit(SmallViT())


def test_one_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="width 96"):
        small_vit_as_vit(SmallViT(width=96, pool="class"))


def test_the_shipped_vit_b_16_is_the_shipped_small_vit_written_out(tmp_path: Path) -> None:
    recipe_file = shipped_recipe("vit-b-16")
    faces = with_votes_for_the_next(some_faces(140))
    made = train_stages(read_recipe(recipe_file), recipe_file.parent, faces, faces, tmp_path).network
    shipped = load_checkpoint(shipped_weights("vit-b-16"), "vit-b-16")
    rows, wanted = (
        network.state_dict()["encoder.layers.encoder_layer_8.mlp.0.weight"] for network in (shipped.network, made)
    )
    assert (rows - wanted).abs().max() <= wanted.abs().max() / 250  # stored at 8 bits
    crops = smooth_faces(8).byte().numpy()
    small = Classifier(load_checkpoint(shipped_weights("small-vit"), "small-vit"))
    assert np.abs(Classifier(shipped)(crops) - small(crops)).max() < 0.15
