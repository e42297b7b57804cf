"""Smooths, segments and exports a run again, from its rows alone."""

from __future__ import annotations

from pathlib import Path

import click

from ferwatch.cli.options import FILE, export_option, smoothing_option


@click.command()
@click.argument("run", type=FILE)
@smoothing_option
@export_option
@click.option("--out", type=FILE, metavar="DIR", help="Where to write.  [default: beside the rows]")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def timeline(run: Path, smoothing: float | None, exports: tuple[str, ...], out: Path | None, quiet: bool) -> None:
    """Makes the timeline of RUN, a run folder or a frames.csv, again, without running the video.

    \b
    ferwatch timeline interview-ferwatch --smoothing 1 --export eaf
    """
    from ferwatch.pipeline.rebuild import rebuild

    files = rebuild(run, smoothing=smoothing, exports=exports, out=out)
    if not quiet:
        click.echo(f"in {files[0].parent}: {', '.join(file.name for file in files)}")
