"""`ferwatch run`: one video on the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ferwatch.cli.options import Place, Time, analysis_options, check_engine, engine_options, options_from
from ferwatch.utils.commands import command_line
from ferwatch.utils.imports import without_garbage_collection
from ferwatch.utils.url import Url

if TYPE_CHECKING:
    from ferwatch.timeline.model import Timeline


@click.command()
@click.argument("videos", nargs=-1, required=True, type=Place(), metavar="VIDEO")
@analysis_options
@click.option("--start", type=Time(), default=0.0, metavar="T", help="Begin here: seconds or [HH:]MM:SS[.mmm].")
@click.option("--end", type=Time(), metavar="T", help="Stop here.")
@click.option("--out", type=Place(), metavar="DIR", help="The run folder.  [default: VIDEO-ferwatch]")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Processor cores to use.  [default: all]")
@engine_options
@click.option("--overwrite", is_flag=True, help="Replace the run that the folder holds.")
@click.option("--resume", is_flag=True, help="Continue the interrupted run that the folder holds.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def run(
    videos: tuple[Path | Url, ...],
    out: Path | Url | None,
    engine: str,
    address: str | None,
    overwrite: bool,
    resume: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Label the faces of VIDEO over time, and write a folder with the table, the episodes, the timeline and an
    annotated copy of the video.

    \b
    ferwatch interview.mp4
    ferwatch interview.mp4 --all-frames --export eaf --export html
    ferwatch interview.mp4 --start 1:30 --end 2:00 --no-video --out minute-two
    ferwatch s3://bucket/film.mp4 --out s3://bucket/film --engine ray --address auto
    """
    if len(videos) > 1:
        names = command_line([str(video) for video in videos[:3]]) + (" ..." if len(videos) > 3 else "")
        raise click.UsageError(f"one video at a time; for several: ferwatch batch {names} --out DIR")
    (video,) = videos
    check_engine(engine, address, values["threads"], "--threads")
    options = options_from(values)

    from ferwatch.pipeline.executors import MIN_PARALLEL_SECONDS, cores, start_server_early
    from ferwatch.video.container import declared_seconds

    options = replace(options, threads=options.threads or cores())
    if isinstance(video, Url):
        if not quiet:
            click.echo(f"ferwatch: {video} is copied to a temporary file, which is removed at the end", err=True)
    elif engine == "local" and options.threads != 1 and declared_seconds(video) >= MIN_PARALLEL_SECONDS:
        start_server_early()  # its imports then run beside those that follow here

    with without_garbage_collection():
        from ferwatch.cli.progress import ProgressBars
        from ferwatch.pipeline.analyze import write_run
        from ferwatch.pipeline.ray_cluster import RayCluster
        from ferwatch.pipeline.run_folder import default_run_folder
        from ferwatch.pipeline.segment import load_classifier
        from ferwatch.utils.threads import use_single_threaded_libraries

    use_single_threaded_libraries()
    with ExitStack() as stack:
        executor = stack.enter_context(RayCluster(address, options.threads)) if engine == "ray" else None
        bars = stack.enter_context(ProgressBars(hidden=quiet))
        try:
            done = write_run(
                video,
                out,
                options,
                load_classifier(options),
                overwrite=overwrite,
                resume=resume,
                progress=bars.update,
                forecast=bars.expect if bars.are_shown else None,
                command=sys.argv,
                executor=executor,
            )
        except KeyboardInterrupt:
            folder = out or default_run_folder(Path(video.name))
            if isinstance(folder, Url) or not (folder / "resume.json").exists():
                raise
            raise KeyboardInterrupt("the same command with --resume continues this run") from None
    if not quiet:
        for warning in done.warnings:
            click.echo(f"ferwatch: warning: {warning}", err=True)
        print_summary(done.timeline, out or done.folder, done.files)


def print_summary(timeline: Timeline, folder: Path | Url, files: Sequence[Path]) -> None:
    """Print each face's time on screen and shares of emotions, and where the files are."""
    from ferwatch.timeline.still import still_text
    from ferwatch.utils.timecode import format_time

    summary = timeline.summary
    click.echo(
        f"{_count(summary.sampled_frames, 'frame')} sampled, {summary.frames_with_faces} with a face, "
        f"{_count(len(summary.faces), 'face')}, {_count(summary.episodes, 'episode')}"
    )
    for face in summary.faces:
        shares = sorted(face.shares.items(), key=lambda item: -item[1])
        said = ", ".join(f"{emotion} {share:.0%}" for emotion, share in shares if share >= 0.005)
        span = f"{format_time(face.first_seen)} to {format_time(face.last_seen)}"
        name = timeline.given_names.get(face.face_id)
        named = f"face {face.face_id}" + (f" ({name})" if name else "")
        click.echo(f"  {named}: on screen {face.on_screen:.1f} s ({span}): {said or 'too short to tell'}")
    if summary.still:
        click.echo(f"  {still_text(summary.still)}")
    if summary.episodes:
        click.echo("  (percent: of the time in episodes, which is the share to report; run.json has the others)")
    click.echo(f"in {folder}: {', '.join(file.name for file in files)}")


def _count(number: int, of: str) -> str:
    return f"{number} {of}{'' if number == 1 else 's'}"
