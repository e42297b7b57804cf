"""The table of docs/reliability.md, from what fuzz.py, interrupts.py and long.py measured with --record.

python tests/fuzz/table.py          one line a kind of test
python tests/fuzz/table.py --all    one line a run
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NoReturn

RESULTS = Path(__file__).parent / "results.json"
COLUMNS = ("what", "seed", "tried", "ended well", "did not", "slowest")
SUMMED_COLUMNS = ("what", "runs", "cases", "ended well", "did not", "slowest")

Row = dict[str, str | int]


def table(rows: list[Row], columns: Sequence[str] = COLUMNS) -> str:
    """Rows as a Markdown table."""
    lines = [columns, ["---"] * len(columns), *([row[column] for column in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def record(row: Row) -> None:
    """Adds a row, or replaces the one of the same kind and seed."""
    others = [r for r in recorded() if (r["what"], r["seed"]) != (row["what"], row["seed"])]
    RESULTS.write_text(json.dumps([*others, row], indent=1) + "\n", encoding="utf-8")


def arguments(about: str | None) -> argparse.ArgumentParser:
    """What the three have in common."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="put the row into the table of docs/reliability.md")
    return parser


def cases(parser: argparse.ArgumentParser, count: int, minutes: float) -> None:
    """Adds what says which of a generator's cases to run."""
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--minutes", type=float, default=minutes, help="start no further case after these")


def end(row: Row, asked: argparse.Namespace, *, well: bool) -> NoReturn:
    """Prints the row, records it where that is asked, and exits."""
    print(table([row]))
    if asked.record:
        record(row)
    sys.exit(not well)


def end_of_damage(
    what: str, tried: str, counts: Counter[str], bad: Collection[str], slowest: float, asked: argparse.Namespace
) -> NoReturn:
    """Ends a run over damaged files; `bad` names the counts of those that did not end well."""
    row: Row = {
        "what": what,
        "seed": asked.seed,
        "tried": tried,
        "ended well": f"{counts['done']} with results, {counts['refused']} refused in one line",
        "did not": ", ".join(f"{counts[name]} {name}" for name in bad if counts[name]) or "0",
        "slowest": f"{slowest:.0f} s",
    }
    end(row, asked, well=not any(counts[name] for name in bad))


def recorded() -> list[Row]:
    return list(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else []


def summed(rows: list[Row]) -> list[Row]:
    """One row for each kind of test with seeds: its runs, cases and failures together."""
    together: list[Row] = []
    for kind in dict.fromkeys(row["what"] for row in rows if row["seed"] != ""):
        own = [row for row in rows if row["what"] == kind]
        cases, failed = (sum(_number(str(row[column])) for row in own) for column in ("tried", "did not"))
        slowest = max(int(str(row["slowest"]).split()[0]) for row in own)
        together.append(
            {
                "what": kind,
                "runs": len(own),
                "cases": cases,
                "ended well": cases - failed,
                "did not": failed,
                "slowest": f"{slowest} s" if slowest else "under 1 s",
            }
        )
    return together


def _number(said: str) -> int:
    """The cases that a cell counts: "100: 24 SIGINT, ..." is 100, and "101 videos, 16 tables" is 117."""
    total, colon, _ = said.partition(":")
    return sum(map(int, re.findall(r"\b\d+\b", total if colon and total.isdigit() else said)))


if __name__ == "__main__":
    print(table(recorded()) if "--all" in sys.argv else table(summed(recorded()), SUMMED_COLUMNS))
