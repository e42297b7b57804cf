"""`ferwatch evaluate`: classifiers measured on FER2013, on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from ferwatch.cli.options import FILE


@click.command()
@click.option("--model", "models", multiple=True, help="A model; repeat it to put several side by side.")
@click.option("--network", metavar="file.py:Class", help="A network of your own, with its --weights.")
@click.option("--data", required=True, type=FILE, help="fer2013.csv, or a folder with train/ and public_test/ in it.")
@click.option(
    "--split", type=click.Choice(["train", "public_test", "private_test"]), default="public_test", show_default=True
)
@click.option("--weights", type=FILE, multiple=True, help="Other weights than the shipped ones; one for each --model.")
@click.option(
    "--labels",
    type=click.Choice(["crowd", "fer2013"]),
    default="fer2013",
    show_default=True,
    help="Which answers are compared with FER2013's labels.",
)
@click.option("--tta", is_flag=True, help="Average ten views of each face: five shifts and their mirror images.")
@click.option("--ferplus", type=FILE, help="fer2013new.csv: agreement of each head with the majority of ten voters.")
@click.option("--json", "json_file", type=FILE, help="Write the figures here as well.")
@click.option("--out", type=FILE, metavar="DIR", help="Write confusion matrix and reliability diagram here as PNG.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
def evaluate(
    models: tuple[str, ...],
    network: str | None,
    data: Path,
    split: str,
    weights: tuple[Path, ...],
    labels: str,
    tta: bool,
    ferplus: Path | None,
    json_file: Path | None,
    out: Path | None,
    device: str,
) -> None:
    """Measures models on one split of FER2013: accuracy, macro-F1, loss, calibration, each class, each confusion; for
    the whole split, and without the images of which the training set holds an exact copy. With --ferplus also how far
    each head, and what a video uses, agree with what people see.

    \b
    ferwatch evaluate --model cnn --data fer2013.csv
    ferwatch evaluate --model cnn --model small-vit --data fer2013.csv --ferplus fer2013new.csv --json figures.json
    ferwatch evaluate --model report-cnn --weights conv_weights.pth --data fer2013.csv
    """
    import json
    import sys

    from tqdm import tqdm

    from ferwatch.evaluation.evaluate import class_table, confusion_table, side_by_side
    from ferwatch.evaluation.evaluate import evaluate as measure
    from ferwatch.evaluation.fer2013 import load, without_copies_mask
    from ferwatch.evaluation.plots import draw_confusion, draw_reliability
    from ferwatch.models.checkpoint import load_checkpoint
    from ferwatch.models.classifier import Classifier, choose_device
    from ferwatch.models.pretrained import shipped_weights
    from ferwatch.models.registry import register_network
    from ferwatch.utils.files import atomic_write
    from ferwatch.utils.threads import use_single_threaded_libraries

    use_single_threaded_libraries()
    if network is not None:
        models = (*models, register_network(network))
        if not weights:
            raise click.UsageError("--network needs --weights")
    if not models:
        raise click.UsageError("name a --model, or a --network with its --weights")
    if weights and len(weights) != len(models):
        raise click.UsageError(f"{len(weights)} --weights for {len(models)} --model: give one for each, or none")
    device = choose_device(device)
    paths = weights or tuple(shipped_weights(model) for model in models)
    classifiers = [
        Classifier(load_checkpoint(p, model), device, labels=labels) for p, model in zip(paths, models, strict=True)
    ]
    names = [
        f"{model} {path.stem}" if weights and len(models) > 1 else model
        for path, model in zip(paths, models, strict=True)
    ]

    faces = load(data, split, ferplus)
    unseen = None if split == "train" else without_copies_mask(faces, load(data, "train", may_be_empty=True))
    evaluations = []
    for name, classifier in zip(names, classifiers, strict=True):
        with tqdm(desc=name, total=len(faces), unit=" faces", disable=not sys.stderr.isatty(), leave=False) as bar:
            evaluations.append(measure(classifier, faces, unseen, tta=tta, on_faces=bar.update))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    for name, result in zip(names, evaluations, strict=True):
        click.echo(f"{name} on {split}, {result.whole.n} images\n\n{class_table(result.whole)}\n")
        click.echo(f"Labels down, answers across:\n{confusion_table(result.whole)}\n")
        if out is not None:
            slug = name.replace(" ", "-")
            draw_confusion(result.whole.confusion, f"{name} on {split}", out / f"{slug}-confusion.png")
            draw_reliability(result.probabilities, result.labels, f"{name} on {split}", out / f"{slug}-reliability.png")
    click.echo(side_by_side(evaluations, names))
    if json_file is not None:
        figures = [result.as_dict() | {"split": split, "tta": tta} for result in evaluations]
        with atomic_write(json_file) as temp_path:
            temp_path.write_text(
                json.dumps(figures[0] if len(figures) == 1 else figures, indent=1) + "\n", encoding="utf-8"
            )
