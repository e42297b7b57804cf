"""A track: the detections of one face over time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ferwatch.faces.similarity import Descriptor, similarity
from ferwatch.records import BoundingBox, Face

FACE_SCORE = 0.7
"""A track whose recent detections reach this mean score is a face; things that resemble a face stay below."""
SCORE_WINDOW = 5
"""Largest number of recent detections in the mean score of a track."""
REACH_SIDES, REACH_SIDES_PER_SECOND, MAX_REACH_SIDES = 0.6, 1.0, 2.5
"""Largest distance of a face from its predicted position, in sides of its box: right away, added for each second of
absence, and the limit."""
MAX_SIZE_RATIO = 2.0
"""Factor by which a face may grow or shrink between two detections."""
VELOCITY_SECONDS = 0.5
"""Seconds for which a missed face is expected to keep moving at its last velocity."""
MAX_VIEWS = 8
"""Largest number of views of a face that a track keeps: the latest ones."""
NEW_VIEW_SIMILARITY = 0.75
"""A detection less similar than this to every view of its track is added as a new view, such as a turned head."""


@dataclass(eq=False)
class Track:
    """Detections over time of one face, or of one thing that may be a face."""

    latest: Face
    first_seen: float
    """Seconds: time of the first detection."""
    last_seen: float
    """Seconds: time of the latest detection."""
    views: deque[Descriptor] = field(default_factory=lambda: deque(maxlen=MAX_VIEWS))
    """Descriptors of dissimilar views of the face, such as other head poses or other light."""
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=SCORE_WINDOW))
    """Scores of the latest detections, 0 to 1."""
    velocity: complex = 0j
    """Velocity in pixels a second, x + iy."""
    confirmed: bool = False
    """True once the mean of its recent scores has reached FACE_SCORE."""
    face_id: int = 0
    """Identity, from 1; 0 until the first frame with the face is released, so that ids follow the order of rows."""

    def add(self, face: Face, time: float, descriptor: Descriptor) -> None:
        """Append a detection at a time in seconds."""
        if time > self.last_seen:
            step = (_centre(face.bbox) - _centre(self.latest.bbox)) / (time - self.last_seen)
            self.velocity = (self.velocity + step) / 2
        self.latest, self.last_seen = face, time
        # Detections with low scores are often turned or blurred, so their descriptors say little about identity.
        if not self.views or (face.score >= FACE_SCORE and self.similarity(descriptor) < NEW_VIEW_SIMILARITY):
            self.views.append(descriptor)
        self.scores.append(face.score)
        self.confirmed = self.confirmed or sum(self.scores) / len(self.scores) >= FACE_SCORE

    def similarity(self, *descriptors: Descriptor) -> float:
        """Return the similarity of another face's descriptors to this track's views, -1 to 1."""
        return similarity(self.views, descriptors)

    def association_cost(self, face: Face, time: float, descriptor: Descriptor, min_similarity: float) -> float | None:
        """Return the cost, 0 or more, of continuing this track with a face at a time in seconds; None: it cannot be.

        A face cannot continue the track if it is too far away, too large or small, or not similar enough.
        """
        absence = time - self.last_seen
        side = max(self.latest.bbox.width, face.bbox.width)
        predicted = _centre(self.latest.bbox) + self.velocity * min(absence, VELOCITY_SECONDS)
        distance = abs(_centre(face.bbox) - predicted) / side
        if distance > min(REACH_SIDES + REACH_SIDES_PER_SECOND * absence, MAX_REACH_SIDES):
            return None
        if side > MAX_SIZE_RATIO * min(self.latest.bbox.width, face.bbox.width):
            return None
        similarity = self.similarity(descriptor)
        return distance + (1 - similarity) + (not self.confirmed) if similarity >= min_similarity else None


def _centre(box: BoundingBox) -> complex:
    return complex(box.x + box.width / 2, box.y + box.height / 2)
