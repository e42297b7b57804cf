"""What each choice is worth: small trainings on FER2013 that differ in one thing.

    python benchmarks/ablations.py flips --data fer2013.csv
    python benchmarks/ablations.py targets --data fer2013.csv --ferplus fer2013new.csv --clip interview.mp4
    python benchmarks/ablations.py all --data fer2013.csv --ferplus fer2013new.csv --json ablations.json

Every training is from nothing, with one seed, and small enough for a CPU; differences below a point are noise. Accuracy
is on PublicTest, one view, after the last epoch.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ferwatch.evaluation.evaluate import evaluate
from ferwatch.evaluation.fer2013 import FerSplit, load
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.tracker import FaceTracker
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.models.registry import get_model
from ferwatch.pipeline.segment import track
from ferwatch.records import EMOTIONS, FrameResult
from ferwatch.training.curves import Epoch
from ferwatch.training.recipe import Recipe, read_recipe, shipped_recipe
from ferwatch.training.trainer import predict, train
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling

THE_REPORTS = Recipe(
    "report-cnn",
    epochs=10,
    batch_size=32,
    optimizer="adam",
    learning_rate=1e-4,
    schedule="constant",
    weight_decay=0.0,
    label_smoothing=0.0,
    augment=0.0,
    mirror=False,
    erase=0.0,
    ema=0.0,
    clean=False,
)
"""Training as the report did it."""

SMALL = Recipe("cnn", epochs=8, learning_rate=0.1, label_smoothing=0.05, augment=0.4, erase=0.0, ema=0.99)
SMALL_CNN = replace(SMALL, config={"widths": [24, 48, 96], "blocks": 1})
SMALL_VIT = replace(SMALL, model="small-vit", optimizer="adamw", learning_rate=1e-3, weight_decay=0.05)


class Bench:
    """The data, and one training after the other."""

    def __init__(self, data: Path, ferplus: Path | None, clips: list[Path], epochs: int | None) -> None:
        self.train, self.test = load(data, "train", ferplus), load(data, "public_test", ferplus)
        self.clips = clips
        self.epochs = epochs
        self.rows: list[dict[str, object]] = []

    def run(
        self,
        label: str,
        recipe: Recipe,
        train_faces: FerSplit | None = None,
        test: FerSplit | None = None,
        network: nn.Module | None = None,
    ) -> nn.Module:
        """Trains, prints one line, and returns the network."""
        recipe = replace(recipe, epochs=self.epochs or recipe.epochs)
        steps: list[float] = []
        test = test or self.test
        with tempfile.TemporaryDirectory() as folder:
            trained, curve = train(
                recipe,
                train_faces or self.train,
                test,
                Path(folder),
                network=network,
                on_step=lambda _step, _steps, loss: steps.append(loss),
            )
        self.tell(label, accuracy(trained, recipe.model, test), trained, steps[0], curve)
        return trained

    def tell(self, label: str, right: float, network: nn.Module, first_loss: float, curve: list[Epoch]) -> None:
        row = {
            "what": label,
            "accuracy": right,
            "parameters": sum(p.numel() for p in network.parameters()),
            "first_loss": first_loss,
            "by_epoch": [epoch.public_test_accuracy for epoch in curve],
            "seconds": sum(epoch.seconds for epoch in curve),
        }
        self.rows.append(row)
        by_epoch = " ".join(f"{100 * a:.0f}" for a in row["by_epoch"])
        print(
            f"{label:44} {right:6.1%}  {row['parameters']:>9,} parameters  first loss {first_loss:5.2f}  "
            f"{row['seconds']:4.0f} s  by epoch: {by_epoch}",
            flush=True,
        )


def accuracy(
    network: nn.Module,
    model: str,
    faces: FerSplit,
    flip: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = lambda x: x,
) -> float:
    answers = predict(network, get_model(model).input, flip(faces.images))["fer2013"].argmax(dim=1).numpy()
    return float((answers == faces.labels).mean())


def flips(bench: Bench) -> None:
    """The report's augmentation: mirror images and faces upside down, also at test time."""

    def left_on(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        chosen = np.random.default_rng(0).random((2, len(images), 1, 1)) < 0.5
        images = np.where(chosen[0], images[:, :, ::-1], images)
        return np.where(chosen[1], images[:, ::-1], images)

    bench.run("no augmentation", THE_REPORTS)
    bench.run("mirror images", replace(THE_REPORTS, mirror=True))
    both = bench.run("mirror images and upside down", replace(THE_REPORTS, mirror=True, vertical_flips=True))
    print(f"{'  the same, flips left on at test time':44} {accuracy(both, 'report-cnn', bench.test, left_on):6.1%}")


def head(bench: Bench) -> None:
    """The report's ViT with its head as it was meant, and as it was: sqrt(128) for 1 / sqrt(128)."""
    recipe = replace(THE_REPORTS, model="report-vit")
    bench.run("head drawn with 1 / sqrt(128)", recipe)
    torch.manual_seed(0)
    network = get_model("report-vit").build()
    network.mlp_head.data = torch.randn(128, 7) * 128**0.5
    bench.run("head drawn with sqrt(128), as in the report", recipe, network=network)


def recipe(bench: Bench) -> None:
    """The report's two networks with the report's training and with ours, epoch for epoch."""
    for model in ("report-cnn", "report-vit"):
        ours = read_recipe(shipped_recipe(model))
        bench.run(f"{model}, the report's training", replace(THE_REPORTS, model=model, epochs=ours.epochs))
        bench.run(f"{model}, ours", ours)


def pixels(bench: Bench) -> None:
    """Faces of 32 pixels, enlarged again so that the network and its cost stay the same, against 48."""

    def coarse(faces: FerSplit) -> FerSplit:
        small = (cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA) for image in faces.images)
        return replace(faces, images=np.stack([cv2.resize(s, (48, 48), interpolation=cv2.INTER_LINEAR) for s in small]))

    bench.run("32 pixels", SMALL_CNN, coarse(bench.train), coarse(bench.test))
    bench.run("48 pixels", SMALL_CNN)


