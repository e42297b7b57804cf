"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return "1 recording", "2 recordings" and so on."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
