"""Faces a second of each model, beside torchvision's vit_b_16 in eager float32 at 224x224, in one process.

    python benchmarks/classifier.py [--models cnn small-vit vit-b-16] [--threads N] [--data fer2013.csv] [--json FILE]

All of them have the same threads and take turns, several rounds of them; the fastest round of each counts. The
reference sees batches of 8 at 224x224, as issue and papers run it; ours take 48x48 crops, preparation included. Speed
does not depend on the weights' values, so a model without weights is timed with fresh ones (and marked). With --data
each model that has weights is also compared with its own network in plain float32 on PublicTest.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import table
from numpy.typing import NDArray

from ferwatch.errors import WeightsError
from ferwatch.models import torchvision_compat as torchvision_on_cpu  # noqa: F401  (before torchvision)
from ferwatch.models.checkpoint import Checkpoint, load_checkpoint
from ferwatch.models.classifier import BATCH, Classifier
from ferwatch.models.heads import head_logits
from ferwatch.models.preprocess import preprocess
from ferwatch.models.pretrained import shipped_weights
from ferwatch.models.registry import get_model

from torchvision.models import vit_b_16  # isort: skip

REFERENCE_BATCH = 8


def checkpoint(model: str) -> tuple[Checkpoint, bool]:
    """The shipped one, or one with fresh weights; and whether it is the shipped one."""
    try:
        return load_checkpoint(shipped_weights(model), model), True
    except WeightsError:
        return Checkpoint(model, get_model(model).build().eval(), get_model(model).input), False


def reference(threads: int) -> Callable[[], int]:
    network = vit_b_16().eval()
    images = torch.rand(REFERENCE_BATCH, 3, 224, 224)

    def one_pass() -> int:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            network(images)
        torch.set_num_threads(1)  # as ours have it: they run a pass in each thread
        return REFERENCE_BATCH

    return one_pass


def ours(classifier: Classifier) -> Callable[[], int]:
    faces = 4 * BATCH
    crops = np.random.default_rng(0).integers(0, 256, (faces, 48, 48), dtype=np.uint8)

    def one_pass() -> int:
        classifier(crops)
        return faces

    return one_pass


def speed(one_pass: Callable[[], int], seconds: float) -> float:
    """Faces a second over at least so long."""
    faces, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        faces += one_pass()
    return faces / took


@torch.inference_mode()
def plain(checkpoint: Checkpoint, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, 7) probabilities of the fer2013 head of the network as it was trained, in float32."""
    answers = []
    for start in range(0, len(crops), BATCH):
        faces = torch.from_numpy(crops[start : start + BATCH])
        answers.append(head_logits(checkpoint.network, preprocess(faces, checkpoint.input))["fer2013"].double())
    return checkpoint.calibration("fer2013").probabilities(torch.cat(answers).numpy())


def agreement(classifier: Classifier, crops: NDArray[np.uint8]) -> dict[str, float]:
    was, now = plain(classifier.checkpoint, crops), classifier.by_head(crops)["fer2013"]
    apart = np.abs(was - now).max(axis=1)
    return {
        "same_label": round(float((was.argmax(axis=1) == now.argmax(axis=1)).mean()), 5),
        "mean_difference": round(float(apart.mean()), 6),
        "largest_difference": round(float(apart.max()), 6),
        "over_0.001": round(float((apart > 1e-3).mean()), 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["cnn", "small-vit", "vit-b-16"])
    parser.add_argument(
        "--threads", type=int, default=1, help="of torchvision's network; ours work in one (default: 1)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of each model in each round (default: 3)")
    parser.add_argument("--data", type=Path, metavar="CSV", help="fer2013.csv, to measure the agreement with float32")
    parser.add_argument("--faces", type=int, help="of PublicTest, the first so many (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()

    classifiers, shipped = {}, {}
    for model in args.models:
        loaded, shipped[model] = checkpoint(model)
        classifiers[model] = Classifier(loaded)
    passes = {"torchvision vit_b_16, fp32, 224x224, batch 8": reference(args.threads)}
    passes |= {model: ours(classifier) for model, classifier in classifiers.items()}
    best = dict.fromkeys(passes, 0.0)
    for one_pass in passes.values():
        one_pass()
    for _ in range(args.rounds):
        for name, one_pass in passes.items():
            best[name] = max(best[name], speed(one_pass, args.seconds))

    base = next(iter(best.values()))
    crops = None
    if args.data:
        from ferwatch.evaluation.fer2013 import load as load_faces

        crops = load_faces(args.data, "public_test").images[: args.faces]
    cases: list[dict[str, Any]] = []
    for name, faces in best.items():
        case: dict[str, Any] = {"model": name, "faces_a_second": round(faces, 2), "ratio": round(faces / base, 2)}
        if name in classifiers:
            case |= {"type": str(classifiers[name].dtype).removeprefix("torch."), "shipped": shipped[name]}
            if crops is not None and shipped[name]:
                case |= agreement(classifiers[name], crops)
        cases.append(case)
    columns = list(dict.fromkeys(key for case in cases for key in case))
    print(f"{args.threads} threads\n")
    print(table(columns, [[case.get(column, "") for column in columns] for case in cases]))
    if args.json:
        args.json.write_text(json.dumps({"threads": args.threads, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
