"""FrameSource, the interface of sources of frames, and open_source, which opens a video file as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from ferwatch.records import Frame
from ferwatch.video.container import VideoInfo
from ferwatch.video.file_source import FileSource
from ferwatch.video.opencv import OpenCVReader
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling


@runtime_checkable
class FrameSource(Protocol):
    """Frames in the order in which they are shown, once, with what is known about them. A context manager."""

    @property
    def info(self) -> VideoInfo:
        """Properties of the source's pictures."""
        ...

    @property
    def warnings(self) -> list[str]:
        """Problems found so far, one line each; complete after the last frame."""
        ...

    @property
    def frames_decoded(self) -> int:
        """Frames of the range so far, sampled or not."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield the sampled frames. Their indices and timestamps increase."""
        ...

    def __enter__(self) -> FrameSource: ...

    def __exit__(self, *error: object) -> None: ...

    def close(self) -> None:
        """Release the file or device. Nothing can be read afterwards."""
        ...


def open_source(
    path: Path | str,
    *,
    decoder: Literal["ffmpeg", "opencv"] = "ffmpeg",
    sampling: Sampling | None = None,
    start: float = 0.0,
    end: float | None = None,
    stream: int | None = None,
    fps: float | None = None,
) -> FileSource:
    """Open a video file as a FrameSource.

    Args:
        decoder: "ffmpeg" shows pictures as players do; "opencv" is for plain videos.
        sampling: which frames are yielded; None: all.
        start, end: seconds; frames outside are left out.
        stream: index of the picture stream among the file's streams; None: the one that players show.
        fps: frames per second of a file that carries no times.
    Raises VideoError where the file cannot be read, or not by this decoder.
    """
    reader: type[OpenCVReader] | type[VideoReader] = OpenCVReader if decoder == "opencv" else VideoReader
    return reader(path, sampling, start, end, stream=stream, fps=fps)


@dataclass(frozen=True)
class VideoRange:
    """A range of a video file, and how the file is read: the arguments of open_source."""

    path: Path
    start: float = 0.0
    end: float | None = None
    decoder: Literal["ffmpeg", "opencv"] = "ffmpeg"
    stream: int | None = None
    fps: float | None = None

    def open(self, sampling: Sampling | None = None) -> FileSource:
        """Open the file as a FrameSource; see open_source."""
        return open_source(
            self.path,
            decoder=self.decoder,
            sampling=sampling,
            start=self.start,
            end=self.end,
            stream=self.stream,
            fps=self.fps,
        )
