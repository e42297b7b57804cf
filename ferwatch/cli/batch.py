"""`ferwatch batch`: many videos on the command line."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ferwatch.cli.options import Place, analysis_options, check_engine, engine_options, options_from
from ferwatch.utils.url import Url

if TYPE_CHECKING:
    from ferwatch.pipeline.manifest import ManifestEntry


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="FOLDER|LIST|GLOB...")
@click.option("--out", type=Place(), required=True, metavar="DIR", help="The folder of all runs.")
@analysis_options
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Videos at a time here.  [default: one a core]")
@engine_options
@click.option("--overwrite", is_flag=True, help="Replace runs that were made with other settings.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def batch(
    sources: tuple[str, ...],
    out: Path | Url,
    jobs: int | None,
    engine: str,
    address: str | None,
    overwrite: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Analyse every video of a folder, of a list (a text file with one path a line, or a CSV table) or of a pattern.

    Each gets its own run folder in DIR; all-frames.csv holds the rows of all, batch.json how each went. A video that
    fails does not stop the others; the exit code is then 1. A second call analyses only what is missing.

    \b
    ferwatch batch recordings --out results
    ferwatch batch 'recordings/*.mov' --out results --no-video --jobs 4
    ferwatch batch list.txt --out /shared/results --engine ray --address auto
    ferwatch batch s3://bucket/recordings --out s3://bucket/results
    """
    check_engine(engine, address, jobs, "--jobs")
    options = options_from(values)

    from tqdm import tqdm

    from ferwatch.errors import FerwatchError
    from ferwatch.pipeline.executors import LocalProcesses, cores
    from ferwatch.pipeline.ray_cluster import RayCluster
    from ferwatch.pipeline.remote_batch import run_batch_at
    from ferwatch.pipeline.video_files import find_videos

    found = find_videos(sources)
    if found.passed_over and not quiet:
        click.echo(f"ferwatch: no videos, passed over: {listed([f.name for f in found.passed_over])}", err=True)
    if not quiet and any(isinstance(video.path, Url) for video in found.videos):
        click.echo("ferwatch: videos at URLs are copied to temporary files, which are removed after each", err=True)
    worked_on = 0
    with tqdm(total=len(found.videos), unit=" videos", disable=quiet or not sys.stderr.isatty(), leave=False) as bar:

        def report(entry: ManifestEntry, finished: int) -> None:
            nonlocal worked_on
            worked_on += 1
            bar.update(finished - bar.n)
            if entry.cause:
                bar.write(f"ferwatch: failed: {entry.cause}", file=sys.stderr)
            for warning in () if quiet else entry.warnings:
                bar.write(f"ferwatch: warning: {entry.video}: {warning}", file=sys.stderr)

        with RayCluster(address, jobs) if engine == "ray" else LocalProcesses(jobs or cores()) as executor:
            result = run_batch_at(found, out, options, executor, overwrite=overwrite, report=report)
    entries = result.entries
    failed = sum(entry.state == "failed" for entry in entries)
    done = len(entries) - failed
    if not quiet:
        if result.absent:
            names = listed([entry.video for entry in result.absent])
            click.echo(f"not among these videos any more, and left out of all-frames.csv: {names}")
        click.echo(f"{done} of {len(entries)} videos done, {len(entries) - worked_on} of them before")
        parquet = "all-frames.parquet, " if find_spec("pyarrow") else ""
        click.echo(f"in {out}: a folder for each, all-frames.csv, {parquet}batch.json")
    if failed:
        raise FerwatchError(f"{failed} of {len(entries)} videos failed; {out / 'batch.json'} says why")


MAX_LISTED = 10
"""Largest number of names in a message; batch.json has all of them."""


def listed(names: list[str]) -> str:
    """Return names as text for a message: all of them, or the first ten and the number of the others."""
    more = f" and {len(names) - MAX_LISTED} more, see batch.json" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
