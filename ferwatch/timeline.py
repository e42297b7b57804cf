"""From rows to a timeline: smoothed probabilities, episodes, and the summary of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ferwatch.recording import Recording
from ferwatch.records import Episode

UNCERTAIN = "uncertain"
"""The label of an episode in which no emotion stands out."""


@dataclass(frozen=True)
class FaceSummary:
    """One face over the whole recording."""

    face_id: int
    first_seen: float  # seconds
    last_seen: float  # seconds, the end of the last stretch in which it was seen
    on_screen: float  # seconds
    episodes: int
    mean_confidence: float  # over the time of its episodes; 0 without any
    shares: dict[str, float]  # of the time of its episodes: one share per emotion and "uncertain", sum 1


@dataclass(frozen=True)
class Summary:
    """A whole recording; `dataclasses.asdict` of it goes into run.json."""

    sampled_frames: int
    frames_with_faces: int
    episodes: int
    shares: dict[str, float]  # as in FaceSummary, over the episodes of all faces
    faces: tuple[FaceSummary, ...]  # by face_id


@dataclass(frozen=True)
class Timeline:
    """All that a table, picture, page or export of one run needs."""

    recording: Recording
    smoothed: NDArray[np.float64]  # (R, 7), row by row beside recording.probabilities; NaN where there is no face
    episodes: tuple[Episode, ...]  # by face_id, then start; of one face they never overlap
    summary: Summary
    video: str = ""  # file name, relative to the run folder, of the video that players and coding tools should open
    duration: float = 0.0  # seconds, of the video
    fps: float = 0.0  # of the video; 0: unknown
    names: Mapping[int, str] = field(default_factory=dict)  # what people call a face; any text

    def name_of(self, face_id: int) -> str:
        """What to call a face where a person reads it."""
        return self.names.get(face_id, f"Face {face_id}")

    def episodes_of(self, face_id: int) -> list[Episode]:
        """The episodes of one face, by start."""
        return [episode for episode in self.episodes if episode.face_id == face_id]
