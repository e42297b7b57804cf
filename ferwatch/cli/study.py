"""`ferwatch study`: a study on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ferwatch.cli.options import FILE, analysis_options, options_from


@click.command()
@click.argument("plan", type=FILE, metavar="PLAN.csv")
@click.option("--out", type=FILE, required=True, metavar="DIR", help="The study's folder.")
@click.option("--events", type=FILE, metavar="FILE", help="A CSV of what happened when: video, time, event.")
@analysis_options
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Videos at a time.  [default: one a core]")
@click.option("--overwrite", is_flag=True, help="Replace runs in DIR that were made with other settings.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def study(
    plan: Path, out: Path, events: Path | None, jobs: int | None, overwrite: bool, quiet: bool, **values: Any
) -> None:
    """Analyses the recordings of a study and writes tidy tables, contrasts between conditions, figures, a page and a
    methods text into DIR.

    PLAN.csv has one line a recording: video (or a run folder), participant, any number of columns with conditions, and,
    where they are needed, face, start and end. Paths are relative to the plan. Videos without a run are analysed into
    DIR/runs; a second call analyses only what is missing.

    Levels of a condition are tested where at least 6 people have a value in both of them, or, if nobody was in both,
    where each of the two groups has at least 6 people.

    \b
    ferwatch study plan.csv --out study
    ferwatch study plan.csv --out study --events events.csv --no-video --blur-faces
    """
    options = options_from(values)

    from tqdm import tqdm

    from ferwatch.errors import FerwatchError
    from ferwatch.study.build import run_study
    from ferwatch.utils.wording import counted

    with tqdm(unit=" videos", disable=quiet or not sys.stderr.isatty(), leave=False) as bar:

        def report(done: int, total: int, cause: str | None) -> None:
            bar.total = total
            bar.update(done - bar.n)
            if cause:
                bar.write(f"ferwatch: failed: {cause}", file=sys.stderr)

        found = run_study(plan, out, events_file=events, options=options, jobs=jobs, overwrite=overwrite, report=report)
    if not quiet:
        people = len({recording.plan.participant for recording in found.recordings})
        click.echo(f"{counted(len(found.recordings), 'recording')} of {counted(people, 'participant')}")
        for note in found.notes:
            click.echo(f"note: {note}")
        click.echo(f"in {found.folder}: {', '.join(file.name for file in found.files)}")
    if found.failures:
        left_out = counted(len(found.failures), "recording")
        raise FerwatchError(
            f"{left_out} {'is' if len(found.failures) == 1 else 'are'} left out: {'; '.join(found.failures)}"
        )
