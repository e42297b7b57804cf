"""Reading a video with OpenCV's VideoCapture: plain files, with the times of their packets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ferwatch.errors import VideoError
from ferwatch.records import Frame
from ferwatch.video.avi import tells_places_only
from ferwatch.video.clock import PacketClock, container_start, shown_until
from ferwatch.video.container import choose_stream, open_container, picture_streams
from ferwatch.video.describe import describe
from ferwatch.video.file_source import FileSource
from ferwatch.video.picture import Orientation, PixelAspect
from ferwatch.video.sampling import Sampling, TimedPicture

REMEDY = "leave out --decoder opencv"


class OpenCVReader(FileSource):
    """The sampled frames of a plain video file between two times, once. A FrameSource.

    OpenCV gives the pictures, and turns, mirrors and pixel shapes are applied to them; it does not tell their exact
    times, which are read from the file's packets.

    Args:
        start, end: seconds; None: to the end.
        stream: index of the picture stream among the file's streams: OpenCV reads the first one alone.
        fps: frames per second of a file that carries no times.
    Raises VideoError where the file cannot be read, or where OpenCV cannot show it as players do: another stream than
    the first, interlaced pictures, a size that changes, high dynamic range, gray of 16 bits.
    """

    def __init__(
        self,
        path: Path | str,
        sampling: Sampling | None = None,
        start: float = 0.0,
        end: float | None = None,
        *,
        stream: int | None = None,
        fps: float | None = None,
    ) -> None:
        super().__init__(Path(path), sampling, start, end)
        with open_container(self.path) as container:
            chosen, warnings = choose_stream(container, self.path, stream)
            self.warnings += warnings
            if chosen is not picture_streams(container)[0]:
                raise VideoError(f"{self.path}: OpenCV reads the first video stream alone; {REMEDY}")
            first = _first_picture(container, chosen)
            if first is None:
                raise VideoError(f"{self.path} cannot be read: not one of its pictures decodes; it is damaged")
            aspect = PixelAspect(chosen)
            self.info, warnings = describe(container, chosen, first, self.path, aspect, fps)
            self._refuse(first)
            self.warnings += warnings
            self._orientation, self._aspect = Orientation.of(first), aspect.current()
        self._times, self._last_length = self._read_times(self.info.stream)
        self._capture = cv2.VideoCapture(str(self.path.absolute()), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise VideoError(f"{self.path} cannot be read by OpenCV; {REMEDY}")
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)

    def close(self) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        for sample in self.sampler.select(self._timed_pictures()):
            if sample.number >= self.first_yielded:
                image = self._orientation.apply(sample.picture)
                size = (self.info.width, self.info.height)
                if image.shape[1::-1] != size:
                    image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
                yield Frame(sample.number, sample.timestamp, image, sample.length)

    def _timed_pictures(self) -> Iterator[TimedPicture[NDArray[np.uint8]]]:
        index = -1
        for index, time in enumerate(self._times):
            decoded, image = self._capture.read()
            if not decoded:
                self.warnings.append(f"damaged: OpenCV decodes {index} of {len(self._times)} frames")
                return
            length = self._last_length if index + 1 == len(self._times) else 1 / self.info.fps
            yield TimedPicture(index, time, length, np.asarray(image, np.uint8))
        if self._capture.grab():
            raise VideoError(f"{self.path}: OpenCV gives more pictures than the file has times for; {REMEDY}")

    def _read_times(self, index: int) -> tuple[list[float], float]:
        """Return the time of every picture in presentation order, and the length of the last one, in seconds."""
        with open_container(self.path) as container:
            stream, _ = choose_stream(container, self.path, index)
            clock = PacketClock.for_container(container)
            start = container_start(container)
            times: list[Fraction] = []
            latest = Fraction(-1)
            count = 0
            length = Fraction(1) / Fraction(self.info.fps)
            with suppress(av.FFmpegError, IndexError):
                for packet in container.demux(stream):
                    clock.advance(packet)
                    packet.pts = packet.dts if tells_places_only(container, stream) else packet.pts
                    count += packet.size > 0
                    if packet.pts is not None and packet.size and not packet.is_discard:
                        time = packet.pts * packet.time_base - start
                        if time >= latest or not times:
                            latest = time
                            length = packet.duration * packet.time_base if packet.duration else length
                        times.append(time)
            if self.info.timestamp_source == "index/fps":
                return [number / self.info.fps for number in range(count)], 1 / self.info.fps
            ordered = [max(float(time), 0.0) for time in sorted(times)]
            until = shown_until(self.path, container, stream, self.info)
            last_length = clock.last_length(float(length))
            return ordered, max(last_length, until - ordered[-1]) if ordered else 0.0

    def _refuse(self, first: VideoFrame) -> None:
        """Raise VideoError for what OpenCV does not show as players do."""
        cause = None
        if self.info.dynamic_range != "SDR":
            cause = f"does not tone-map {self.info.dynamic_range} video"
        elif first.interlaced_frame:
            cause = "does not deinterlace"
        elif self.info.changes_size:
            cause = "does not follow a size that changes"
        elif self.info.gray_bits is not None:
            cause = "does not scale gray of 16 bits"
        if cause:
            raise VideoError(f"{self.path}: OpenCV {cause}; {REMEDY}")


def _first_picture(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    packets = container.demux(stream)
    while True:
        try:
            for picture in stream.decode(next(packets)):
                return picture
        except StopIteration:
            return None
        except (av.FFmpegError, IndexError):
            continue
