"""A track: the detections of one face over time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ferwatch.faces.similarity import similarity
from ferwatch.records import BoundingBox, Face

FACE_SCORE = 0.7
"""Mean score of recent detections from which a track is a face; other things that resemble one stay below."""
SCORE_WINDOW = 5
"""Detections in that mean, at most."""
REACH_SIDES, REACH_SIDES_PER_SECOND, MAX_REACH_SIDES = 0.6, 1.0, 2.5
"""Largest distance of a face from its predicted position, in sides of its box: at once, added per second, and at
most."""
MAX_SIZE_RATIO = 2.0
"""Factor by which a face may grow or shrink between two detections."""
VELOCITY_SECONDS = 0.5
"""Seconds for which a face that is not seen is expected to move on at its last velocity."""
MIN_SIMILARITY = 0.25
"""Similarity below which a face in the predicted position is somebody else's. Seconds apart and in changing light, one
person's was never below 0.32; the median between people of FER2013 is 0.18."""


@dataclass(eq=False)
class Track:
    """Detections over time of one face, or of something that may be one."""

    latest: Face
    best: Face
    """The detection with the highest score."""
    first_seen: float
    """Seconds: time of the first detection."""
    last_seen: float
    """Seconds: time of the latest detection."""
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=SCORE_WINDOW))
    velocity: complex = 0j
    """Pixels a second, x + iy."""
    confirmed: bool = False
    """True once the mean of its recent scores has reached FACE_SCORE."""
    face_id: int = 0
    """Identity, from 1; 0 until the first frame that shows the face is released, so that ids follow the rows' order."""

    def add(self, face: Face, time: float) -> None:
        """Append a detection at a time in seconds."""
        if time > self.last_seen:
            step = (_centre(face.bbox) - _centre(self.latest.bbox)) / (time - self.last_seen)
            self.velocity = (self.velocity + step) / 2
        self.latest, self.last_seen = face, time
        self.best = max(self.best, face, key=lambda f: f.score)
        self.scores.append(face.score)
        self.confirmed = self.confirmed or sum(self.scores) / len(self.scores) >= FACE_SCORE

    def similarity(self, face: Face) -> float:
        """Similarity of a face to this track's latest or best detection, whichever is higher; -1 to 1."""
        return max(similarity(self.latest.crop, face.crop), similarity(self.best.crop, face.crop))

    def association_cost(self, face: Face, time: float) -> float | None:
        """Cost of continuing this track with a face at a time in seconds, from 0 up; None where it cannot be the
        same face."""
        absence = time - self.last_seen
        side = max(self.latest.bbox.width, face.bbox.width)
        predicted = _centre(self.latest.bbox) + self.velocity * min(absence, VELOCITY_SECONDS)
        distance = abs(_centre(face.bbox) - predicted) / side
        if distance > min(REACH_SIDES + REACH_SIDES_PER_SECOND * absence, MAX_REACH_SIDES):
            return None
        if side > MAX_SIZE_RATIO * min(self.latest.bbox.width, face.bbox.width):
            return None
        alike = self.similarity(face)
        # Crops of doubtful faces are turned or blurred; they say nothing about who it is.
        if alike < MIN_SIMILARITY and min(self.latest.score, face.score) >= FACE_SCORE:
            return None
        return distance + (1 - alike) + (not self.confirmed)


def _centre(box: BoundingBox) -> complex:
    return complex(box.x + box.width / 2, box.y + box.height / 2)
