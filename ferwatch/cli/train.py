"""`ferwatch train`."""

from __future__ import annotations

from pathlib import Path

import click

from ferwatch.cli.options import FILE


@click.command()
@click.option("--model", help="cnn, small-vit, vit-b-16, report-cnn or report-vit.")
@click.option("--network", metavar="file.py:Class", help="A network of your own, in place of --model.")
@click.option("--data", required=True, type=FILE, help="fer2013.csv, or a folder with train/ and public_test/ in it.")
@click.option("--ferplus", type=FILE, help="fer2013new.csv, for recipes that learn from its votes.")
@click.option("--recipe", "recipe_file", type=FILE, help="Settings in TOML.  [default: those of the shipped weights]")
@click.option("--out", type=FILE, help="Where all goes; a training it holds goes on.  [default: MODEL-training]")
@click.option("--pretrained", metavar="imagenet|FILE", help="Start vit-b-16 from ImageNet, or from such a state dict.")
@click.option("--unfreeze", type=click.Choice(["head", "last", "all"]), help="With --pretrained.  [default: last]")
@click.option("--start-from", type=FILE, help="Weights that the recipe or an earlier stage of it gave, to go on from.")
@click.option("--teacher", "--distill", "teachers", multiple=True, type=FILE, help="Weights to learn from; repeatable.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
def train(
    model: str | None,
    network: str | None,
    data: Path,
    ferplus: Path | None,
    recipe_file: Path | None,
    out: Path | None,
    pretrained: str | None,
    unfreeze: str | None,
    start_from: Path | None,
    teachers: tuple[Path, ...],
    device: str,
) -> None:
    """Trains a model on FER2013's Training split and writes its weights, its model card and its curves.

    A training that was interrupted goes on after its last whole epoch with the same command; one that is complete is
    only measured and written again. With torchrun it trains on several devices at once.

    \b
    ferwatch train --model report-cnn --data fer2013.csv
    ferwatch train --model cnn --data fer2013.csv --ferplus fer2013new.csv --out my-cnn
    ferwatch train --model vit-b-16 --data fer2013.csv --pretrained imagenet --unfreeze head
    ferwatch train --network mine.py:Net --recipe mine.toml --data fer2013.csv
    torchrun --nproc_per_node=2 -m ferwatch train --model cnn --data fer2013.csv --ferplus fer2013new.csv
    """
    import sys

    import torch
    from tqdm import tqdm

    from ferwatch.errors import DataError
    from ferwatch.evaluation.fer2013 import load, without_copies_mask
    from ferwatch.models.checkpoint import load_checkpoint
    from ferwatch.models.registry import get_model, register_network
    from ferwatch.training import distributed as processes
    from ferwatch.training.curves import Epoch, read_curve
    from ferwatch.training.finalize import finalize
    from ferwatch.training.recipe import read_recipe, shipped_recipe
    from ferwatch.training.stages import train_stages

    if unfreeze and not pretrained:
        raise click.UsageError("--unfreeze goes with --pretrained")
    if pretrained and model != "vit-b-16":
        raise click.UsageError("--pretrained is for vit-b-16")
    if (model is None) == (network is None):
        raise click.UsageError("give either --model or --network")
    if network is not None:
        model = register_network(network)
        if recipe_file is None:
            raise click.UsageError("--network needs a --recipe of its own")
    assert model is not None
    get_model(model)
    recipe_file = recipe_file or shipped_recipe(f"{model}-pretrained" if pretrained else model)
    recipe = read_recipe(recipe_file)
    if recipe.model != model:
        raise DataError(f"{recipe_file} is a recipe of {recipe.model}, not of {model}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    out = out or Path(f"{model}-training")

    train_faces, public_test = load(data, "train", ferplus), load(data, "public_test", ferplus)
    start_network = None
    if pretrained:
        from ferwatch.training.imagenet import pretrained_vit

        start_network = pretrained_vit(pretrained, unfreeze or "last")

    with (
        processes.joined(device) as device,
        tqdm(unit=" steps", disable=processes.rank() > 0 or not sys.stderr.isatty(), leave=False) as bar,
    ):

        def on_step(step: int, steps: int, loss: torch.Tensor) -> None:
            if bar.disable:
                return
            bar.total = steps
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(step - bar.n)

        def on_epoch(epoch: Epoch) -> None:
            known = epoch.public_test_crowd == epoch.public_test_crowd  # not nan
            crowd = f", crowd {epoch.public_test_crowd:.2%}" if known else ""
            bar.write(
                f"epoch {epoch.epoch}: loss {epoch.train_loss:.3f}, accuracy {epoch.train_accuracy:.1%}, "
                f"on PublicTest {epoch.public_test_accuracy:.2%}{crowd}; {epoch.seconds:.0f} s",
                file=sys.stdout,
            )
            sys.stdout.flush()

        trained = train_stages(
            recipe,
            recipe_file.parent,
            train_faces,
            public_test,
            out,
            teachers=teachers,
            network=start_network,
            start=None if start_from is None else load_checkpoint(start_from, model),
            device=device,
            on_step=on_step,
            on_epoch=on_epoch,
        )
        if processes.rank() > 0:
            return
    curve = trained.curve
    if start_from is not None and not curve:
        curve = read_curve(start_from.with_name(f"{recipe.model}-curve.csv"))
    click.echo("measuring what was trained")
    written = finalize(
        trained.network,
        recipe,
        curve,
        train_faces,
        public_test,
        without_copies_mask(public_test, train_faces),
        out,
        command=" ".join(["ferwatch train", *_named(click.get_current_context())]),
        stages=trained.stages,
        source=Path(network).name if network else "",  # without the folders of this machine
    )
    click.echo(f"in {out}: {', '.join(file.name for file in written)}")


def _named(context: click.Context) -> list[str]:
    """The options as given, without the folders of this machine, for the model card."""
    words = []
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if not value or option.name in ("out", "device"):
            continue
        for one in value if isinstance(value, tuple) else (value,):
            words += [option.opts[0], Path(one).name]
    return words
