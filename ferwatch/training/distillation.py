"""What teachers say of faces, for a network that learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ferwatch.models.preprocess import prepare
from ferwatch.models.registry import Input
from ferwatch.training.augment import mix, view
from ferwatch.training.recipe import Recipe

Teacher = tuple[nn.Module, Input]


@dataclass(frozen=True)
class Guidance:
    """The teachers' word on N faces."""

    answers: Tensor
    """(N, 7): their mean softened answer (Hinton et al. 2015, https://arxiv.org/abs/1503.02531)."""
    places: Tensor | None
    """(N, places, width): what the first teacher's last layer says of each place, whitened place by place
    (Wei et al. 2022, https://arxiv.org/abs/2205.14141)."""

    def part(self, rows: slice) -> Guidance:
        """That on some of the faces."""
        return Guidance(self.answers[rows], None if self.places is None else self.places[rows])

    def mixed(self, share: Tensor, other: Tensor) -> Guidance:
        """That of faces mixed by mixup."""
        return Guidance(
            mix(self.answers, share, other), None if self.places is None else mix(self.places, share, other)
        )


@torch.no_grad()
def ask(teachers: Sequence[Teacher], faces: Tensor, recipe: Recipe) -> Guidance:
    """Asks the teachers about (N, side, side) faces, 0 to 255."""
    answers, places = [], None
    for i, (teacher, to) in enumerate(teachers):
        x = prepare(faces, to).contiguous(memory_format=torch.channels_last)
        teacher.eval()
        if i == 0 and recipe.match > 0:
            seen = teacher.places(x)  # type: ignore[operator]
            places = F.layer_norm(seen.float(), seen.shape[-1:])
            logits = teacher.answer(teacher.pool(seen))  # type: ignore[operator]
        else:
            logits = teacher(x)
        answers.append((logits.float() / recipe.distill_temperature).softmax(dim=1))
    return Guidance(torch.stack(answers).mean(dim=0), places)


def mean_answers(teachers: Sequence[Teacher], images: Tensor, recipe: Recipe, device: str) -> Tensor:
    """(N, 7): the teachers' mean answer to the recipe's number of views of each of (N, 48, 48) uint8 images."""
    generator = torch.Generator(device).manual_seed(recipe.seed)
    seen = (
        torch.stack([ask(teachers, view(faces, recipe, generator), recipe).answers for _ in range(recipe.distill_mean)])
        for faces in images.to(device).split(256)
    )
    return torch.cat([answers.mean(dim=0) for answers in seen])


@dataclass(frozen=True)
class Lessons:
    """Views of N faces made once, with the guidance on each: asking about every new view would slow each step."""

    faces: Tensor
    """(views, N, side, side) uint8."""
    answers: Tensor
    places: Tensor | None

    @staticmethod
    def prepare(teachers: Sequence[Teacher], images: Tensor, recipe: Recipe, device: str) -> Lessons:
        """Makes the recipe's number of views of (N, 48, 48) uint8 images; the same ones for the same seed."""
        generator = torch.Generator(device).manual_seed(recipe.seed)
        faces, answers, places = [], [], []
        for _ in range(recipe.distill_views):
            for batch in images.split(256):
                seen = view(batch.to(device), recipe, generator).round()
                told = ask(teachers, seen, recipe)
                faces.append(seen.byte().cpu())
                answers.append(told.answers.cpu())
                if told.places is not None:
                    places.append(told.places.bfloat16().cpu())

        def by_view(batches: list[Tensor]) -> Tensor:
            return torch.cat(batches).unflatten(0, (recipe.distill_views, len(images)))

        return Lessons(by_view(faces), by_view(answers), by_view(places) if places else None)

    def pick(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Guidance]:
        """One view each of the faces of these rows, as floats, and the guidance on it."""
        device = generator.device
        which = torch.randint(len(self.faces), (len(rows),), generator=generator, device=device).cpu()
        places = None if self.places is None else self.places[which, rows].to(device).float()
        told = Guidance(self.answers[which, rows].to(device), places)
        return self.faces[which, rows].to(device).float(), told
