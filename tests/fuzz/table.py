"""Prints the table of docs/reliability.md from what fuzz.py and interrupts.py measured with --record.

python tests/fuzz/table.py
"""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results.json"
COLUMNS = ("what", "seed", "tried", "ended well", "did not", "slowest")

Row = dict[str, str | int]


def table(rows: list[Row]) -> str:
    """Rows as a Markdown table."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *([row[column] for column in COLUMNS] for row in rows)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def record(row: Row) -> None:
    """Adds a row, or replaces the one of the same kind and seed."""
    others = [r for r in recorded() if (r["what"], r["seed"]) != (row["what"], row["seed"])]
    RESULTS.write_text(json.dumps([*others, row], indent=1) + "\n", encoding="utf-8")


def recorded() -> list[Row]:
    return list(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else []


if __name__ == "__main__":
    print(table(recorded()))
