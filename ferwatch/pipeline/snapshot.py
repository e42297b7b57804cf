"""Snapshots: an image, or a video at a given time, with the same faces that a run over the same pixels finds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import FerwatchError, VideoError
from ferwatch.faces.detection import FaceDetector
from ferwatch.faces.search import search_image
from ferwatch.faces.stream import FaceStream
from ferwatch.faces.tracker import DECISION_SECONDS, FaceTracker
from ferwatch.pipeline.options import DEFAULT_SAMPLING
from ferwatch.pipeline.pictures import read_image
from ferwatch.records import Face, Frame, FrameFaces
from ferwatch.utils.timecode import format_time
from ferwatch.video.picture import letterbox
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import ROUNDING

MAX_NEIGHBOURS = 3
"""Frames kept on either side of a snapshot, whether they are sampled or not."""
MAX_NEIGHBOUR_SECONDS = 0.25
"""Frames further away in time than this are not kept as neighbours."""


@dataclass(frozen=True)
class Snapshot:
    """One picture and the faces in it."""

    name: str
    """Display name, for example "interview.mp4 at 0:12.300" or "pair.jpg"."""
    image: NDArray[np.uint8]
    """(height, width, 3) BGR."""
    faces: list[Face]
    """Faces with ids: in a video those of its run; in an image from 1, left to right."""
    timestamp: float | None = None
    """Presentation time in seconds; None for an image."""
    neighbours: list[Frame] = field(default_factory=list)
    """Frames of the video just before and after this one; empty for an image."""

    def face(self, face_id: int) -> Face:
        """Return the face with this id; raise FerwatchError, naming the ids that exist, where there is none."""
        for face in self.faces:
            if face.face_id == face_id:
                return face
        known_ids = ", ".join(str(face.face_id) for face in self.faces) or "none"
        raise FerwatchError(f"{self.name}: there is no face {face_id}; the faces found are: {known_ids}")


def is_image(path: Path) -> bool:
    """Return whether a file is a still image that OpenCV can read."""
    return path.is_file() and cv2.haveImageReader(str(path))


def image_snapshot(path: Path, detector: FaceDetector) -> Snapshot:
    """Return an image file and its faces, numbered from left to right.

    The faces are those that a run finds in a video that shows only this picture. Raises DataError where the file is
    damaged.
    """
    image = read_image(path)
    (tracked,) = FaceTracker().track([FrameFaces(0, 0.0, tuple(search_image(image, detector)))])
    return Snapshot(path.name, image, list(tracked.faces))


def video_snapshots(path: Path, times: Sequence[float], detector: FaceDetector) -> list[Snapshot]:
    """Return a video's snapshot at each of the given times, in the order given.

    The video is followed from its start at ten samples a second, as a run does, so that boxes, crops and face ids are
    those of its frames.csv. Each snapshot is the sample nearest to its time.

    Args:
        times: seconds from the start of the video, in any order.

    Raises VideoError where a time lies after the end of the video.
    """
    requests = [_Request(time) for time in times]
    with VideoReader(path, end=max(times) + 2 * DECISION_SECONDS) as reader:
        samples = _keep_requested(reader, requests)
        candidates = FaceStream(detector).follow(samples)
        faces_by_index = {tracked.index: list(tracked.faces) for tracked in FaceTracker().track(candidates)}
        frame_seconds = 1 / reader.info.fps
        size = (reader.info.width, reader.info.height)
    return [_snapshot(path, request, faces_by_index, frame_seconds, size) for request in requests]


@dataclass
class _Request:
    """A time asked for, and what has been kept for it while the video goes by."""

    time: float
    frame: Frame | None = None
    """The sampled frame nearest to `time` so far."""
    neighbours: list[Frame] = field(default_factory=list)
    neighbours_to_come: int = 0
    """Number of frames after `frame` that are still to be kept."""
    last_timestamp: float = 0.0
    """Timestamp of the video's last frame so far, in seconds."""
    end: float = 0.0
    """Time until which that frame is shown, in seconds."""

    def is_nearer(self, frame: Frame) -> bool:
        return self.frame is None or self._distance(frame) < self._distance(self.frame)

    def _distance(self, frame: Frame) -> float:
        """Seconds between a frame and the time asked for; 0 where the frame stands on the screen at that time."""
        duration = frame.duration or 0.0
        if DEFAULT_SAMPLING.is_long(duration) and frame.timestamp <= self.time < frame.timestamp + duration:
            return 0.0
        return abs(frame.timestamp - self.time)


def _keep_requested(frames: Iterable[Frame], requests: Sequence[_Request]) -> Iterator[Frame]:
    """Yield the frames that a run samples, and keep each requested one with its neighbours."""
    last_cell = -1
    before: deque[Frame] = deque(maxlen=MAX_NEIGHBOURS)
    for number, frame in enumerate(frames):
        cell = DEFAULT_SAMPLING.cell(number, frame.timestamp)
        sampled = cell > last_cell or DEFAULT_SAMPLING.is_long(frame.duration or 0.0)
        for request in requests:
            request.last_timestamp = frame.timestamp
            request.end = frame.timestamp + (frame.duration or 0.0)
            if sampled and request.is_nearer(frame):
                request.frame, request.neighbours = frame, list(before)
                request.neighbours_to_come = MAX_NEIGHBOURS
            elif request.neighbours_to_come:
                request.neighbours.append(frame)
                request.neighbours_to_come -= 1
        before.append(frame)
        if sampled:
            last_cell = cell
            yield frame


def _snapshot(
    path: Path,
    request: _Request,
    faces_by_index: dict[int, list[Face]],
    frame_seconds: float,
    size: tuple[int, int],
) -> Snapshot:
    """Return what was kept for a request; `size` is width and height of the video's frame in pixels."""
    frame, end = request.frame, request.last_timestamp
    if frame is None or request.time > max(end + frame_seconds, request.end) + ROUNDING:
        raise VideoError(f"{path} ends at {format_time(end)}: there is no frame at {format_time(request.time)}")
    return Snapshot(
        f"{path.name} at {format_time(frame.timestamp)}",
        letterbox(frame.image, frame.placement, size),
        faces_by_index[frame.index],
        frame.timestamp,
        [f for f in request.neighbours if abs(f.timestamp - frame.timestamp) <= MAX_NEIGHBOUR_SECONDS],
    )
