"""Moments: an image, or a video at a given time, with the faces in it as a run over the same pixels finds them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import DataError, FerwatchError, VideoError
from ferwatch.faces.search import FaceFinder
from ferwatch.faces.tracker import DECISION_SECONDS, FaceTracker
from ferwatch.pipeline.options import TEN_A_SECOND
from ferwatch.records import Face, Frame, FrameFaces
from ferwatch.utils.timecode import format_time
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import ROUNDING

NEIGHBOURS = 3
"""Frames kept on either side of a moment, whether sampled or not,"""
NEARBY = 0.25
"""as long as they are no further away, in seconds."""


@dataclass(frozen=True)
class Moment:
    """A picture and its faces."""

    name: str
    """For people: "interview.mp4 at 0:12.300", "pair.jpg"."""
    image: NDArray[np.uint8]
    """(H, W, 3) BGR"""
    faces: list[Face]
    """Named by face_id: in a video as in its run, in an image from 1, left to right."""
    time: float | None = None
    """Seconds; None for an image."""
    neighbours: list[Frame] = field(default_factory=list)
    """The frames of a video around this one."""

    def face(self, face_id: int) -> Face:
        """The face of that id; raises FerwatchError, which names those that are there."""
        for face in self.faces:
            if face.face_id == face_id:
                return face
        there = ", ".join(str(face.face_id) for face in self.faces) or "none"
        raise FerwatchError(f"{self.name}: there is no face {face_id}; the faces found are: {there}")


def is_image(path: Path) -> bool:
    """Whether a file is a still picture that OpenCV reads."""
    return path.is_file() and cv2.haveImageReader(str(path))


def image_moment(path: Path, finder: FaceFinder) -> Moment:
    """An image file and its faces from left to right: those that a run counts in a video of this one picture.

    Raises DataError where the file is damaged.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise DataError(f"{path} cannot be read as an image: it is damaged")
    picture = np.asarray(image, np.uint8)
    (found,) = FaceTracker().track([FrameFaces(0, 0.0, tuple(finder.find(picture)))])
    return Moment(path.name, picture, list(found.faces))


def video_moments(
    path: Path,
    times: Sequence[float],
    finder: FaceFinder,
    on_frame: Callable[[float], None] = lambda _: None,
) -> list[Moment]:
    """A video at each of the given times, in their order: the sample of a run that is nearest.

    The video is followed from its start at ten samples a second, as a run does, so that boxes, crops and face ids are
    those of its frames.csv. `on_frame` is told the time of each frame. Raises VideoError where a time lies after the
    video's end.
    """
    wanted = [_Wanted(time) for time in times]
    with VideoReader(path, end=max(times) + 2 * DECISION_SECONDS) as reader:
        found = {f.index: list(f.faces) for f in FaceTracker().track(finder.watch(_samples(reader, wanted, on_frame)))}
    for want in wanted:
        if want.frame is None or want.time > want.last + 1 / reader.info.fps + ROUNDING:
            raise VideoError(f"{path} ends at {format_time(want.last)}: there is no frame at {format_time(want.time)}")
    return [
        Moment(
            f"{path.name} at {format_time(want.frame.timestamp)}",
            want.frame.image,
            found[want.frame.index],
            want.frame.timestamp,
            [f for f in want.neighbours if abs(f.timestamp - want.frame.timestamp) <= NEARBY],
        )
        for want in wanted
        if want.frame
    ]


@dataclass
class _Wanted:
    """What is kept of a video for one time while it runs by."""

    time: float
    frame: Frame | None = None
    neighbours: list[Frame] = field(default_factory=list)
    missing: int = 0
    """Neighbours after the frame that are still to come."""
    last: float = 0.0
    """The time of the video's last frame so far."""

    def is_nearer(self, frame: Frame) -> bool:
        return self.frame is None or abs(frame.timestamp - self.time) < abs(self.frame.timestamp - self.time)


def _samples(frames: Iterable[Frame], wanted: Sequence[_Wanted], on_frame: Callable[[float], None]) -> Iterator[Frame]:
    """The frames that a run samples; on the way each wanted one is kept with its neighbours."""
    taken = -1
    before: deque[Frame] = deque(maxlen=NEIGHBOURS)
    for number, frame in enumerate(frames):
        on_frame(frame.timestamp)
        cell = TEN_A_SECOND.cell(number, frame.timestamp)
        sampled = cell > taken
        for want in wanted:
            want.last = frame.timestamp
            if sampled and want.is_nearer(frame):
                want.frame, want.neighbours, want.missing = frame, list(before), NEIGHBOURS
            elif want.missing:
                want.neighbours.append(frame)
                want.missing -= 1
        before.append(frame)
        if sampled:
            taken = cell
            yield frame
