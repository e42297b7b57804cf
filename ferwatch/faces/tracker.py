"""FaceTracker: decides which detections are faces, and which of them show the same person over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ferwatch.faces.similarity import Descriptor, gradient_descriptor
from ferwatch.faces.tiles import is_scene_change
from ferwatch.faces.track import MAX_VIEWS, Track
from ferwatch.records import Face, FrameFaces

DECISION_SECONDS = 0.5
"""Longest time in seconds of video for which a frame is held back until its detections are decided: whether they are
faces, and whether the faces were seen before."""
LOST_SECONDS = 1.5
"""Seconds without a detection after which a track is lost; longer if samples lie far apart (LOST_INTERVALS)."""
LOST_INTERVALS = 2.1
"""Sample intervals without a detection before a track may be lost: a face has to be missed twice."""
CONTINUED_SIMILARITY = 0.35
"""Smallest similarity that continues a track right after its last detection."""
NEW_SCENE_SIMILARITY = 0.74
"""Smallest similarity that continues a track into a new scene or after FORGOTTEN_SECONDS, when position says nothing
about identity."""
FORGOTTEN_SECONDS = 3.0
"""Seconds of absence over which the required similarity rises from CONTINUED_SIMILARITY to NEW_SCENE_SIMILARITY."""
MAX_SCENE_CHANGE_SECONDS = 0.5
"""Longest time between two samples at which a changed picture means a new scene; over a longer one pictures change
anyway."""
RECOGNITION_SIMILARITY = 0.74
"""Smallest similarity at which a new track gets the id of a lost one. Lower values down to 0.5 join more tracks of one
person in `benchmarks/identity.py`, but two people of its clips reach 0.73: an uncertain face starts a new id."""
MAX_REMEMBERED = 200
"""Largest number of lost tracks that are kept for recognition: the latest ones."""
FORBIDDEN_COST = 1e6
"""Cost of an association that is ruled out."""


class FaceTracker:
    """Tracks faces through a video by position, size and similarity (optimal assignment frame by frame).

    All times are those of the video, so any sampling works, including an irregular one. A track becomes a face when the
    mean score of its recent detections reaches FACE_SCORE, and is dropped if that never happens. A face that
    is missed for a short time and comes back near its predicted position continues its track; one that comes back later
    or elsewhere gets its id again if it is similar enough to its earlier views.
    """

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._remembered: list[Track] = []
        self._held: deque[tuple[FrameFaces, list[Track]]] = deque()
        self._next_id = 1
        self._index, self._time = -1, 0.0  # index and seconds of the latest frame
        self._brightness: NDArray[np.uint8] | None = None  # of the latest frame
        self._scene_start = 0.0  # seconds: the first frame of the latest scene

    def track(self, frames: Iterable[FrameFaces]) -> Iterator[FrameFaces]:
        """Yield the same frames in order, with confirmed faces only, each with its face_id, sorted by it.

        Timestamps must not decrease. A frame is held back while a face in it is undecided: for half a second of video,
        or for one sample where samples lie further apart.
        """
        for frame in frames:
            self._update(frame)
            yield from self._release(frame.timestamp - DECISION_SECONDS)
        yield from self._release(float("inf"))

    def _update(self, frame: FrameFaces) -> None:
        """Continue tracks with the faces of the next frame, or begin new ones."""
        time, faces = frame.timestamp, frame.faces
        lost_after = LOST_SECONDS
        if self._index >= 0:
            lost_after = max(LOST_SECONDS, LOST_INTERVALS * (time - self._time))
        lost = [track for track in self._tracks if time - track.last_seen > lost_after]
        self._remembered = (self._remembered + [track for track in lost if track.confirmed])[-MAX_REMEMBERED:]
        self._tracks = [track for track in self._tracks if track not in lost]
        if time - self._time <= MAX_SCENE_CHANGE_SECONDS and is_scene_change(self._brightness, frame.brightness):
            self._scene_start = time

        descriptors = [gradient_descriptor(f.crop) if f.descriptor is None else f.descriptor for f in faces]
        continued = self._associate(faces, descriptors, time)
        tracks = []
        for number, (face, descriptor) in enumerate(zip(faces, descriptors, strict=True)):
            track = continued.get(number)
            if track is None:
                track = Track(face, time, time)
                self._tracks.append(track)
            track.add(face, time, descriptor)
            tracks.append(track)
        self._held.append((frame, tracks))
        self._index, self._time, self._brightness = frame.index, time, frame.brightness

    def _associate(self, faces: Sequence[Face], descriptors: Sequence[Descriptor], time: float) -> dict[int, Track]:
        """Return the track that each face continues, by its position in `faces`; a face without one is missing."""
        costs = np.full((len(faces), len(self._tracks)), FORBIDDEN_COST)
        for column, track in enumerate(self._tracks):
            min_similarity = self._min_similarity(track)
            for row, (face, descriptor) in enumerate(zip(faces, descriptors, strict=True)):
                cost = track.association_cost(face, time, descriptor, min_similarity)
                if cost is not None:
                    costs[row, column] = cost
        pairs = zip(*linear_sum_assignment(costs), strict=True)
        return {int(row): self._tracks[column] for row, column in pairs if costs[row, column] < FORBIDDEN_COST}

    def _min_similarity(self, track: Track) -> float:
        """Return the smallest similarity that continues a track with a face of the next frame."""
        if track.last_seen < self._scene_start:
            return NEW_SCENE_SIMILARITY
        # The absence counts up to the previous sample: where samples lie far apart, the time since then says nothing.
        forgotten = min((self._time - track.last_seen) / FORGOTTEN_SECONDS, 1.0)
        return CONTINUED_SIMILARITY + forgotten * (NEW_SCENE_SIMILARITY - CONTINUED_SIMILARITY)

    def _release(self, until: float) -> Iterator[FrameFaces]:
        """Yield held frames whose tracks are all decided, and every frame up to `until` (seconds)."""
        while self._held:
            frame, tracks = self._held[0]
            if frame.timestamp > until and any(self._is_undecided(track) for track in tracks):
                return
            self._held.popleft()
            faces = []
            for face, track in zip(frame.faces, tracks, strict=True):
                if track.confirmed:
                    track.face_id = track.face_id or self._assign_id(track)
                    faces.append(replace(face, face_id=track.face_id))
            yield replace(frame, faces=tuple(sorted(faces, key=lambda face: face.face_id)))

    def _is_undecided(self, track: Track) -> bool:
        """Return whether later detections may still decide if a track is a face, or whose face it is."""
        return track in self._tracks and (not track.confirmed or (track.face_id == 0 and bool(self._earlier(track))))

    def _earlier(self, track: Track) -> list[Track]:
        """Return the tracks with an id whose last detection lies before a track's first one."""
        return [t for t in self._remembered + self._tracks if t.face_id and t.last_seen < track.first_seen]

    def _assign_id(self, track: Track) -> int:
        """Return the id of the most similar earlier track if it is similar enough, else a new id."""
        known = max(self._earlier(track), key=lambda t: t.similarity(*track.views), default=None)
        if known is None or known.similarity(*track.views) < RECOGNITION_SIMILARITY:
            self._next_id += 1
            return self._next_id - 1
        self._remembered = [t for t in self._remembered if t is not known]
        self._tracks = [t for t in self._tracks if t is not known]
        track.views.extendleft(reversed([*known.views][: MAX_VIEWS - len(track.views)]))
        return known.face_id
