"""`ferwatch agree`: agreement with human coders on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from ferwatch.cli.options import FILE


class TakesLists(click.Command):
    """A command whose option --codes takes every argument up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        in_list = False
        for i, argument in enumerate(args):
            if argument.startswith("--"):
                in_list = argument == "--codes"
            elif in_list and args[i - 1] != "--codes":
                spread.append("--codes")
            spread.append(argument)
        return super().parse_args(ctx, spread)


@click.command(cls=TakesLists)
@click.argument("runs", nargs=-1, required=True, type=FILE, metavar="RUN|STUDY|FILE...")
@click.option(
    "--codes", required=True, multiple=True, type=FILE, metavar="FILE...", help="Codes, or a run, to compare with."
)
@click.option("--as", "renames", multiple=True, metavar="LABEL=NAME", help="Count a label as another; LABEL= drops it.")
@click.option(
    "--tier",
    "tiers",
    multiple=True,
    metavar="NAME",
    help="A tier (ELAN) or subject (BORIS), of the files that have it; repeatable: several of one file count together.",
)
@click.option("--uncoded", metavar="LABEL", help="What time without a code counts as.  [default: not compared]")
@click.option("--face", type=click.IntRange(min=1), metavar="N", help="A face_id.  [default: the one with most time]")
@click.option("--out", type=FILE, metavar="DIR", help="Write agreement.txt, .json and .png there.")
def agree(
    runs: tuple[Path, ...],
    codes: tuple[Path, ...],
    renames: tuple[str, ...],
    tiers: tuple[str, ...],
    uncoded: str | None,
    face: int | None,
    out: Path | None,
) -> None:
    """Compares a run, or all runs of a study, with human codes: ELAN (.eaf), BORIS (a project or a table of events),
    tables with start, end and label, or a second run. Two coders' files can be compared with each other too.

    \b
    ferwatch agree interview-ferwatch --codes interview.eaf --tier Anna --as smile=happy --as laugh=happy
    ferwatch agree study --codes codes/*.tsv --uncoded neutral --out agreement
    ferwatch agree coder1.eaf --codes coder2.eaf
    """
    from ferwatch.study.agreement import compute_agreement
    from ferwatch.study.agreement_report import as_text, write_agreement
    from ferwatch.study.film_times import film_warnings
    from ferwatch.study.pairing import check_tiers, pair_up, read_sides

    rename = dict(_rename(text) for text in renames)
    others = [side for path in runs for side in read_sides(path, face=face, tiers=tiers)]
    references = [side for path in codes for side in read_sides(path, tiers=tiers)]
    check_tiers([*references, *others], tiers)
    pairs, warnings = pair_up(references, others, rename, uncoded)
    agreement = compute_agreement(pairs, [*warnings, *film_warnings(pairs)])
    click.echo(as_text(agreement))
    if out is not None:
        files = write_agreement(agreement, out)
        click.echo(f"\nin {out}: {', '.join(file.name for file in files)}")


def _rename(text: str) -> tuple[str, str]:
    label, equals, name = text.partition("=")
    if not equals or not label:
        raise click.UsageError(f"--as {text}: give LABEL=NAME, for instance smile=happy")
    return label, name
