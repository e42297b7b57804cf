#!/usr/bin/env python3
"""Computes the figures of docs/validity.md: `ferwatch agree` on all clips of a folder that are coded in a table.

python benchmarks/validity.py [--clips ../shared/people/clips] [--codes ../shared/people/clips.csv] [--out DIR]

The table has the columns file, label, start and end. Each clip is analysed with the shipped weights of the default
model; codes of "unclear" are dropped. Prints the agreement over all clips, and over the three clips lp_d0, lp_d3 and
lp_d8 alone; `--out` keeps the runs, the codes, and agreement.txt, .json and .png. A clip that cannot be analysed is
named.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from ferwatch import Analyzer
from ferwatch.errors import FerwatchError
from ferwatch.pipeline.executors import cores
from ferwatch.study.agreement import Agreement, compute_agreement
from ferwatch.study.agreement_report import as_text, write_agreement
from ferwatch.study.pairing import Side, pair_up, read_sides

SHARED = Path(__file__).parents[2] / "shared" / "people"
THREE = ("lp_d0", "lp_d3", "lp_d8")


def read_codes(table: Path) -> dict[str, list[tuple[str, str, str]]]:
    """Return start, end and label of every code, by the name of the clip."""
    codes: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    with open(table, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            codes[Path(row["file"]).stem].append((row["start"], row["end"], row["label"]))
    return codes


def as_markdown(agreement: Agreement) -> str:
    """Return the table of docs/validity.md."""
    bounds = agreement.kappa_interval
    interval = f"95% interval {bounds[0]:.2f} to {bounds[1]:.2f}" if bounds else "no interval"
    coded = [one for one in agreement.by_label if one.reference_seconds]
    labels, kappas = ", ".join(one.label for one in coded), ", ".join(f"{one.kappa:.2f}" for one in coded)
    onset, score = agreement.onset, agreement.matching
    rows = [
        ("agreement by time", f"{agreement.raw_agreement:.2f}"),
        ("Cohen's kappa by time", f"{agreement.kappa:.2f}; {interval}"),
        (f"kappa of one label: {labels}", kappas),
        ("kappa by events (Holle & Rein 2015)", f"{agreement.events_kappa:.2f}"),
        (
            "onsets, ferwatch less the coder",
            f"median {onset.median:+.2f} s, quartiles {onset.lower_quartile:+.2f} to {onset.upper_quartile:+.2f} s, "
            f"{onset.count} events",
        ),
    ]
    if score is not None:
        matched, events = sum(score.matched.values()), sum(score.events.values())
        rows.append(
            (
                "matching score (Stöckli et al. 2018)",
                f"{matched} of {events} events; mean over emotions {score.mean:.0%}",
            )
        )
    return "\n".join(f"| {name} | {value} |" for name, value in [("figure", "value"), ("---", "---"), *rows])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=SHARED / "clips")
    parser.add_argument("--codes", type=Path, default=SHARED / "clips.csv")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    left_out = []
    with tempfile.TemporaryDirectory() as temporary:
        out = args.out or Path(temporary)
        (out / "codes").mkdir(parents=True, exist_ok=True)
        sides: list[tuple[Side, Side]] = []
        analyzer = Analyzer(threads=cores())
        for name, codes in sorted(read_codes(args.codes).items()):
            table = out / "codes" / f"{name}.tsv"
            table.write_text("\n".join("\t".join(line) for line in [("start", "end", "label"), *codes]) + "\n")
            try:
                run = analyzer.analyze(
                    args.clips / f"{name}.mp4", out / f"{name}-ferwatch", annotate=False, overwrite=True
                )
                sides.append((read_sides(table)[0], read_sides(run.folder)[0]))
            except FerwatchError as error:
                left_out.append(f"{name}: {error}")
        for title, chosen in (("All clips", None), ("lp_d0, lp_d3, lp_d8", THREE)):
            own = [(a, b) for a, b in sides if chosen is None or Path(b.run.source if b.run else "").stem in chosen]
            if not own:
                print(f"== {title} ==\n\nnone of these clips is there\n")
                continue
            pairs, warnings = pair_up([a for a, _ in own], [b for _, b in own], {"unclear": ""}, None)
            agreement = compute_agreement(pairs, warnings)
            print(f"== {title} ==\n\n{as_text(agreement)}\n\n{as_markdown(agreement)}\n")
            if args.out and chosen is None:
                write_agreement(agreement, args.out)
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    return int(bool(left_out))


if __name__ == "__main__":
    sys.exit(main())