def squeezed(bench: Bench) -> None:
    """The report's input at test time: the whole picture squeezed into the network, against the face cut out of it."""
    network = bench.run("the faces themselves", SMALL_CNN)
    rng = np.random.default_rng(0)
    for share in (1.5, 2, 3):
        side = round(48 * share)
        pictures = np.full((len(bench.test), side, side), 128, np.uint8)
        for picture, face in zip(pictures, bench.test.images, strict=True):
            x, y = rng.integers(0, side - 47, 2)
            picture[y : y + 48, x : x + 48] = face
        whole = np.stack([cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA) for picture in pictures])
        right = accuracy(network, "cnn", replace(bench.test, images=whole))
        print(f"{f'  squeezed, a face 1/{share} of the side of its picture':44} {right:6.1%}")


def size(bench: Bench) -> None:
    """Parameters against accuracy."""
    for widths in ([8, 16, 32], [16, 32, 64], [32, 64, 128], [64, 128, 256]):
        bench.run(f"cnn, widths {widths}", replace(SMALL, config={"widths": widths, "blocks": 1}))


def networks(bench: Bench) -> None:
    """How fast a CNN and a ViT of like size learn from the same faces, and a class token against pooling."""
    bench.run("cnn", replace(SMALL_CNN, epochs=12))
    for pool in ("attention", "class"):
        config = {"width": 96, "depth": 3, "heads": 3, "pool": pool}
        bench.run(f"small-vit, pool = {pool}", replace(SMALL_VIT, config=config, epochs=12))


def targets(bench: Bench) -> None:
    """What is learnt: FER2013's labels, FER+'s votes, or both by halves."""
    fear, sad = EMOTIONS.index("fear"), EMOTIONS.index("sad")
    for label, share in (("labels", 0.0), ("labels and votes by halves", 0.5), ("votes", 1.0)):
        network = bench.run(label, replace(SMALL_CNN, vote_targets=share))
        classifier = Classifier(Checkpoint("cnn", network, get_model("cnn").input))
        result = evaluate(classifier, bench.test, None)
        crowd = result.heads["fer2013"].crowd
        assert crowd is not None
        taken = np.array(result.whole.confusion) / np.sum(result.whole.confusion, axis=1, keepdims=True)
        print(
            f"  macro-F1 {result.whole.macro_f1:.3f}; agrees with the crowd on {crowd.agreement:.1%}; "
            f"fear found {taken[fear, fear]:.0%}, taken for sad {taken[fear, sad]:.0%}; "
            f"sad found {taken[sad, sad]:.0%}, taken for fear {taken[sad, fear]:.0%}"
        )
        for clip in bench.clips:
            shown = Counter(face.emotion for frame in answers(clip, classifier) for face in frame.faces)
            print(f"  {clip.name}: {', '.join(f'{n / shown.total():.0%} {e}' for e, n in shown.most_common())}")


def answers(clip: Path, classifier: Classifier) -> list[FrameResult]:
    """What a classifier says of every tenth of a second of a video."""
    with VideoReader(clip, Sampling(fps=10)) as reader, MediaPipeDetector() as detector:
        return list(track(reader, detector, FaceTracker(), classifier))


ABLATIONS = {f.__name__: f for f in (flips, head, recipe, pixels, squeezed, size, networks, targets)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[*ABLATIONS, "all"])
    parser.add_argument("--data", type=Path, required=True, help="fer2013.csv or its folders")
    parser.add_argument("--ferplus", type=Path, help="fer2013new.csv, for `targets`")
    parser.add_argument("--clip", type=Path, action="append", default=[], help="a video to try them on, for `targets`")
    parser.add_argument("--epochs", type=int, help="instead of each ablation's own number")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.name in ("targets", "all") and args.ferplus is None:
        parser.error("`targets` wants --ferplus")
    bench = Bench(args.data, args.ferplus, args.clip, args.epochs)
    for name in ABLATIONS if args.name == "all" else [args.name]:
        print(f"\n{name}: {ABLATIONS[name].__doc__}")
        ABLATIONS[name](bench)
    if args.json:
        args.json.write_text(json.dumps(bench.rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
