"""The progress callback of long work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Function that is called with the stage, how much of it is done, and about how much there is; 0: unknown."""


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
