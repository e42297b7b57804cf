"""Recipes: all that a training run depends on beside its data, as a TOML file."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from ferwatch.errors import DataError
from ferwatch.records import EMOTIONS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


TYPES: dict[str, Any] = {
    "int": int,
    "float": (int, float),
    "str": str,
    "bool": bool,
    "dict[str, Any]": dict,
    "list[str]": list,
}
CHOICES = {"optimizer": ("sgd", "adam", "adamw"), "schedule": ("one-cycle", "constant")}
HEADS = ("fer2013", "crowd")
KEYS = {"prior_correction": HEADS, "vector_scaling": HEADS, "video_offsets": EMOTIONS}
"""Setting -> the keys that it may have, each with a number."""


@dataclass(frozen=True)
class Recipe:
    """Settings by which one checkpoint is trained."""

    model: str
    config: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments with which the network is built."""
    epochs: int = 30
    batch_size: int = 128
    optimizer: str = "sgd"
    """"sgd" has Nesterov's momentum of 0.9."""
    learning_rate: float = 0.1
    """At its peak; a one-cycle schedule rises to it over `warmup` of the steps and falls to 0 by a cosine."""
    schedule: str = "one-cycle"
    warmup: float = 0.1
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    reframed: float = 0.0
    """Share of the views that show the face not as FER2013 frames it but as the detector does, as in a video."""
    side: int = 48
    """Side of the training window in pixels of the 48x48 face; the window moves within it."""
    augment: float = 1.0
    """Strength of the augmentation, mirror images included; 0: none of it."""
    mirror: bool = True
    """Mirror half of the images where `augment` is 0."""
    vertical_flips: bool = False
    """The report's mistake, for its ablation."""
    erase: float = 0.25
    """Share of the images with a rectangle erased."""
    mixup: float = 0.0
    """Alpha of mixup's Beta distribution; 0: none."""
    clean: bool = True
    """Leave out blank images, second copies and contradicting copies."""
    vote_targets: float = 0.0
    """Share of the FER+ votes for the seven emotions in what is to be learnt, against FER2013's label; 1: the votes
    alone (Barsoum et al. 2016, https://arxiv.org/abs/1608.01041)."""
    votes: float = 0.0
    """Weight of the loss of the `crowd` head, which predicts how FER+'s voters shared out their votes; 0: the network
    has no such head."""
    teachers: list[str] = field(default_factory=list)
    """Who teaches, where no other teachers are given: what comes of these recipes of the same folder, which are trained
    first unless this one starts from them anyway, or the shipped weights of these models; without any, the network
    that it starts from (Furlanello et al. 2018, https://arxiv.org/abs/1805.04770)."""
    distill: float = 0.0
    """Weight of the teachers' softened answers against the labels."""
    distill_temperature: float = 2.0
    distill_votes: float = 0.0
    """Weight of the answers of the teachers' `crowd` heads against the votes; not softened, since votes are soft."""
    match: float = 0.0
    """Weight of the loss that draws the last layer's features of each place to the first teacher's."""
    distill_views: int = 0
    """The teachers are asked once about this many views of each face, which are kept in memory (20 KB a face and view
    with `match`); 0: about every new view, which is slow."""
    distill_mean: int = 0
    """The teachers' mean answer to this many views of a face, asked once, goes for every view of it; 0: an answer for
    each."""
    balance: float = 0.0
    """Logit adjustment (Menon et al. 2021, https://arxiv.org/abs/2007.07314) by this power of the class frequencies."""
    ema: float = 0.998
    """Decay of the exponential moving average of the weights, which is what is kept; 0: the plain weights."""
    keep_start: float = 0.0
    """Share of the weights that the training started from in those that are kept, the rest being what it led to
    (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903)."""
    starts_from: str = ""
    """A recipe in the same folder whose trained network starts this training."""
    frozen: list[str] = field(default_factory=list)
    """Modules of the network, by name, that stay as they are, batch statistics included: ["stem", "stages.0"]."""
    feature_views: int = 0
    """Only the heads learn, from the features of this many views of each face, which are computed once; 0: the whole
    network learns."""
    blocks_from: str = ""
    """"small-vit": a vit-b-16 starts as the shipped one, written out so that it gives the same answers."""
    prior_correction: dict[str, Any] = field(default_factory=dict)
    """head: the part of the logarithm of each emotion's share in training that is taken off the head's logits once it
    is trained, so that rare emotions are answered more often; below 0: less often. It changes nothing in training."""
    vector_scaling: dict[str, Any] = field(default_factory=dict)
    """head: calibrate it by a scale and an offset for each emotion (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599), fitted on PublicTest; the number is the power to which an emotion weighs more the
    rarer it is. A head that is not named gets its prior correction and one temperature. It changes nothing in
    training."""
    crowd_weight: float = 1.0
    """Share of the crowd head's probabilities in what a video uses, the rest being the fer2013 head's; 0 to 1."""
    video_offsets: dict[str, Any] = field(default_factory=dict)
    """emotion: what is added to the logarithm of its probability in a video, before the temperature of a mean of both
    heads, where its share of the faces is not that of PublicTest; below 0: it is answered less often. It changes
    nothing in training."""
    compile: bool = False
    seed: int = 0

    @property
    def head_names(self) -> list[str]:
        """The heads of the network that this recipe trains."""
        return list(HEADS) if self.votes > 0 else ["fer2013"]

    @property
    def network_config(self) -> dict[str, Any]:
        """The arguments that the network is built with: `config`, and the heads where there is more than the first."""
        return self.config | ({"head_names": self.head_names} if self.votes > 0 else {})

    def trains_like(self, other: Recipe) -> bool:
        """Whether both give the same network: they may differ in what is done with it once it is trained."""
        afterwards: dict[str, Any] = {
            "prior_correction": {},
            "vector_scaling": {},
            "crowd_weight": 1.0,
            "video_offsets": {},
        }
        return replace(self, **afterwards) == replace(other, **afterwards)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe; raises DataError that names the file and the key that is wrong."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no TOML file: {error}") from None
    known = {f.name for f in fields(Recipe)}
    unknown = sorted(set(values) - known)
    if unknown or "model" not in values:
        wrong = f"{', '.join(unknown)} is no setting" if unknown else "it names no model"
        raise DataError(f"{path}: {wrong}; a recipe has {', '.join(sorted(known))}")
    for f in fields(Recipe):
        value = values.get(f.name)
        if value is None:
            continue
        if not isinstance(value, TYPES[str(f.type)]):
            raise DataError(f"{path}: {f.name} is {value!r}, which is no {f.type}")
        if f.name in CHOICES and value not in CHOICES[f.name]:
            raise DataError(f"{path}: {f.name} is {value!r}, not one of {', '.join(CHOICES[f.name])}")
        keys = KEYS.get(f.name)
        if keys and not all(key in keys and isinstance(number, int | float) for key, number in value.items()):
            raise DataError(f"{path}: {f.name} is {value!r}; it may have numbers for {', '.join(keys)}")
    return Recipe(**values)


def shipped_recipe(name: str) -> Path:
    """A recipe of the package; that of the name of a model made the model's shipped checkpoint."""
    return Path(str(files("ferwatch.training") / "recipes" / f"{name}.toml"))


def as_toml(recipe: Recipe) -> str:
    """The settings that differ from the defaults."""
    plain = Recipe(recipe.model).as_dict()
    chosen = {key: value for key, value in recipe.as_dict().items() if key == "model" or value != plain[key]}
    return "\n".join(f"{key} = {_toml(value)}" for key, value in chosen.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(v)}" for key, v in value.items()) + " }"
    return json.dumps(value)
