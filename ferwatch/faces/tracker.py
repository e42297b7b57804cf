"""Tracker: which of the things found are faces at all, and who is who over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ferwatch.faces.track import Track, _face, _plain_face, _plain_track, _track
from ferwatch.records import Face, FrameFaces

DECIDE_WITHIN = 0.5
"""Seconds of video for which a frame waits until its faces are decided."""
LOST_FOR = 1.5
"""Seconds for which a lost face is expected near the place where it was; two samples, where they lie further apart."""
KNOWN_FACE = 0.65
"""The likeness from which a face is one that was lost before. Of 1,000 pairs of people in FER2013, one reaches 0.62."""
REMEMBERED = 200
"""Lost faces that can be recognised, at most."""


class Tracker:
    """Follows faces through a video by place, size and likeness (optimal assignment frame by frame), in video time: any
    sampling will do, also an irregular one.

    One good sighting makes a face. A doubtful one waits for better ones; what only flashes up has none and is dropped.
    A face that was lost is recognised where it comes back soon and near, or looks enough like before.
    """

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._remembered: list[Track] = []
        self._waiting: deque[tuple[FrameFaces, list[Track]]] = deque()
        self._next_id = 1
        self._taken, self._time = -1, 0.0

    def track(self, found: Iterable[FrameFaces]) -> Iterator[FrameFaces]:
        """The same frames in the same order with those faces that are, each with its face_id, in the order of the ids.

        Times must not decrease. Frames are held back while a face in them is undecided: for half a second of video, or
        for one sample where they lie further apart.
        """
        for frame in found:
            self._take(frame)
            yield from self._let_go(frame.timestamp - DECIDE_WITHIN)
        yield from self._let_go(float("inf"))

    def _take(self, frame: FrameFaces) -> None:
        time, faces = frame.timestamp, frame.faces
        # Where samples lie far apart, a face is lost only when it was missed twice.
        lost_for = max(LOST_FOR, 2.1 * (time - self._time)) if self._taken >= 0 else LOST_FOR
        lost = [track for track in self._tracks if time - track.seen > lost_for]
        self._remembered = (self._remembered + [track for track in lost if track.confirmed])[-REMEMBERED:]
        self._tracks = [track for track in self._tracks if track not in lost]

        shown = self._match(faces, time)
        for face in faces:
            if id(face) not in shown:
                shown[id(face)] = Track(face, face, time, time)
                self._tracks.append(shown[id(face)])
            shown[id(face)].add(face, time)
        self._waiting.append((frame, [shown[id(face)] for face in faces]))
        self._taken, self._time = frame.index, time

    def _match(self, faces: Sequence[Face], time: float) -> dict[int, Track]:
        """The tracks that faces continue, by the faces' id()."""
        impossible = 1e6
        costs = np.full((len(faces), len(self._tracks)), impossible)
        for row, face in enumerate(faces):
            for column, track in enumerate(self._tracks):
                cost = track.mismatch(face, time)
                if cost is not None:
                    costs[row, column] = cost
        pairs = zip(*linear_sum_assignment(costs), strict=True)
        return {id(faces[row]): self._tracks[column] for row, column in pairs if costs[row, column] < impossible}

    def _let_go(self, until: float) -> Iterator[FrameFaces]:
        """The frames at the front that are decided, and those up to the time `until`, decided or not."""
        while self._waiting:
            frame, tracks = self._waiting[0]
            if frame.timestamp > until and any(not track.confirmed and track in self._tracks for track in tracks):
                return
            self._waiting.popleft()
            faces = []
            for face, track in zip(frame.faces, tracks, strict=True):
                if track.confirmed:
                    track.face_id = track.face_id or self._name(track)
                    faces.append(replace(face, face_id=track.face_id))
            yield replace(frame, faces=tuple(sorted(faces, key=lambda face: face.face_id)))

    def _name(self, track: Track) -> int:
        """The id of the lost face that this one is most like, if any is like it; else a new one."""
        lost = [t for t in self._remembered + self._tracks if t.face_id and t.seen < track.since]
        known = max(lost, key=lambda t: t.likeness(track.best), default=None)
        if known is None or known.likeness(track.best) < KNOWN_FACE:
            self._next_id += 1
            return self._next_id - 1
        self._remembered = [t for t in self._remembered if t is not known]
        self._tracks = [t for t in self._tracks if t is not known]
        return known.face_id

    def state(self) -> dict[str, Any]:
        """All that the tracker knows, as plain values for JSON.

        It holds the frames that were taken in but not yet given out. A tracker made from it goes on with the frame
        after `taken` and gives out, to the byte, what this one would have.
        """
        numbers = {
            t: i for i, t in enumerate(dict.fromkeys([*self._remembered, *self._tracks, *self._tracks_waiting()]))
        }
        return {
            "taken": self._taken,
            "time": self._time,
            "next_id": self._next_id,
            "tracks": [_plain_track(track) for track in numbers],
            "current": [numbers[track] for track in self._tracks],
            "remembered": [numbers[track] for track in self._remembered],
            "waiting": [
                [f.index, f.timestamp, [[_plain_face(a), numbers[t]] for a, t in zip(f.faces, tracks, strict=True)]]
                for f, tracks in self._waiting
            ],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Tracker:
        """The tracker that gave this state(). Raises KeyError, TypeError or ValueError where it is none."""
        tracker = cls()
        tracks = [_track(plain) for plain in state["tracks"]]
        tracker._taken, tracker._time, tracker._next_id = state["taken"], state["time"], state["next_id"]
        tracker._tracks = [tracks[number] for number in state["current"]]
        tracker._remembered = [tracks[number] for number in state["remembered"]]
        tracker._waiting = deque(
            (
                FrameFaces(index, time, tuple(_face(plain) for plain, _ in shown)),
                [tracks[number] for _, number in shown],
            )
            for index, time, shown in state["waiting"]
        )
        return tracker

    def _tracks_waiting(self) -> Iterator[Track]:
        return (track for _, tracks in self._waiting for track in tracks)
