"""Targets for distillation: the answers of teacher networks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ferwatch.models.cnn import CNN
from ferwatch.models.heads import head_logits
from ferwatch.models.preprocess import preprocess
from ferwatch.models.registry import InputSpec
from ferwatch.training.augment import mix, view
from ferwatch.training.recipe import Recipe

Teacher = tuple[nn.Module, InputSpec]


@dataclass(frozen=True)
class TeacherTargets:
    """The teachers' answers about N faces."""

    answers: dict[str, Tensor]
    """head: (N, 7), the mean answer of those teachers that have this head. The fer2013 head's is softened by the
    recipe's temperature (Hinton et al. 2015, https://arxiv.org/abs/1503.02531)."""
    tokens: Tensor | None
    """(N, tokens, width): the first teacher's last layer at each place, whitened place by place
    (Wei et al. 2022, https://arxiv.org/abs/2205.14141)."""

    def part(self, rows: slice | Tensor) -> TeacherTargets:
        """The answers about some of the faces."""
        return TeacherTargets(
            {name: answers[rows] for name, answers in self.answers.items()},
            None if self.tokens is None else self.tokens[rows],
        )

    def mixed(self, share: Tensor, other: Tensor) -> TeacherTargets:
        """The answers about faces mixed by mixup."""
        return TeacherTargets(
            {name: mix(answers, share, other) for name, answers in self.answers.items()},
            None if self.tokens is None else mix(self.tokens, share, other),
        )


@torch.no_grad()
def query_teachers(teachers: Sequence[Teacher], faces: Tensor, recipe: Recipe) -> TeacherTargets:
    """Asks the teachers about (N, side, side) faces, 0 to 255."""
    answers: dict[str, list[Tensor]] = defaultdict(list)
    tokens = None
    for i, (teacher, to) in enumerate(teachers):
        if isinstance(teacher, CNN):  # it takes any side, and sees a smaller window as it is, not enlarged
            to = replace(to, size=faces.shape[-1])
        x = preprocess(faces, to).contiguous(memory_format=torch.channels_last)
        teacher.eval()
        if i == 0 and recipe.match > 0:
            seen = teacher.forward_tokens(x)  # type: ignore[operator]
            tokens = F.layer_norm(seen.float(), seen.shape[-1:])
            logits = teacher.forward_head(teacher.pool(seen))  # type: ignore[operator]
        else:
            logits = head_logits(teacher, x)
        for name, values in logits.items():
            temperature = recipe.distill_temperature if name == "fer2013" else 1.0
            answers[name].append((values.float() / temperature).softmax(dim=1))
    return TeacherTargets({name: torch.stack(all_of).mean(dim=0) for name, all_of in answers.items()}, tokens)


def mean_answers(teachers: Sequence[Teacher], images: Tensor, recipe: Recipe, device: str) -> dict[str, Tensor]:
    """head: (N, 7), the teachers' mean answer to the recipe's number of views of each of (N, 48, 48) uint8 images."""
    generator = torch.Generator(device).manual_seed(recipe.seed)
    means: dict[str, list[Tensor]] = defaultdict(list)
    for faces in images.to(device).split(256):
        views = [
            query_teachers(teachers, view(faces, recipe, generator), recipe).answers for _ in range(recipe.distill_mean)
        ]
        for name in views[0]:
            means[name].append(torch.stack([answers[name] for answers in views]).mean(dim=0))
    return {name: torch.cat(batches) for name, batches in means.items()}


@dataclass(frozen=True)
class CachedTargets:
    """Views of N faces made once, with the teachers' answers to each: asking about every new view is slow."""

    faces: Tensor
    """(views, N, side, side) uint8."""
    answers: dict[str, Tensor]
    """head: (views, N, 7)."""
    tokens: Tensor | None
    """(views, N, tokens, width)."""

    @staticmethod
    def prepare(teachers: Sequence[Teacher], images: Tensor, recipe: Recipe, device: str) -> CachedTargets:
        """Makes the recipe's number of views of (N, 48, 48) uint8 images; the same ones for the same seed."""
        generator = torch.Generator(device).manual_seed(recipe.seed)
        faces: list[Tensor] = []
        answers: dict[str, list[Tensor]] = defaultdict(list)
        tokens: list[Tensor] = []
        for _ in range(recipe.distill_views):
            for batch in images.split(256):
                seen = view(batch.to(device), recipe, generator).round()
                targets = query_teachers(teachers, seen, recipe)
                faces.append(seen.byte().cpu())
                for name, values in targets.answers.items():
                    answers[name].append(values.cpu())
                if targets.tokens is not None:
                    tokens.append(targets.tokens.bfloat16().cpu())

        def by_view(batches: list[Tensor]) -> Tensor:
            return torch.cat(batches).unflatten(0, (recipe.distill_views, len(images)))

        return CachedTargets(
            by_view(faces),
            {name: by_view(batches) for name, batches in answers.items()},
            by_view(tokens) if tokens else None,
        )

    def pick(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, TeacherTargets]:
        """One view each of the faces of these rows, as floats, and the teachers' answers to it."""
        device = generator.device
        which = torch.randint(len(self.faces), (len(rows),), generator=generator, device=device).cpu()
        targets = TeacherTargets(
            {name: answers[which, rows].to(device) for name, answers in self.answers.items()},
            None if self.tokens is None else self.tokens[which, rows].to(device).float(),
        )
        return self.faces[which, rows].to(device).float(), targets
