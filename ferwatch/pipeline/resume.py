"""Bookmarks: what an interrupted run needs to go on as if nothing had happened."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import floor
from pathlib import Path
from typing import Any

from ferwatch.errors import OutputError
from ferwatch.faces.stream import FULL_SEARCH_SECONDS
from ferwatch.faces.tracker import FaceTracker
from ferwatch.records import FrameFaces
from ferwatch.utils.files import atomic_write

SECONDS_BETWEEN = 1.0
"""Of the clock on the wall, at least, between two bookmarks."""


@dataclass(frozen=True)
class Finished:
    """What is known when a video has been read to its end."""

    frames_decoded: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Bookmark:
    """A place where a run can be taken up."""

    settings: dict[str, Any]
    """What the rows depend on: the video, the model, the sampling."""
    frame: int = 0
    """The first frame to look at again."""
    frames_written: int = 0
    offset: int = 0
    """Bytes of the partial table that hold the rows of those frames."""
    tracker: dict[str, Any] | None = None
    """FaceTracker.state() before it took in `frame`; None: nothing was taken in yet."""
    finished: Finished | None = None
    """Once the last row is written: what run.json says of the reading."""

    def save(self, path: Path) -> None:
        with atomic_write(path) as temp_path:
            temp_path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def read_bookmark(path: Path, settings: Mapping[str, Any]) -> Bookmark:
    """Reads resume.json, and makes sure that the run it belongs to had the same settings.

    Raises OutputError where there is nothing to resume, or it was another run.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        finished = values.pop("finished")
        bookmark = Bookmark(**values, finished=Finished(**finished) if finished else None)
    except FileNotFoundError:
        raise OutputError(f"{path.parent} holds no interrupted run to resume; leave out --resume") from None
    except (OSError, ValueError, TypeError, KeyError) as cause:
        raise OutputError(f"{path} cannot be read ({cause}); start again with --overwrite") from None
    for name, value in settings.items():
        if bookmark.settings.get(name) != value:
            before = bookmark.settings.get(name)
            raise OutputError(
                f"cannot resume {path.parent}: its {name} was {before}, now it is {value}; "
                "give the same options, or --overwrite"
            )
    return bookmark


class Bookmarks:
    """Keeps resume.json beside the rows while a run goes on.

    A run can be taken up at a frame that the FaceStream searches without regard to those before it, with the tracker as
    it was then, once the rows of every frame that the tracker had let go are written. What was written after that is
    cut off and written again.
    """

    def __init__(self, path: Path, begin: Bookmark, tracker: FaceTracker) -> None:
        self._path = path
        self._settings = begin.settings
        self._tracker = tracker
        self._taken = begin.frames_written + len(begin.tracker["waiting"] if begin.tracker else ())
        self._period: int | None = None
        self._next: Bookmark | None = None
        self._saved_at = time.monotonic()

    def before(self, frame: FrameFaces) -> None:
        """To be called with each frame before the tracker takes it in."""
        period = floor(frame.timestamp / FULL_SEARCH_SECONDS)
        due = time.monotonic() - self._saved_at > SECONDS_BETWEEN
        if period != self._period and due and self._next is None:
            state = self._tracker.state()
            let_go = self._taken - len(state["waiting"])
            self._next = Bookmark(self._settings, frame=frame.index, frames_written=let_go, tracker=state)
        self._period = period
        self._taken += 1

    def written(self, frames: int, offset: int) -> None:
        """To be called when the rows of so many frames are written, up to the byte `offset`."""
        if self._next is not None and frames == self._next.frames_written:
            mark = self._next
            Bookmark(mark.settings, mark.frame, frames, offset, mark.tracker).save(self._path)
            self._next, self._saved_at = None, time.monotonic()
