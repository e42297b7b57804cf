"""The pair comparison on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ferwatch.cli.run import Time

if TYPE_CHECKING:
    from ferwatch.compare.comparison import Change
    from ferwatch.models.classifier import Classifier

FILE = click.Path(path_type=Path)
LISTED = 10


class Every(click.ParamType):
    """every:SECONDS, with or without an s."""

    name = "every:SECONDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        word, _, number = value.partition(":")
        try:
            seconds = float(number.removesuffix("s"))
        except ValueError:
            seconds = 0.0
        if word != "every" or not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is not like every:2s", param, ctx)
        return seconds


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=FILE, metavar="VIDEO | IMAGE [IMAGE]")
@click.option("--at", "times", multiple=True, type=Time(), metavar="T", help="A moment of the video; give two of them.")
@click.option("--pairs", "every", type=Every(), help="List the video's largest changes between such moments.")
@click.option("--face", type=click.IntRange(min=1), metavar="N", help="A face_id; in images, faces from left to right.")
@click.option("--model", default="cnn", show_default=True, help="A classifier; see 'ferwatch models'.")
@click.option("--all-models", is_flag=True, help="Every classifier that has weights, side by side.")
@click.option("--weights", type=FILE, metavar="FILE", help="Other weights of this model.")
@click.option("--face-model", type=FILE, metavar="FILE", help="Another MediaPipe face model.")
@click.option("--out", type=FILE, metavar="DIR", default=Path(), help="Where to write.  [default: here]")
def compare(
    inputs: tuple[Path, ...],
    times: tuple[float, ...],
    every: float | None,
    face: int | None,
    model: str,
    all_models: bool,
    weights: Path | None,
    face_model: Path | None,
    out: Path,
) -> None:
    """Compares two faces: two moments of a video, two images, or the faces side by side in one image. Prints both
    distributions and what changed, and writes pair.png and pair.json.

    \b
    ferwatch compare interview.mp4 --at 0:12 --at 0:34.5
    ferwatch compare before.jpg after.jpg --all-models
    ferwatch compare pair.jpg --out comparison
    ferwatch compare interview.mp4 --pairs every:2s
    """
    from ferwatch.compare.comparison import compare as compare_faces
    from ferwatch.compare.comparison import faces_to_compare, look_around, table
    from ferwatch.compare.figure import write_comparison
    from ferwatch.faces.search import FaceFinder
    from ferwatch.pipeline.snapshot import image_moment, is_image, video_moments

    if weights and all_models:
        raise click.UsageError("--weights belongs to one model: leave out --all-models")
    stills = [is_image(path) for path in inputs]
    if every is not None:
        if len(inputs) != 1 or stills[0] or times or all_models:
            raise click.UsageError("--pairs takes one video and one model, and no --at")
        _list_changes(inputs[0], every, face, model, weights, face_model)
        return
    if len(inputs) > 2 or (all(stills) and times) or (not all(stills) and (len(inputs) != 1 or len(times) != 2)):
        raise click.UsageError("give a video with two times (--at T1 --at T2), two images, or one image")

    classifiers = _classifiers(model, all_models, weights)
    with FaceFinder(face_model) as finder:
        moments = [image_moment(p, finder) for p in inputs] if all(stills) else video_moments(inputs[0], times, finder)
        pairs = [
            (look_around(*left, finder), look_around(*right, finder)) for left, right in faces_to_compare(moments, face)
        ]
    comparisons = [
        [compare_faces(left, right, name, classifier) for name, classifier in classifiers.items()]
        for left, right in pairs
    ]
    files = write_comparison(comparisons, out)
    click.echo("\n\n".join(map(table, comparisons)))
    click.echo(f"\nin {out.resolve()}: {', '.join(file.name for file in files)}")


def _classifiers(model: str, all_models: bool, weights: Path | None) -> dict[str, Classifier]:
    from ferwatch.errors import WeightsError
    from ferwatch.models.checkpoint import load_checkpoint
    from ferwatch.models.classifier import Classifier
    from ferwatch.models.pretrained import shipped_weights
    from ferwatch.models.registry import MODELS

    if not all_models:
        return {model: Classifier(load_checkpoint(weights or shipped_weights(model), model))}
    there = {}
    for name in MODELS:
        try:
            path = shipped_weights(name)
        except WeightsError as cause:
            click.echo(f"ferwatch: left out: {cause}", err=True)
        else:
            there[name] = Classifier(load_checkpoint(path, name))
    if not there:
        raise WeightsError("no model has shipped weights; name one with --model and --weights")
    return there


def _list_changes(
    video: Path, every: float, face: int | None, model: str, weights: Path | None, face_model: Path | None
) -> None:
    from ferwatch.compare.comparison import changes
    from ferwatch.pipeline.analyze import track
    from ferwatch.utils.timecode import format_time

    found = changes(track(video, model, weights=weights, face_model=face_model), every)
    if face is not None:
        found = [change for change in found if change.face_id == face]
    if not found:
        click.echo(f"{video.name}: no face is there at two moments {every:g} s apart")
        return
    click.echo(f"{video.name}: the largest of {len(found)} changes between moments {every:g} s apart, {model}\n")
    for change in found[:LISTED]:
        click.echo(_line(change))
    largest = found[0]
    moments = f"--at {format_time(largest.start)} --at {format_time(largest.end)}"
    click.echo(f"\nTo see the first: ferwatch compare {video} {moments} --face {largest.face_id}")


def _line(change: Change) -> str:
    from ferwatch.utils.timecode import format_time

    span = f"{format_time(change.start)} -> {format_time(change.end)}"
    before, after = (f"{face.emotion} {face.confidence:.0%}" for face in (change.before, change.after))
    return f"  face {change.face_id}  {span}  {change.divergence:.3f} bit  {before} -> {after}"
