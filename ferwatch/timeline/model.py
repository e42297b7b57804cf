"""The timeline's records: episodes, summaries, and what belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ferwatch.records import EMOTIONS, Episode
from ferwatch.timeline.table import FrameTable

UNCERTAIN = "uncertain"
"""The label of an episode in which no emotion stands out."""

LABELS = (*EMOTIONS, UNCERTAIN)
"""What an episode can be called, in the order of every table and legend."""


@dataclass(frozen=True)
class FaceSummary:
    """One face over the whole table."""

    face_id: int
    first_seen: float  # seconds
    last_seen: float  # seconds, the end of the last stretch in which it was seen
    on_screen: float  # seconds
    episodes: int
    mean_confidence: float  # over the time of its episodes; 0 without any
    shares: dict[str, float]  # of the time of its episodes, by label; sum 1, or all 0 without any


@dataclass(frozen=True)
class Summary:
    """A whole table; `dataclasses.asdict` of it goes into run.json."""

    sampled_frames: int
    frames_with_faces: int
    episodes: int
    shares: dict[str, float]  # as in FaceSummary, over the episodes of all faces
    faces: tuple[FaceSummary, ...]  # by face_id


@dataclass(frozen=True)
class Timeline:
    """All that a table, picture, page or export of one run needs."""

    table: FrameTable
    smoothed: NDArray[np.float64]  # (R, 7), row by row beside table.probabilities; NaN where there is no face
    episodes: tuple[Episode, ...]  # by face_id, then start; of one face they never overlap
    summary: Summary
    source: str = ""  # file name of the video that was analysed, to show
    video: str = ""  # relative to the run folder, the video that players and coding tools should open
    duration: float = 0.0  # seconds, of the video
    fps: float = 0.0  # of the video; 0: unknown
    names: Mapping[int, str] = field(default_factory=dict)  # what people read for each face: any printable text, unique

    def name_of(self, face_id: int) -> str:
        """What people read for a face."""
        return self.names.get(face_id, f"Face {face_id}")

    def episodes_of(self, face_id: int) -> list[Episode]:
        """The episodes of one face, by start."""
        return [episode for episode in self.episodes if episode.face_id == face_id]
