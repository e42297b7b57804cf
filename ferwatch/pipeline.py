"""The main job as a stream: frames in, results out, in order. Every part is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ferwatch.background import background
from ferwatch.records import Face, FaceResult, Frame, FrameResult

Found = tuple[int, float, list[Face]]
"""index, timestamp and faces of one sampled frame."""

FRAMES_AHEAD = 2
"""How many decoded frames may wait for the next stage."""

FACES_AHEAD = 64
"""How many frames' faces may: they are small, and the finder should not have to wait for a pass of the classifier."""

FACES_A_PASS = 16
"""How many faces are gathered for one pass of the classifier, across frames."""


class Finder(Protocol):
    """Finds the faces of frames as they come; faces.FaceFinder is the real one."""

    def watch(self, frames: Iterable[Frame]) -> Iterator[Found]: ...


class Namer(Protocol):
    """Gives faces their ids over time, and drops what is no face; tracking.Tracker is the real one."""

    def track(self, found: Iterable[Found]) -> Iterator[Found]: ...


def track(
    frames: Iterable[Frame],
    finder: Finder,
    tracker: Namer,
    classifier: Callable[[NDArray[np.uint8]], NDArray[np.float64]],
    before_tracking: Callable[[Found], None] = lambda frame: None,
    passes_at_once: int = 1,
) -> Iterator[FrameResult]:
    """Yields one FrameResult for every frame, in their order.

    Decoding, detection and passes of the classifier run side by side, in threads with a short queue between; the
    libraries under them release Python's lock. An error in any of them is raised here and stops the others.
    `before_tracking` sees each frame before the tracker takes it in: where a run keeps the bookmarks to resume from.
    """
    with (
        closing(background(frames, FRAMES_AHEAD)) as decoded,
        closing(background(finder.watch(decoded), FACES_AHEAD)) as found,
    ):
        yield from classify(tracker.track(_shown_to(before_tracking, found)), classifier, passes_at_once)


def _shown_to(see: Callable[[Found], None], found: Iterable[Found]) -> Iterator[Found]:
    for frame in found:
        see(frame)
        yield frame


def classify(
    found: Iterable[Found], classifier: Callable[[NDArray[np.uint8]], NDArray[np.float64]], passes_at_once: int = 1
) -> Iterator[FrameResult]:
    """Gathers the crops of several frames into one pass of the classifier, and keeps several passes going."""
    going: deque[tuple[list[Found], Future[NDArray[np.float64]] | None]] = deque()
    with ThreadPoolExecutor(passes_at_once) as pool:
        for frames in _gathered(found):
            crops = [face.crop for _, _, faces in frames for face in faces]
            going.append((frames, pool.submit(classifier, np.stack(crops)) if crops else None))
            if len(going) > passes_at_once:
                yield from _results(*going.popleft())
        while going:
            yield from _results(*going.popleft())


def _gathered(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Frames in groups that hold about as many faces as one pass takes."""
    group: list[Found] = []
    faces = 0
    for frame in found:
        group.append(frame)
        faces += len(frame[2])
        # Frames without a face must not wait for ever for the next face.
        if faces >= FACES_A_PASS or len(group) >= 4 * FACES_A_PASS:
            yield group
            group, faces = [], 0
    if group:
        yield group


def _results(found: Sequence[Found], answers: Future[NDArray[np.float64]] | None) -> Iterator[FrameResult]:
    rows = iter(answers.result() if answers is not None else ())
    for index, timestamp, faces in found:
        yield FrameResult(
            index,
            timestamp,
            tuple(
                FaceResult(face.face_id, face.score, face.box, tuple(next(rows).tolist()))
                for face in sorted(faces, key=lambda face: face.face_id)
            ),
        )
