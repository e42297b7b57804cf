"""Progress bars on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm


class ProgressBars:
    """One bar a stage, in frames; the next stage's bar takes the place of the one before."""

    def __init__(self, hidden: bool) -> None:
        self._hidden = hidden or not sys.stderr.isatty()
        self._stage = ""
        self._bar: tqdm | None = None

    def __enter__(self) -> ProgressBars:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, stage: str, done: int, total: int) -> None:
        """`done` of about `total` frames of this stage are done; 0: nobody knows how many there are."""
        if self._hidden:
            return
        if stage != self._stage:
            if self._bar is not None:
                self._bar.close()
            self._stage, self._bar = stage, tqdm(desc=stage, total=total or None, unit=" frames", leave=False)
        assert self._bar is not None
        self._bar.update(done - self._bar.n)
