"""Stopwatch: measures the seconds that each stage of a run takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Stopwatch:
    """The seconds that each stage of a run took."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Stage -> seconds, to the millisecond."""

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Measure the body of a `with` statement as this stage."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = round(time.monotonic() - started, 3)
