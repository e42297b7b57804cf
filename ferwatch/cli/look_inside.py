"""The forward pass as pictures, on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from ferwatch.cli.run import Time

FILE = click.Path(path_type=Path)


@click.command("look-inside")
@click.argument("source", type=FILE, metavar="IMAGE|VIDEO")
@click.option("--at", "time", type=Time(), metavar="T", help="The moment of a video: seconds or [HH:]MM:SS[.mmm].")
@click.option("--model", default="cnn", show_default=True, help="A classifier; see 'ferwatch models'.")
@click.option("--weights", type=FILE, metavar="FILE", help="Other weights of this model.")
@click.option("--face", "face_id", type=click.IntRange(min=1), metavar="N", help="A face_id; in images from the left.")
@click.option("--face-model", type=FILE, metavar="FILE", help="Another MediaPipe face model.")
@click.option("--html", is_flag=True, help="Also index.html, one page with all pictures and explanations.")
@click.option("--out", type=FILE, metavar="DIR", help="Where to write.  [default: NAME-MODEL-inside]")
def look_inside(
    source: Path,
    time: float | None,
    model: str,
    weights: Path | None,
    face_id: int | None,
    face_model: Path | None,
    html: bool,
    out: Path | None,
) -> None:
    """Shows a classifier's forward pass over one face as pictures: kernels and feature maps of a CNN, patches and
    attention of a transformer, what part of the face moved the answer; and a table of every layer.

    \b
    ferwatch look-inside portrait.jpg --html
    ferwatch look-inside interview.mp4 --at 0:12.5 --model small-vit
    ferwatch look-inside portrait.jpg --model report-cnn --weights conv_weights.pth
    """
    from ferwatch.errors import FerwatchError
    from ferwatch.explain.report import look_inside as look
    from ferwatch.faces.search import FaceFinder
    from ferwatch.models.checkpoint import load_checkpoint
    from ferwatch.models.pretrained import shipped_weights
    from ferwatch.pipeline.snapshot import image_moment, is_image, video_moments
    from ferwatch.records import EMOTIONS

    still = is_image(source)
    if still and time is not None:
        raise click.UsageError(f"{source} is an image: leave out --at")
    if not still and time is None:
        raise click.UsageError(f"give the moment of {source} to look at with --at T")
    checkpoint = load_checkpoint(weights or shipped_weights(model), model)
    with FaceFinder(face_model) as finder:
        moment = image_moment(source, finder) if time is None else video_moments(source, [time], finder)[0]
    if not moment.faces:
        raise FerwatchError(f"{moment.name}: no face was found; choose another picture or moment")
    face = moment.faces[0] if face_id is None else moment.face(face_id)
    if face_id is None and len(moment.faces) > 1:
        click.echo(f"{len(moment.faces)} faces were found; this is face {face.face_id}, choose another with --face")

    folder = out or Path(f"{source.stem}-{model}-inside")
    inside = look(moment.image, face, checkpoint, folder, html=html)
    top = int(inside.probabilities.argmax())
    click.echo(
        f"{moment.name}, face {face.face_id}: {EMOTIONS[top]} {inside.probabilities[top]:.1%}; "
        f"{inside.trace.parameters:,} parameters, {inside.trace.multiply_adds:,} multiply-adds"
    )
    click.echo(f"in {folder}:")
    for file in inside.files:
        click.echo(f"  {file.name}")
