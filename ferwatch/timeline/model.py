"""The timeline's records: episodes, summaries, and what belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ferwatch.records import EMOTIONS, Episode, valence_of
from ferwatch.timeline.baseline import Baseline
from ferwatch.timeline.table import FrameTable

UNCERTAIN = "uncertain"
"""The label of an episode in which no emotion stands out."""

LABELS = (*EMOTIONS, UNCERTAIN)
"""Labels of episodes in the order of every table and legend."""


def default_name(face_id: int) -> str:
    """Return the display name of a face that the user has not named."""
    return f"Face {face_id}"


@dataclass(frozen=True)
class FaceSummary:
    """Summary of one face over the whole table."""

    face_id: int
    first_seen: float
    """Time in seconds at which the face is first visible."""
    last_seen: float
    """Time in seconds at which the last span ends in which the face is visible."""
    on_screen: float
    """Seconds for which the face is visible, all spans together."""
    episodes: int
    """Number of the face's episodes."""
    mean_confidence: float
    """Mean confidence over the time of the face's episodes, 0 to 1; 0 without an episode."""
    shares: dict[str, float]
    """Label -> its share of the time of the episodes; the shares sum to 1, or are all 0 without an episode."""
    shares_of_rows: dict[str, float] = field(default_factory=dict)
    """Emotion -> the share of the face's rows in which it is the most probable one, not smoothed."""
    mean_probabilities: dict[str, float] = field(default_factory=dict)
    """Emotion -> its mean probability over the face's rows, weighted by time, not smoothed."""
    mean_valence: float = 0.0
    """Mean valence over the time on screen, -1 to 1."""


@dataclass(frozen=True)
class Summary:
    """Summary of the whole table; run.json holds it as `dataclasses.asdict` makes it."""

    sampled_frames: int
    """Number of sampled frames, with or without a face."""
    frames_with_faces: int
    """Number of sampled frames that show a face."""
    episodes: int
    """Number of episodes of all faces."""
    shares: dict[str, float]
    """Share of each label in the time of all faces' episodes."""
    faces: tuple[FaceSummary, ...]
    """Summaries in the order of face_id."""
    still: tuple[int, ...] = ()
    """face_ids of faces that never move, such as a poster's: they have rows, but no episodes and no summary."""


@dataclass(frozen=True)
class Timeline:
    """Data of one run that its tables, pictures, page and exports are made from."""

    table: FrameTable
    smoothed: NDArray[np.float64]
    """(R, 7) smoothed probabilities, row by row beside table.probabilities; NaN where there is no face."""
    episodes: tuple[Episode, ...]
    """Episodes ordered by face_id, then start; those of one face never overlap."""
    summary: Summary
    source: str = ""
    """File name of the analysed video, to show."""
    video: str = ""
    """Path, relative to the run folder, of the video that players and coding tools should open; "": none."""
    duration: float = 0.0
    """Seconds of the video; 0: unknown."""
    fps: float = 0.0
    """Frames a second of the video; 0: unknown."""
    start: float = 0.0
    """Seconds of the video from which it was analysed."""
    end: float | None = None
    """Seconds of the video up to which it was analysed; None: to its end."""
    has_annotated_video: bool = False
    """True if annotated.mp4 lies in the run folder. Its time 0 is `start`."""
    shows_film: bool = False
    """True if `video` is annotated.mp4."""
    smoothing: float = 0.0
    """Seconds of smoothing, see build_timeline; 0: none."""
    min_episode: float = 0.0
    """Shortest episode in seconds."""
    baseline: Baseline | None = None
    """Correction of the probabilities that was made before smoothing; None: none."""
    names: Mapping[int, str] = field(default_factory=dict)
    """face_id -> unique display name of the face, in printable characters."""

    @property
    def span(self) -> tuple[float, float]:
        """Start and end of the time axis in seconds: the whole video, or the part of it that was sampled."""
        times = self.table.sample_times()
        if not len(times):
            return self.start, max(self.end or self.duration, self.start + 0.1)
        first, last = float(times[0]), float(times[-1])
        near = 2 + 2 * (last - first) / max(len(times) - 1, 1)
        start = first if first > near else 0.0
        last = max([last + float(self.table.shown()[-1]), *(face.last_seen for face in self.summary.faces)])
        end = self.duration if 0 <= self.duration - last < near else last
        return start, max(end, start + 0.1)  # a single frame is shown too

    @property
    def video_start(self) -> float:
        """Seconds of the timeline at which `video` begins: annotated.mp4 may show a part of the analysed video."""
        return self.start if self.shows_film else 0.0

    @property
    def valence(self) -> NDArray[np.float64]:
        """(R,) the valence of the smoothed probabilities, -1 to 1; NaN where there is no face."""
        return valence_of(self.smoothed)

    @property
    def given_names(self) -> dict[int, str]:
        """face_id -> display name of the faces that the user has named."""
        return {face_id: name for face_id, name in self.names.items() if name != default_name(face_id)}

    def name_of(self, face_id: int) -> str:
        """Return the display name of a face."""
        return self.names.get(face_id, default_name(face_id))

    def episodes_of(self, face_id: int) -> list[Episode]:
        """Return the episodes of one face, by start."""
        return [episode for episode in self.episodes if episode.face_id == face_id]
