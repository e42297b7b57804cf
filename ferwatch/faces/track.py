"""One face followed over time."""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferwatch.faces.similarity import likeness
from ferwatch.records import FACE_SIZE, BoundingBox, Face

FACE_SCORE = 0.7
"""The mean score of sightings in a row from which they are a face; other things that resemble one stay below."""
SCORES = 5
"""Sightings in that mean, at most."""
REACH, REACH_PER_SECOND, REACH_AT_MOST = 0.6, 1.0, 2.5
"""How far from its expected place a face may be found, in sides of its box: at once, more for each second, at most."""
SIZE_CHANGE = 2.0
"""The factor by which it may have grown or shrunk."""
ANOTHER_FACE = 0.25
"""The likeness below which a face in the expected place is somebody else's. Seconds apart and in changing light, one
person's was never below 0.32; between people of FER2013 it is 0.18 in the middle."""


@dataclass(eq=False)
class Track:
    """One face, or what may be one, over time."""

    latest: Face
    best: Face
    since: float
    seen: float
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=SCORES))
    velocity: complex = 0j
    """Pixels a second, x + iy."""
    confirmed: bool = False
    face_id: int = 0
    """Given when the first frame that shows it is let go, so that ids are in the order of the rows."""

    def add(self, face: Face, time: float) -> None:
        if time > self.seen:
            step = (_centre(face.bbox) - _centre(self.latest.bbox)) / (time - self.seen)
            self.velocity = (self.velocity + step) / 2
        self.latest, self.seen = face, time
        self.best = max(self.best, face, key=lambda f: f.score)
        self.scores.append(face.score)
        self.confirmed = self.confirmed or sum(self.scores) / len(self.scores) >= FACE_SCORE

    def likeness(self, face: Face) -> float:
        return max(likeness(self.latest.crop, face.crop), likeness(self.best.crop, face.crop))

    def mismatch(self, face: Face, time: float) -> float | None:
        """How badly a face fits as this track's next, from 0 up; None where it cannot be the same."""
        away = time - self.seen
        side = max(self.latest.bbox[2], face.bbox[2])
        expected = _centre(self.latest.bbox) + self.velocity * min(away, 0.5)
        distance = abs(_centre(face.bbox) - expected) / side
        if distance > min(REACH + REACH_PER_SECOND * away, REACH_AT_MOST):
            return None
        if side > SIZE_CHANGE * min(self.latest.bbox[2], face.bbox[2]):
            return None
        alike = self.likeness(face)
        # Crops of doubtful faces are turned or blurred; they say nothing about who it is.
        if alike < ANOTHER_FACE and min(self.latest.score, face.score) >= FACE_SCORE:
            return None
        return distance + (1 - alike) + (not self.confirmed)


def _centre(box: BoundingBox) -> complex:
    return complex(box[0] + box[2] / 2, box[1] + box[3] / 2)


def _plain_face(face: Face) -> dict[str, Any]:
    crop = base64.b64encode(face.crop.tobytes()).decode()
    return {"box": list(face.bbox), "landmarks": face.landmarks.tolist(), "score": face.score, "crop": crop}


def _face(plain: dict[str, Any]) -> Face:
    x, y, width, height = plain["box"]
    crop = np.frombuffer(base64.b64decode(plain["crop"]), dtype=np.uint8).reshape(FACE_SIZE, FACE_SIZE)
    return Face(BoundingBox(x, y, width, height), np.array(plain["landmarks"], dtype=np.float32), plain["score"], crop)


def _plain_track(track: Track) -> dict[str, Any]:
    return {
        "latest": _plain_face(track.latest),
        "best": _plain_face(track.best),
        "since": track.since,
        "seen": track.seen,
        "scores": list(track.scores),
        "velocity": [track.velocity.real, track.velocity.imag],
        "confirmed": track.confirmed,
        "face_id": track.face_id,
    }


def _track(plain: dict[str, Any]) -> Track:
    return Track(
        latest=_face(plain["latest"]),
        best=_face(plain["best"]),
        since=plain["since"],
        seen=plain["seen"],
        scores=deque(plain["scores"], maxlen=SCORES),
        velocity=complex(*plain["velocity"]),
        confirmed=plain["confirmed"],
        face_id=plain["face_id"],
    )
