"""`ferwatch compare`: the pair comparison on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ferwatch.cli.options import FILE, Time, labels_option
from ferwatch.errors import shown
from ferwatch.utils.commands import command_line

if TYPE_CHECKING:
    from ferwatch.compare.comparison import Change
    from ferwatch.models.classifier import Classifier

DEFAULT_MODEL = "cnn"
"""Classifier where --model is not given."""

MAX_LISTED = 10
"""Largest number of changes that --pairs prints."""


class Interval(click.ParamType):
    """Parses every:SECONDS, with or without an s."""

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
            self.fail(f"{shown(value)} is not like every:2s", param, ctx)
        return seconds


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=FILE, metavar="VIDEO | IMAGE [IMAGE]")
@click.option("--at", "times", multiple=True, type=Time(), metavar="T", help="A time in the video; give two.")
@click.option(
    "--pairs", "every", type=Interval(), help="List the video's largest changes between times this far apart."
)
@click.option("--face", type=click.IntRange(min=1), metavar="N", help="A face_id; in images, faces from left to right.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="A classifier; see 'ferwatch models'.")
@click.option("--all-models", is_flag=True, help="All classifiers that have weights, side by side.")
@click.option("--weights", type=FILE, metavar="FILE", help="Other weights of this model.")
@labels_option
@click.option("--face-model", type=FILE, metavar="FILE", help="Another MediaPipe face model.")
@click.option("--out", type=FILE, metavar="DIR", help="Output folder.  [default: the working directory]")
def compare(
    inputs: tuple[Path, ...],
    times: tuple[float, ...],
    every: float | None,
    face: int | None,
    model: str,
    all_models: bool,
    weights: Path | None,
    labels: Literal["crowd", "fer2013"] | None,
    face_model: Path | None,
    out: Path | None,
) -> None:
    """Compare two faces: at two times of a video, in two images, or side by side in one image. Print both
    distributions and what changed, and write pair.png and pair.json.

    \b
    ferwatch compare interview.mp4 --at 0:12 --at 0:34.5
    ferwatch compare before.jpg after.jpg --all-models
    ferwatch compare pair.jpg --out comparison
    ferwatch compare interview.mp4 --pairs every:2s
    """
    from ferwatch.compare.comparison import compare as compare_faces
    from ferwatch.compare.comparison import faces_to_compare, sample_jitter, table
    from ferwatch.compare.figure import write_comparison
    from ferwatch.faces.mediapipe import MediaPipeDetector
    from ferwatch.pipeline.snapshot import image_snapshot, is_image, video_snapshots
    from ferwatch.utils.threads import use_single_threaded_libraries

    use_single_threaded_libraries()
    if weights and all_models:
        raise click.UsageError("--weights is for one model: leave out --all-models")
    stills = [is_image(path) for path in inputs]
    if every is not None:
        if len(inputs) != 1 or stills[0] or times or all_models or out is not None:
            raise click.UsageError("--pairs takes one video and one model, no --at and no --out: it prints a table")
        _list_changes(inputs[0], every, face, model, weights, labels, face_model)
        return
    if len(inputs) > 2 or (all(stills) and times) or (not all(stills) and (len(inputs) != 1 or len(times) != 2)):
        raise click.UsageError("give a video with two times (--at T1 --at T2), two images, or one image")

    classifiers = _classifiers(model, all_models, weights, labels)
    with MediaPipeDetector(face_model) as detector:
        if all(stills):
            snapshots = [image_snapshot(path, detector) for path in inputs]
        else:
            snapshots = video_snapshots(inputs[0], times, detector)
        pairs = [
            (sample_jitter(*left, detector), sample_jitter(*right, detector))
            for left, right in faces_to_compare(snapshots, face)
        ]
    comparisons = [
        [compare_faces(left, right, name, classifier) for name, classifier in classifiers.items()]
        for left, right in pairs
    ]
    out = out or Path()
    files = write_comparison(comparisons, out)
    click.echo("\n\n".join(map(table, comparisons)))
    click.echo(f"\nin {out.resolve()}: {', '.join(file.name for file in files)}")


def _classifiers(
    model: str, all_models: bool, weights: Path | None, labels: Literal["crowd", "fer2013"] | None
) -> dict[str, Classifier]:
    from ferwatch.errors import WeightsError
    from ferwatch.models.classifier import load_classifier
    from ferwatch.models.pretrained import shipped_weights
    from ferwatch.models.registry import MODELS

    if not all_models:
        return {model: _with_notice(load_classifier(model, weights=weights, labels=labels, device="cpu"), labels)}
    classifiers = {}
    for name in MODELS:
        try:
            path = shipped_weights(name)
        except WeightsError as error:
            click.echo(f"ferwatch: left out: {error}", err=True)
        else:
            classifiers[name] = _with_notice(load_classifier(name, weights=path, labels=labels, device="cpu"), labels)
    if not classifiers:
        raise WeightsError("no model has shipped weights; name one with --model and --weights")
    return classifiers


def _with_notice(classifier: Classifier, labels: str | None) -> Classifier:
    """Return the classifier; warn on stderr where it has no crowd head and none was asked for."""
    from ferwatch.models.classifier import labels_notice

    if (notice := labels_notice(classifier, labels)) is not None:
        click.echo(f"ferwatch: warning: {notice}", err=True)
    return classifier


def _list_changes(
    video: Path,
    every: float,
    face: int | None,
    model: str,
    weights: Path | None,
    labels: Literal["crowd", "fer2013"] | None,
    face_model: Path | None,
) -> None:
    from ferwatch.compare.comparison import largest_changes
    from ferwatch.pipeline.analyzer import track
    from ferwatch.utils.timecode import format_time

    found = largest_changes(track(video, model=model, weights=weights, labels=labels, face_model=face_model), every)
    if face is not None:
        found = [change for change in found if change.face_id == face]
    if not found:
        click.echo(f"{video.name}: no face is seen at two times {every:g} s apart")
        return
    click.echo(f"{video.name}: the largest of {len(found)} changes between times {every:g} s apart, {model}\n")
    for change in found[:MAX_LISTED]:
        click.echo(_line(change))
    largest = found[0]
    times = ["--at", format_time(largest.start), "--at", format_time(largest.end)]
    given = {"--weights": weights, "--labels": labels, "--face-model": face_model}
    chosen = [part for option, value in given.items() if value is not None for part in (option, str(value))]
    if model != DEFAULT_MODEL:
        chosen = ["--model", model, *chosen]
    command = command_line(["ferwatch", "compare", str(video), *times, "--face", str(largest.face_id), *chosen])
    click.echo(f"\nTo see the first: {command}")


def _line(change: Change) -> str:
    from ferwatch.utils.timecode import format_time

    span = f"{format_time(change.start)} -> {format_time(change.end)}"
    before, after = (f"{face.emotion} {face.confidence:.0%}" for face in (change.before, change.after))
    return f"  face {change.face_id}  {span}  {change.divergence:.3f} bit  {before} -> {after}"
