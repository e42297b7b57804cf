"""The main job as a stream: frames in, results out, in order. Every part is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ferwatch.faces.detection import FaceDetector
from ferwatch.faces.stream import FaceStream
from ferwatch.records import FaceResult, Frame, FrameFaces, FrameResult
from ferwatch.utils.prefetch import prefetch

FRAMES_AHEAD = 16
"""How many frames are read ahead."""
FACES_A_PASS = 16
"""How many faces are gathered for one pass of the classifier, across frames."""


class Namer(Protocol):
    """Gives faces their ids over time, and drops what is no face; tracking.FaceTracker is the real one."""

    def track(self, found: Iterable[FrameFaces]) -> Iterator[FrameFaces]: ...


def track(
    frames: Iterable[Frame],
    detector: FaceDetector,
    tracker: Namer,
    classifier: Callable[[NDArray[np.uint8]], NDArray[np.float64]],
    before_tracking: Callable[[FrameFaces], None] = lambda frame: None,
    passes_at_once: int = 1,
) -> Generator[FrameResult, None, None]:
    """Yields one FrameResult for every frame, in their order.

    One thread decodes, detects and aligns, the caller's does the rest, but for passes of a slow classifier. An error in
    any of them is raised here and stops the others.
    `before_tracking` sees each frame before the tracker takes it in: where a run keeps the bookmarks to resume from.
    """
    with closing(prefetch(FaceStream(detector).follow(frames), FRAMES_AHEAD)) as found:
        yield from classify(tracker.track(_shown_to(before_tracking, found)), classifier, passes_at_once)


def _shown_to(see: Callable[[FrameFaces], None], found: Iterable[FrameFaces]) -> Iterator[FrameFaces]:
    for frame in found:
        see(frame)
        yield frame


def classify(
    found: Iterable[FrameFaces], classifier: Callable[[NDArray[np.uint8]], NDArray[np.float64]], passes_at_once: int = 1
) -> Generator[FrameResult, None, None]:
    """Gathers the crops of several frames into one pass of the classifier.

    While passes take less time than their faces take to come, they are done here, and the detector works ahead:
    another busy thread would cost more than it gains. Dearer ones go on side by side in threads.
    """
    going: deque[Future[list[FrameResult]]] = deque()
    finding = passing = 0.0  # seconds so far

    def answer(frames: list[FrameFaces]) -> list[FrameResult]:
        nonlocal passing
        crops = [face.crop for frame in frames for face in frame.faces]
        if not crops:
            return _results(frames, ())
        began = perf_counter()
        answers = classifier(np.stack(crops))
        passing += perf_counter() - began
        return _results(frames, answers)

    with ThreadPoolExecutor(passes_at_once) as pool:
        began = perf_counter()
        for frames in _gathered(found):
            finding += perf_counter() - began
            if passing < finding:
                while going:
                    yield from going.popleft().result()
                yield from answer(frames)
            else:
                going.append(pool.submit(answer, frames))
                if len(going) > passes_at_once:
                    yield from going.popleft().result()
            began = perf_counter()
        while going:
            yield from going.popleft().result()


def _gathered(found: Iterable[FrameFaces]) -> Iterator[list[FrameFaces]]:
    """Frames in groups that hold about as many faces as one pass takes."""
    group: list[FrameFaces] = []
    faces = 0
    for frame in found:
        group.append(frame)
        faces += len(frame.faces)
        # Frames without a face must not wait for ever for the next face.
        if faces >= FACES_A_PASS or len(group) >= 4 * FACES_A_PASS:
            yield group
            group, faces = [], 0
    if group:
        yield group


def _results(found: Iterable[FrameFaces], answers: Iterable[NDArray[np.float64]]) -> list[FrameResult]:
    rows = iter(answers)
    return [
        FrameResult(
            frame.index,
            frame.timestamp,
            tuple(
                FaceResult(face.face_id, face.score, face.bbox, tuple(next(rows).tolist()))
                for face in sorted(frame.faces, key=lambda face: face.face_id)
            ),
            frame.duration,
        )
        for frame in found
    ]
