"""The main job on the command line: reads options, shows progress, prints the summary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ferwatch.export.registry import EXPORTS
from ferwatch.utils.timecode import parse_time

if TYPE_CHECKING:
    from ferwatch.pipeline.analyze import Run
    from ferwatch.video.sampling import Sampling


class Time(click.ParamType):
    """Seconds, or [HH:]MM:SS[.mmm]."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else parse_time(value)
        except ValueError as cause:
            self.fail(str(cause), param, ctx)


LABELS = click.option(
    "--labels",
    type=click.Choice(["crowd", "fer2013"]),
    help="crowd: what people see; fer2013: the data set's label.  [default: crowd, where the weights have it]",
)

HOW = (
    click.option(
        "--model", default="cnn", show_default=True, help="cnn, small-vit or vit-b-16; see 'ferwatch models'."
    ),
    click.option("--sample-fps", type=click.FloatRange(min=0, min_open=True), help="Samples a second.  [default: 10]"),
    click.option("--every", type=click.IntRange(min=1), metavar="N", help="Every Nth frame."),
    click.option(
        "--interval", type=click.FloatRange(min=0, min_open=True), metavar="S", help="One sample every S seconds."
    ),
    click.option("--all-frames", is_flag=True, help="Every frame."),
    click.option(
        "--export", "exports", multiple=True, type=click.Choice(list(EXPORTS)), help="One more file; may be repeated."
    ),
    click.option("--no-video", is_flag=True, help="Do not write annotated.mp4."),
    click.option(
        "--smoothing", type=click.FloatRange(min=0), metavar="S", help="Seconds; 0 turns it off.  [default: 0.2]"
    ),
    click.option("--blur-faces", is_flag=True, help="Make faces unrecognisable in annotated.mp4."),
    click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="Other weights of this model."),
    click.option("--network", metavar="file.py:Class", help="A network of your own, with its --weights."),
    LABELS,
    click.option("--face-model", type=click.Path(path_type=Path), metavar="FILE", help="Another MediaPipe face model."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True),
)


def how(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say how a video is analysed."""
    for option in reversed(HOW):
        command = option(command)
    return command


@click.command()
@click.argument("video", type=click.Path(path_type=Path))
@how
@click.option("--start", type=Time(), default=0.0, metavar="T", help="Begin here: seconds or [HH:]MM:SS[.mmm].")
@click.option("--end", type=Time(), metavar="T", help="Stop here.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="The run folder.  [default: VIDEO-ferwatch]"
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Processor cores to use.  [default: all]")
@click.option("--overwrite", is_flag=True, help="Replace the run that the folder holds.")
@click.option("--resume", is_flag=True, help="Continue the interrupted run that the folder holds.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def run(
    video: Path,
    sample_fps: float | None,
    every: int | None,
    interval: float | None,
    all_frames: bool,
    no_video: bool,
    smoothing: float | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Labels the faces of VIDEO over time, and writes a folder with the table, the episodes, the timeline and an
    annotated copy of the video.

    \b
    ferwatch interview.mp4
    ferwatch interview.mp4 --all-frames --export eaf --export html
    ferwatch interview.mp4 --start 1:30 --end 2:00 --no-video --out minute-two
    """
    from ferwatch.cli.progress import ProgressBars
    from ferwatch.pipeline.analyze import analyze
    from ferwatch.timeline.smoothing import SMOOTHING_SECONDS
    from ferwatch.utils.threads import limit_native_threads

    sampling = chosen_sampling(sample_fps, every, interval, all_frames)
    limit_native_threads()
    with ProgressBars(hidden=quiet) as bars:
        done = analyze(
            video,
            sampling=sampling,
            annotate=not no_video,
            smoothing=SMOOTHING_SECONDS if smoothing is None else smoothing,
            progress=bars.update,
            **options,
        )
    if not quiet:
        for warning in done.warnings:
            click.echo(f"ferwatch: warning: {warning}", err=True)
        print_summary(done)


def chosen_sampling(sample_fps: float | None, every: int | None, interval: float | None, all_frames: bool) -> Sampling:
    """Raises click.UsageError where more than one is given."""
    from ferwatch.video.sampling import Sampling

    asked = [o is not None for o in (sample_fps, every, interval)] + [all_frames]
    if sum(asked) > 1:
        raise click.UsageError("--sample-fps, --every, --interval and --all-frames exclude each other")
    if all_frames or every is not None:
        return Sampling(every=every or 1)
    if interval is not None:
        return Sampling(fps=1 / interval)
    return Sampling(fps=sample_fps or 10.0)


def print_summary(done: Run) -> None:
    """What a person wants to know: who was seen, for how long, with which emotions, and where the files are."""
    from ferwatch.utils.timecode import format_time

    summary = done.summary
    click.echo(
        f"{_count(summary.sampled_frames, 'frame')} sampled, {summary.frames_with_faces} with a face, "
        f"{_count(len(summary.faces), 'face')}, {_count(summary.episodes, 'episode')}"
    )
    for face in summary.faces:
        shares = sorted(face.shares.items(), key=lambda item: -item[1])
        said = ", ".join(f"{emotion} {share:.0%}" for emotion, share in shares if share >= 0.005)
        span = f"{format_time(face.first_seen)} to {format_time(face.last_seen)}"
        click.echo(f"  face {face.face_id}: on screen {face.on_screen:.1f} s ({span}): {said or 'too short to tell'}")
    click.echo(f"in {done.folder}: {', '.join(file.name for file in done.files)}")


def _count(number: int, of: str) -> str:
    return f"{number} {of}{'' if number == 1 else 's'}"
