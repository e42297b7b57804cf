"""FrameSource: where frames come from. Files are read by FFmpeg or OpenCV; images in memory are a source too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import VideoError
from ferwatch.records import Frame
from ferwatch.video.container import VideoInfo
from ferwatch.video.opencv import OpenCVReader
from ferwatch.video.picture import placement
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampler, Sampling, TimedPicture

Image = NDArray[np.uint8]


@runtime_checkable
class FrameSource(Protocol):
    """Frames in the order in which they are shown, once, with what is known about them. A context manager."""

    @property
    def info(self) -> VideoInfo:
        """What the source says about its pictures."""
        ...

    @property
    def warnings(self) -> list[str]:
        """What was not as it should be, one line each; complete after the last frame."""
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
) -> VideoReader | OpenCVReader:
    """Open a video file as a FrameSource.

    Args:
        decoder: "ffmpeg" shows pictures as players do; "opencv" is for plain videos.
        sampling: which frames are yielded; None: all.
        start, end: seconds; frames outside are left out.
        stream: index of the picture stream among the file's streams; None: the one that players show.
        fps: frames per second of a file that carries no times.
    Raises VideoError where the file cannot be read, or not by this decoder.
    """
    reader = OpenCVReader if decoder == "opencv" else VideoReader
    return reader(path, sampling, start, end, stream=stream, fps=fps)


class ArraySource:
    """Images from memory, a camera or any other program, as a FrameSource.

    The iterable is read one image ahead, and only once.

    Args:
        frames: pairs of a timestamp in seconds and an image, or images alone. An image is (H, W, 3) uint8 BGR, as
            OpenCV reads it.
        sampling: which images are analysed; None: all.
        fps: images per second where they come without timestamps; the last image is shown for 1 / fps seconds.
    Raises VideoError where there is no image, where one is none, and where times run backwards.
    """

    def __init__(
        self, frames: Iterable[tuple[float, Image] | Image], *, sampling: Sampling | None = None, fps: float = 25.0
    ) -> None:
        if fps <= 0:
            raise VideoError(f"{fps} images a second: the rate must be a positive number")
        self.warnings: list[str] = []
        self._sampler = Sampler[Image](sampling or Sampling())
        self._fps = fps
        self._images = self._timed(frames)
        first = next(self._images, None)
        if first is None:
            raise VideoError("no frames: the iterable holds no image")
        height, width = first.picture.shape[:2]
        self.info = VideoInfo(
            path=Path("frames"),
            width=width,
            height=height,
            fps=fps,
            frames_declared=None,
            duration=None,
            rotation=0,
            codec="none",
            start_time=0.0,
            has_audio=False,
            timestamp_source=self._timestamp_source,
        )
        self._first = first

    @property
    def sampling(self) -> Sampling:
        return self._sampler.sampling

    @property
    def frames_decoded(self) -> int:
        return self._sampler.frames_in_range

    def __enter__(self) -> ArraySource:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._images = iter(())

    def __iter__(self) -> Iterator[Frame]:
        for sample in self._sampler.select(chain([self._first], self._images)):
            size = (sample.picture.shape[1], sample.picture.shape[0])
            place = placement(size, (self.info.width, self.info.height))
            yield Frame(sample.number, sample.timestamp, sample.picture, sample.length, place)

    def _timed(self, frames: Iterable[tuple[float, Image] | Image]) -> Iterator[TimedPicture[Image]]:
        latest = 0.0
        for index, frame in enumerate(frames):
            if isinstance(frame, tuple):
                self._timestamp_source = "given"
                time, image = float(frame[0]), frame[1]
            else:
                self._timestamp_source = "index/fps"
                time, image = index / self._fps, frame
            if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3):
                raise VideoError(f"frame {index} is no image: an array (height, width, 3) of uint8 in BGR is needed")
            if image.shape[2] != 3 or not image.size:
                raise VideoError(f"frame {index} has the shape {image.shape}; (height, width, 3) is needed")
            if not latest <= time < float("inf"):
                raise VideoError(f"frame {index} has the time {time}, after one of {latest}: times must not decrease")
            latest = time
            yield TimedPicture(index, time, 1 / self._fps, image)
