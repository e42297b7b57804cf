"""`ferwatch timeline`: smooths, segments, corrects and exports a run again, from its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ferwatch.cli.options import FILE, export_option, ignore_option, min_episode_option, region_option, smoothing_option
from ferwatch.cli.run import print_summary
from ferwatch.errors import shown


class Pair(click.ParamType):
    """Parses ID=TEXT or ID=ID."""

    def __init__(self, second: type[int] | type[str], name: str) -> None:
        self.second = second
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int | str]:
        first, equals, second = str(value).partition("=")
        try:
            if equals:
                return int(first), self.second(second)
        except ValueError:
            pass
        self.fail(f"{shown(value)} is not {self.name}, such as {'1=Anna' if self.second is str else '3=1'}", param, ctx)


@click.command()
@click.argument("run", type=FILE)
@smoothing_option
@min_episode_option
@export_option
@click.option("--name", "names", multiple=True, type=Pair(str, "ID=NAME"), help="What a face is called.")
@click.option(
    "--merge",
    multiple=True,
    type=Pair(int, "ID=ID"),
    help="The first face is the same person as the second; it gets the second's id.",
)
@ignore_option
@click.option("--keep", multiple=True, type=int, metavar="ID", help="Count a face although it never moves.")
@region_option
@click.option("--baseline", metavar="START-END|FILE", help="Time, or run, in which the face was neutral.")
@click.option("--reset", is_flag=True, help="Forget all earlier names, corrections and the baseline.")
@click.option("--video", type=FILE, metavar="FILE", help="The analysed video, where it is not found by itself.")
@click.option("--out", type=FILE, metavar="DIR", help="Where to write.  [default: beside the rows]")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def timeline(
    run: Path,
    names: tuple[tuple[int, str], ...],
    merge: tuple[tuple[int, int], ...],
    ignore: tuple[int, ...],
    keep: tuple[int, ...],
    region: tuple[float, float, float, float] | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Make the timeline of RUN, a run folder or a frames.csv, again, without analysing the video again. Names and
    corrections are kept in the run folder, and all of its files are made again. annotated.mp4 is drawn again where it
    would show something else; the video for that is found by its content beside the run folder or in the working
    directory.

    \b
    ferwatch timeline interview-ferwatch --smoothing 1 --export eaf
    ferwatch timeline interview-ferwatch --name 1=Anna --merge 3=1 --ignore 4
    """
    from ferwatch.cli.progress import ProgressBars
    from ferwatch.pipeline.rebuild import rebuild
    from ferwatch.timeline.corrections import Corrections

    corrections = Corrections(dict(names), dict(merge), ignore, keep, region)
    with ProgressBars(hidden=quiet) as bars:
        done = rebuild(run, corrections=corrections, progress=bars.update, **options)
    if not quiet:
        for note in done.notes:
            click.echo(f"ferwatch: note: {note}", err=True)
        print_summary(done.timeline, done.files[0].parent, done.files)
