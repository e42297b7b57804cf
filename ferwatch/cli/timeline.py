"""Smooths, segments and exports a run again, from its rows alone."""

from __future__ import annotations

from pathlib import Path

import click

from ferwatch.export.registry import EXPORTS


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--smoothing", type=click.FloatRange(min=0), metavar="S", help="Seconds; 0 turns it off.  [default: 0.2]")
@click.option(
    "--export", "exports", multiple=True, type=click.Choice(list(EXPORTS)), help="One more file; may be repeated."
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write.  [default: beside the rows]"
)
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
