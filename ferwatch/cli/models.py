"""`ferwatch models`: the classifiers and their accuracy. Torch, which takes a second to load, is not imported."""

from __future__ import annotations

import click

from ferwatch.errors import WeightsError
from ferwatch.models.pretrained import read_metadata, shipped_weights
from ferwatch.models.registry import MODELS


@click.command()
def models() -> None:
    """List the classifiers with their size and the accuracy of their shipped weights on FER2013's PublicTest.

    \b
    ferwatch models
    """
    row = "{:<11} {:>11} {:>7} {:>9} {:>9} {:>12}  {:<8} {}"
    click.echo(row.format("", "parameters", "people", "accuracy", "macro-F1", "calibration", "input", ""))
    for name, model in MODELS.items():
        side = f"{model.input.size}x{model.input.size}"
        try:
            about = read_metadata(shipped_weights(name))["about"]
        except WeightsError:
            click.echo(row.format(name, "", "", "", "", "", side, f"no weights yet: 'ferwatch train --model {name}'"))
            continue
        figures, video = about["public_test"], about["heads"].get("video", {})
        click.echo(
            row.format(
                name,
                f"{about['parameters']:,}",
                f"{video['crowd_agreement']:.1%}" if "crowd_agreement" in video else "",
                f"{figures['accuracy']:.2%}",
                f"{figures['macro_f1']:.3f}",
                f"{figures['ece']:.3f}",
                side,
                model.about,
            )
        )
    click.echo(
        "\nOn FER2013's PublicTest, one view of each face. People: how often the answer in a video is the most\n"
        "frequent of ten people's votes. The rest is of the fer2013 head, against FER2013's labels; calibration:\n"
        "expected calibration error (15 bins)."
    )
