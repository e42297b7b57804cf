"""`ferwatch look-inside`: the forward pass as pictures, on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from ferwatch.cli.options import FILE, Time, labels_option, network_option


@click.command("look-inside")
@click.argument("source", type=FILE, metavar="IMAGE|VIDEO")
@click.option("--at", "time", type=Time(), metavar="T", help="A time in the video: seconds or [HH:]MM:SS[.mmm].")
@click.option("--model", default="cnn", show_default=True, help="A classifier; see 'ferwatch models'.")
@click.option("--weights", type=FILE, metavar="FILE", help="Other weights of this model.")
@network_option
@labels_option
@click.option("--face", "face_id", type=click.IntRange(min=1), metavar="N", help="A face_id; in images from the left.")
@click.option("--face-model", type=FILE, metavar="FILE", help="Another MediaPipe face model.")
@click.option("--html", is_flag=True, help="Also write index.html: all pictures and explanations on one page.")
@click.option("--out", type=FILE, metavar="DIR", help="Output folder.  [default: NAME-MODEL-inside]")
def look_inside(
    source: Path,
    time: float | None,
    model: str,
    weights: Path | None,
    network: str | None,
    labels: str | None,
    face_id: int | None,
    face_model: Path | None,
    html: bool,
    out: Path | None,
) -> None:
    """Show a classifier's forward pass over one face as pictures: kernels and feature maps of a CNN, patches and
    attention of a transformer, the parts of the face that the answer depends on, and a table of every layer.

    \b
    ferwatch look-inside portrait.jpg --html
    ferwatch look-inside interview.mp4 --at 0:12.5 --model small-vit
    ferwatch look-inside portrait.jpg --model report-cnn --weights conv_weights.pth
    """
    from ferwatch.errors import FerwatchError
    from ferwatch.explain.report import look_inside as look
    from ferwatch.faces.mediapipe import MediaPipeDetector
    from ferwatch.models.classifier import labels_notice, load_classifier
    from ferwatch.pipeline.snapshot import image_snapshot, is_image, video_snapshots
    from ferwatch.records import EMOTIONS
    from ferwatch.utils.threads import use_single_threaded_libraries

    use_single_threaded_libraries()
    still = is_image(source)
    if still and time is not None:
        raise click.UsageError(f"{source} is an image: leave out --at")
    if not still and time is None:
        raise click.UsageError(f"{source} is a video: give the time to look at with --at T")
    classifier = load_classifier(model, weights=weights, network=network, labels=labels, device="cpu")
    if (notice := labels_notice(classifier, labels)) is not None:
        click.echo(f"ferwatch: warning: {notice}", err=True)
    checkpoint = classifier.checkpoint
    with MediaPipeDetector(face_model) as detector:
        if time is None:
            snapshot = image_snapshot(source, detector)
        else:
            (snapshot,) = video_snapshots(source, [time], detector)
    if not snapshot.faces:
        raise FerwatchError(f"{snapshot.name}: no face was found; choose another picture or time")
    face = snapshot.faces[0] if face_id is None else snapshot.face(face_id)
    if face_id is None and len(snapshot.faces) > 1:
        click.echo(f"{len(snapshot.faces)} faces were found; this is face {face.face_id}. Choose another with --face")

    folder = out or Path(f"{source.stem}-{checkpoint.model}-inside")
    result = look(snapshot.image, face, checkpoint, folder, labels=labels, html=html)
    top = int(result.probabilities.argmax())
    click.echo(
        f"{snapshot.name}, face {face.face_id}: {EMOTIONS[top]} {result.probabilities[top]:.1%}; "
        f"{result.trace.parameters:,} parameters, {result.trace.multiply_adds:,} multiply-adds"
    )
    click.echo(f"in {folder}:")
    for file in result.files:
        click.echo(f"  {file.name}")
