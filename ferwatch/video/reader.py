"""Reading a video: upright frames in presentation order, with the times at which a player shows them.

FFmpeg does the decoding, through PyAV: it gives each picture's own presentation time, and its wheels decode AV1,
which those of OpenCV do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import VideoError
from ferwatch.records import Frame
from ferwatch.video.sampling import ROUNDING, Sampling
from ferwatch.video.source import VideoInfo, open_video, threads_for

ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


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
