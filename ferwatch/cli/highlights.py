"""`ferwatch highlights`: a run's highlights on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from ferwatch.cli.options import FILE
from ferwatch.records import EMOTIONS


@click.command()
@click.argument("run", type=FILE, metavar="RUN")
@click.option("--emotion", type=click.Choice(EMOTIONS), help="Only this emotion.  [default: all but neutral]")
@click.option(
    "--top", type=click.IntRange(min=1), default=10, show_default=True, metavar="N", help="Moments of each kind."
)
@click.option("--clips", is_flag=True, help="Cut a clip of each, and one reel of all.")
@click.option("--out", type=FILE, metavar="DIR", help="Where to write.  [default: RUN/highlights]")
def highlights(run: Path, emotion: str | None, top: int, clips: bool, out: Path | None) -> None:
    """Lists the strongest, longest and most sudden moments of RUN, a run folder, and writes them to highlights.csv.
    Clips of a run made with --blur-faces show blurred faces.

    \b
    ferwatch highlights interview-ferwatch --emotion happy --top 5 --clips
    """
    from ferwatch.study.clips import TABLE, prepare_folder, write_clips
    from ferwatch.study.highlights import HIGHLIGHT_COLUMNS, as_text, find_highlights
    from ferwatch.study.runs import read_run
    from ferwatch.study.tables import write_table

    found = read_run(run)
    moments = find_highlights(found, emotion, top)
    out = out or run / "highlights"
    removed = prepare_folder(found, out, clips)
    files = [write_table(out / TABLE, [moment.as_row() for moment in moments], HIGHLIGHT_COLUMNS)]
    click.echo(as_text(moments) or f"{run}: there is no episode of {emotion or 'any emotion but neutral'}")
    if clips:
        files += write_clips(found, moments, out)
    click.echo(f"\nin {out}: {', '.join(file.name for file in files)}")
    gone = [file.name for file in removed if file not in files]
    if gone:
        click.echo(f"removed, because an earlier call wrote them: {', '.join(gone)}")
