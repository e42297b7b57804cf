"""A track: the detections of one face over time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ferwatch.faces.similarity import Descriptor, similarity
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
VIEWS = 8
"""Views of a face that a track keeps, at most: the latest ones."""
NEW_VIEW_SIMILARITY = 0.75
"""Similarity to all views of a track below which a detection is another view, such as a turned head."""


@dataclass(eq=False)
class Track:
    """Detections over time of one face, or of something that may be one."""

    latest: Face
    first_seen: float
    """Seconds: time of the first detection."""
    last_seen: float
    """Seconds: time of the latest detection."""
    views: deque[Descriptor] = field(default_factory=lambda: deque(maxlen=VIEWS))
    """Descriptors of the face as it looked from various sides and in various light."""
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=SCORE_WINDOW))
    velocity: complex = 0j
    """Pixels a second, x + iy."""
    confirmed: bool = False
    """True once the mean of its recent scores has reached FACE_SCORE."""
    face_id: int = 0
    """Identity, from 1; 0 until the first frame that shows the face is released, so that ids follow the rows' order."""

    def add(self, face: Face, time: float, descriptor: Descriptor) -> None:
        """Append a detection at a time in seconds."""
        if time > self.last_seen:
            step = (_centre(face.bbox) - _centre(self.latest.bbox)) / (time - self.last_seen)
            self.velocity = (self.velocity + step) / 2
        self.latest, self.last_seen = face, time
        # Crops of doubtful faces are turned or blurred; they say little about who it is.
        if not self.views or (face.score >= FACE_SCORE and self.similarity(descriptor) < NEW_VIEW_SIMILARITY):
            self.views.append(descriptor)
        self.scores.append(face.score)
        self.confirmed = self.confirmed or sum(self.scores) / len(self.scores) >= FACE_SCORE

    def similarity(self, *descriptors: Descriptor) -> float:
        """Similarity of another face's descriptors to this track's views, -1 to 1."""
        return similarity(self.views, descriptors)

    def association_cost(self, face: Face, time: float, descriptor: Descriptor, min_similarity: float) -> float | None:
        """Cost of continuing this track with a face at a time in seconds, from 0 up; None where it cannot be the
        same face: it is too far away, too large or small, or not similar enough."""
        absence = time - self.last_seen
        side = max(self.latest.bbox.width, face.bbox.width)
        predicted = _centre(self.latest.bbox) + self.velocity * min(absence, VELOCITY_SECONDS)
        distance = abs(_centre(face.bbox) - predicted) / side
        if distance > min(REACH_SIDES + REACH_SIDES_PER_SECOND * absence, MAX_REACH_SIDES):
            return None
        if side > MAX_SIZE_RATIO * min(self.latest.bbox.width, face.bbox.width):
            return None
        alike = self.similarity(descriptor)
        return distance + (1 - alike) + (not self.confirmed) if alike >= min_similarity else None


def _centre(box: BoundingBox) -> complex:
    return complex(box.x + box.width / 2, box.y + box.height / 2)
