"""AnalysisOptions: how a video is analysed, said once for the command line, the Python API and batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ferwatch.timeline.build import MIN_EPISODE_SECONDS
from ferwatch.timeline.smoothing import SMOOTHING_SECONDS
from ferwatch.video.sampling import Sampling

TEN_A_SECOND = Sampling(fps=10)


@dataclass(frozen=True)
class AnalysisOptions:
    """How a video is analysed and what is written about it; the same for every video of a batch."""

    model: str = "cnn"
    """A classifier of `ferwatch models`."""
    network: str | None = None
    """A network of one's own, as "file.py:Class", instead of a named model; needs `weights`."""
    weights: Path | None = None
    """A checkpoint other than the shipped one."""
    labels: Literal["crowd", "fer2013"] | None = None
    """Head of the checkpoint: "crowd", what people see, or "fer2013", the data set's label; None: "crowd" where the
    checkpoint has it."""
    face_model: Path | None = None
    """A MediaPipe face detection model other than the short-range one that comes with MediaPipe."""
    device: str = "auto"
    """"auto", "cpu", "cuda" or "mps"."""
    threads: int | None = None
    """Processor cores to use; None: all."""
    sampling: Sampling = TEN_A_SECOND
    """Which frames are analysed."""
    start: float = 0.0
    """Seconds: nothing before it is analysed."""
    end: float | None = None
    """Seconds: nothing from it on is analysed; None: to the end."""
    decoder: Literal["ffmpeg", "opencv"] = "ffmpeg"
    """What decodes the video."""
    stream: int | None = None
    """Index of the video stream among the file's streams; None: the one that players show."""
    fps: float | None = None
    """Frames a second of a raw stream that holds no times; None: as its header says, or 25."""
    max_faces: int = 50
    """Most faces that are analysed in one frame."""
    region: tuple[float, float, float, float] | None = None
    """x, y, width and height in pixels: only faces whose centre lies within are analysed."""
    exports: tuple[str, ...] = ()
    """Names of export formats."""
    annotate: bool = True
    """Write annotated.mp4."""
    charts: bool = True
    """Draw a chart of the seven probabilities beside each face of annotated.mp4."""
    blur_faces: bool = False
    """Make faces unrecognisable in everything that is written."""
    smoothing: float = SMOOTHING_SECONDS
    """Seconds; 0 turns smoothing off."""
    min_episode: float = MIN_EPISODE_SECONDS
    """Seconds: the shortest episode."""
