"""Progress bars on a terminal; nothing is shown where stderr is not one."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm

UNITS = {"timeline": "files"}
"""Stage -> unit of its progress bar; frames for all others."""

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt}{unit}, {remaining} left"


class ProgressBars:
    """One bar for each stage, with the time left; the next stage's bar takes the place of the one before."""

    def __init__(self, hidden: bool) -> None:
        self._hidden = hidden or sys.stderr is None or not sys.stderr.isatty()
        self._stage = ""
        self._bar: tqdm | None = None

    def __enter__(self) -> ProgressBars:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of about `total` are done in this stage; 0: the total is unknown."""
        if self._hidden:
            return
        if stage != self._stage:
            if self._bar is not None:
                self._bar.close()
            # The time left goes by the mean rate of the stage so far, not by that of the latest moments, and what was
            # done before the bar appeared does not count as done in no time.
            self._stage = stage
            self._bar = tqdm(
                desc=stage,
                total=total or None,
                initial=done,
                unit=f" {UNITS.get(stage, 'frames')}",
                smoothing=0,
                leave=False,
                bar_format=BAR if total else None,
            )
        assert self._bar is not None
        if total and self._bar.total != total:
            self._bar.total = total
        self._bar.update(done - self._bar.n)
