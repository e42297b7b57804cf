"""Reading a video: upright frames in presentation order, with the times at which a player shows them.

FFmpeg does the decoding, through PyAV: it gives each picture's own presentation time, and its wheels decode AV1,
which those of OpenCV do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.records import Frame, VideoError

# What people record and download. Left out are pictures, text (FFmpeg draws it) and playlists, which name other files.
FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mxf,dv,gif,ivf,nut,rm,"
    "h264,hevc,m4v,mpegvideo,mjpeg,obu,vc1,yuv4mpegpipe"
)
ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
SMALL = 640 * 480
"""Pixels. One thread decodes, or encodes, such pictures faster than the rest of a run can use them; several would
only cost a third more."""
ROUNDING = 0.0005
"""Seconds. A time read from frames.csv, which has three decimals, and given as start or end means that frame."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames are looked at: every Nth, or, where `fps` is given, so many a second by their timestamps."""

    every: int = 1
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every {self.every}th frame: the number must be 1 or more")
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ValueError(f"{self.fps} samples a second: the rate must be a positive number")

    def cell(self, number: int, time: float) -> int:
        """The sampling interval that a frame falls in; the first frame of each is the sample.

        `number` and `time` (seconds) count from the start of the range. A frame up to 1 ms before a tick of the grid
        belongs to the tick: some containers round their times to milliseconds.
        """
        if self.fps is None:
            return number // self.every
        return math.floor((time + min(0.001, 0.1 / self.fps)) * self.fps)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a file says of its video stream, and what its first frame shows."""

    path: Path
    width: int
    """Pixels, upright."""
    height: int
    fps: float
    """The average."""
    frames_declared: int | None
    duration: float | None
    """Seconds, as declared."""
    rotation: int
    """Degrees clockwise by which the stored picture was turned to be upright: 0, 90, 180 or 270."""
    codec: str
    start_time: float
    """Seconds on the file's own clock; timestamps count from here."""
    has_audio: bool
    timestamp_source: str
    """"container", or "index/fps" where the file carries no times."""


