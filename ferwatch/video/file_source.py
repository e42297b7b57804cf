"""FileSource: what the readers of video files have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from ferwatch.records import Frame
from ferwatch.video.container import VideoInfo
from ferwatch.video.sampling import Sampler, Sampling


class FileSource(ABC):
    """The sampled frames of a video file between two times, once. A FrameSource.

    After the last frame `frames_decoded` counts the frames in the range, sampled or not, and `warnings` says what was
    wrong with the file.

    Args:
        sampling: which frames are yielded; None: all.
        start, end: seconds; frames outside are left out. None: to the end.
    """

    info: VideoInfo

    def __init__(self, path: Path, sampling: Sampling | None, start: float, end: float | None) -> None:
        self.path = path
        self.sampling = sampling or Sampling()
        self.start = start
        self.end = end
        self.first_yielded = 0
        """Index of the first frame that is yielded; those before it are decoded and counted only."""
        self.warnings: list[str] = []
        self.sampler = Sampler(self.sampling, start, end)

    @property
    def frames_decoded(self) -> int:
        """Frames of the range so far, sampled or not."""
        return self.sampler.frames_in_range

    @property
    def frames_expected(self) -> int:
        """About how many frames the range holds, as the file declares it; 0 where it does not say."""
        if self.info.duration is None:
            return self.info.frames_declared or 0
        end = self.info.duration if self.end is None else min(self.end, self.info.duration)
        return max(1, round((end - self.start) * self.info.fps))

    def __enter__(self) -> FileSource:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the sampled frames."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""