class VideoReader:
    """The sampled frames of a video between two times, once.

    All of the file is decoded in order, without seeking, so that indices and times are exact. After the last frame
    `frames_decoded` counts the frames in the range, sampled or not, and `warnings` says what was wrong with the file.

    Raises VideoError where the file holds no picture that decodes.
    """

    def __init__(
        self, path: Path | str, sampling: Sampling | None = None, start: float = 0.0, end: float | None = None
    ) -> None:
        self.path = Path(path)
        self.sampling = sampling or Sampling()
        self.start = start
        self.end = end
        self.skip_before = 0
        """Frames before this index are decoded and counted, and kept back."""
        self.frames_decoded = 0
        self.warnings: list[str] = []
        self._hidden = 0
        self._broken = 0
        self._container = open_video(self.path)
        try:
            self._stream = self._picture_stream()
            self._pictures = self._decode()
            first = next(self._pictures, None)
            if first is None:
                raise VideoError(f"{self.path} cannot be read: not one of its pictures decodes; it is damaged")
            self.info = self._describe(first)
        except BaseException:
            self.close()
            raise
        self._first: av.VideoFrame | None = first

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        taken = -1
        index = -1
        timestamp = 0.0
        backwards = 0
        for index, picture in enumerate(self._all_pictures()):
            time = self._time(index, picture, timestamp)
            backwards += time < timestamp
            timestamp = max(time, timestamp)
            if timestamp + ROUNDING < self.start:
                continue
            if self.end is not None and timestamp + ROUNDING >= self.end:
                break
            cell = self.sampling.cell(self.frames_decoded, max(timestamp - self.start, 0.0))
            self.frames_decoded += 1
            if cell > taken:
                taken = cell
                if index < self.skip_before:
                    continue
                yield Frame(index, timestamp, self._upright(picture, timestamp))
        else:
            self._check_whole(index + 1, timestamp)
        if backwards:
            self.warnings.append(f"times that run backwards: {backwards}; each was held at the time before it")

    def _all_pictures(self) -> Iterator[av.VideoFrame]:
        first, self._first = self._first, None
        if first is not None:
            yield first
        yield from self._pictures

    def _picture_stream(self) -> av.VideoStream:
        covers = av.stream.Disposition.attached_pic
        streams = [s for s in self._container.streams.video if not s.disposition & covers]
        if not streams:
            held = "only sound" if self._container.streams.audio else "no video stream"
            raise VideoError(f"{self.path} cannot be read as a video: it holds {held}")
        if len(streams) > 1:
            self.warnings.append(f"it holds {len(streams)} video streams; the first was read")
        if streams[0].codec_context is None:
            raise VideoError(
                f"{self.path} cannot be read: FFmpeg has no decoder for its pictures; convert it to H.264 first"
            )
        context = streams[0].codec_context
        streams[0].thread_type = "AUTO"
        context.thread_count = threads_for(context.width, context.height)
        return streams[0]

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Every picture that decodes. A damaged packet costs its own pictures, not those after it."""
        latest = -math.inf
        for picture in self._decode_in_threads():
            if picture.pts is not None:
                latest = max(latest, picture.pts)
            yield picture
        if self._broken:
            yield from self._decode_tail(latest)

    def _decode_in_threads(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, IndexError) as cause:  # IndexError: a damaged MPEG-TS grew a stream (PyAV 18)
                self.warnings.append(f"reading stops before its end: {cause}")
                self._broken += 1
                return
            self._hidden += packet.is_discard
            self._broken += packet.is_corrupt
            try:
                yield from self._stream.decode(packet)
            except av.FFmpegError:
                self._broken += 1

    def _decode_tail(self, latest: float) -> Iterator[av.VideoFrame]:
        """The pictures after `latest`, decoded again: a thread for each frame loses those behind damage near the end.

        -inf: all of them; few pictures are all near the end.
        """
        with open_video(self.path) as container, suppress(av.FFmpegError, IndexError):
            streams = [s for s in container.streams.video if s.index == self._stream.index]
            stream = streams[0]  # decoded here without such threads
            if latest > -math.inf:
                container.seek(int(latest), stream=stream)
            for packet in container.demux(stream):
                with suppress(av.FFmpegError):
                    yield from (p for p in stream.decode(packet) if p.pts is not None and p.pts > latest)

    def _describe(self, first: av.VideoFrame) -> VideoInfo:
        stream, container = self._stream, self._container
        timed = first.pts is not None
        # Without times the average is a guess of FFmpeg's; the rate that the codec's own header gives is better.
        rates = (stream.average_rate, stream.guessed_rate) if timed else (stream.guessed_rate, stream.average_rate)
        rotation = -round(first.rotation / 90) * 90 % 360
        sides = (first.height, first.width) if rotation in (90, 270) else (first.width, first.height)
        return VideoInfo(
            path=self.path,
            width=sides[0],
            height=sides[1],
            fps=float(rates[0] or rates[1] or 25),
            frames_declared=stream.frames or None,
            duration=container.duration / av.time_base if container.duration else None,
            rotation=rotation,
            codec=stream.codec_context.codec.canonical_name,
            start_time=(container.start_time or 0) / av.time_base,
            has_audio=bool(container.streams.audio),
            timestamp_source="container" if timed else "index/fps",
        )

    def _time(self, index: int, picture: av.VideoFrame, before: float) -> float:
        if self.info.timestamp_source == "index/fps":
            return index / self.info.fps
        if picture.pts is None or picture.time_base is None:
            return before
        start = Fraction(self._container.start_time or 0, av.time_base)
        return float(picture.pts * picture.time_base - start)

    def _upright(self, picture: av.VideoFrame, timestamp: float) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = picture.to_ndarray(format="bgr24", threads=1)  # type: ignore[assignment]
        if picture.format.name == "bgr24":
            image = image.copy()  # the decoder may go on from its own
        if self.info.rotation:
            image = cv2.rotate(image, ROTATIONS[self.info.rotation])  # type: ignore[assignment]
        size = (self.info.width, self.info.height)
        if image.shape[1::-1] != size:
            changed = f"the size of its picture changes at {timestamp:.3f} s; scaled to {size[0]}x{size[1]}"
            if not any("size of its picture" in warning for warning in self.warnings):
                self.warnings.append(changed)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        return image

    def _check_whole(self, decoded: int, end: float) -> None:
        declared, duration = self.info.frames_declared, self.info.duration
        missing = declared - self._hidden - decoded if declared else 0
        # One frame more in the header than in the file is usual in AVI and no damage.
        if missing > (0 if self._broken else 1):
            self.warnings.append(f"damaged: {decoded} of {declared} declared frames decode")
        elif self._broken:
            self.warnings.append(f"damaged packets: {self._broken}; {decoded} frames decode")
        if not declared and duration and end + 1 < duration and self.info.timestamp_source == "container":
            self.warnings.append(f"its pictures end at {end:.1f} s of {duration:.1f} s declared")


def threads_for(width: int, height: int) -> int:
    """How many threads FFmpeg should give to pictures of this size; 0: as many as it likes."""
    return 1 if width * height <= SMALL else 0


def open_video(path: Path) -> av.container.InputContainer:
    """Opens a file, and no other file or address that it may name, for demuxing.

    Raises VideoError where it is no video in one of FORMATS.
    """
    try:
        file = path.stat()
    except FileNotFoundError:
        raise VideoError(f"{path} cannot be read: there is no such file") from None
    except OSError as cause:
        raise VideoError(f"{path} cannot be read: {cause.strerror}") from None
    if S_ISDIR(file.st_mode):
        raise VideoError(f"{path} cannot be read as a video: it is a folder; name one video in it")
    if not S_ISREG(file.st_mode):  # FFmpeg would wait for ever on a pipe that nobody writes to
        raise VideoError(f"{path} cannot be read as a video: it is a device or a pipe; save it to a file first")
    if not file.st_size:
        raise VideoError(f"{path} cannot be read: it is empty")
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        return av.open(f"file:{path}", options=options, metadata_errors="replace")
    except av.FFmpegError as cause:
        raise VideoError(
            f"{path} cannot be read: it is no video that FFmpeg knows, or its header is damaged or cut off "
            f"({cause.strerror})"
        ) from None
