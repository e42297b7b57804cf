"""Reading a video with FFmpeg through PyAV: each picture as a player shows it, with the time at which it is shown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame

from ferwatch.errors import VideoError
from ferwatch.records import Frame
from ferwatch.video.avi import AviTimes, avi_is_whole, pictures_held, tells_places_only
from ferwatch.video.clock import PacketClock, PictureClock, container_start, ends_early, shown_until
from ferwatch.video.container import choose_stream, open_container, threads_for
from ferwatch.video.describe import describe
from ferwatch.video.file_source import FileSource
from ferwatch.video.picture import Geometry, GeometryReader, PictureConverter, has_bottom_field_first, placement
from ferwatch.video.sampling import Sampling, TimedPicture

FEW = 0.9
"""Where fewer than this share of a file's intact packets become pictures, some are lost. Less is no sign of damage: a
film that was cut begins with pictures that need others before it, and some encoders store pictures that are not shown.
"""
MAX_REPEAT_BYTES = 19
"""Largest packet of MPEG-4 that only repeats the picture before it and does not decode; FFmpeg's limit too."""


class VideoReader(FileSource):
    """The sampled frames of a video file between two times, decoded by FFmpeg: exact times, pictures as players show
    them. A FrameSource.

    All of the file is decoded in order, without seeking, so that indices and times are exact.

    Args:
        start, end: seconds; None: to the end.
        stream: index of the picture stream among the file's streams; None: the one that players show.
        fps: frames per second of a file that carries no times.
    Raises VideoError where the file holds no picture that decodes, where it has no such stream, and where it has times
    of its own although `fps` is given.
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
        self._packets = self._hidden = self._broken = 0
        self._has_fields = False
        self._corrupt: list[int] = []
        self._container = open_container(self.path)
        try:
            self._stream, warnings = choose_stream(self._container, self.path, stream)
            self.warnings += warnings
            context = self._stream.codec_context
            self._stream.thread_type = "AUTO"
            context.thread_count = threads_for(context.width, context.height)
            self._is_avi = self._container.format.name == "avi"
            self._packet_clock = PacketClock.for_container(self._container)
            self._pictures = self._decode()
            first = next(self._pictures, None)
            if first is None:
                raise VideoError(f"{self.path} cannot be read: not one of its pictures decodes; it is damaged")
            self._geometry = GeometryReader(self._stream)
            aspect = self._geometry.aspect
            self.info, warnings = describe(self._container, self._stream, first, self.path, aspect, fps)
            self.warnings += warnings
        except BaseException:
            self.close()
            raise
        is_timed = self.info.timestamp_source == "container"
        self._clock = PictureClock(container_start(self._container), self.info.fps, timed=is_timed)
        self._first: VideoFrame | None = first

    def close(self) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        converter = PictureConverter(has_bottom_field_first(self._stream.codec_context), self.info.gray_bits)
        canvas = (self.info.width, self.info.height)
        for sample in self.sampler.select(self._timed_pictures()):
            if sample.number >= self.first_yielded:
                image = converter.image(*sample.picture)
                place = placement((image.shape[1], image.shape[0]), canvas)
                yield Frame(sample.number, sample.timestamp, image, sample.length, place)
        self._report_times()

    def _timed_pictures(self) -> Iterator[TimedPicture[tuple[VideoFrame, Geometry]]]:
        """Yield every picture with its time and its own length in seconds, in presentation order."""
        info, clock = self.info, self._clock
        last = None
        sizes = set[tuple[int, int]]()
        for index, picture in enumerate(self._all_pictures()):
            if last is not None:
                yield last
            geometry = self._geometry.read(picture)
            last = TimedPicture(index, clock.time(index, picture), clock.length(picture), (picture, geometry))
            self._has_fields |= picture.interlaced_frame
            size = geometry.size
            is_first, is_new = not sizes, size not in sizes
            sizes.add(size)
            if is_new and not is_first:
                self.warnings.append(
                    f"the size of its picture changes at {last.timestamp:.3f} s, to {size[0]}x{size[1]}; boxes are in "
                    f"pixels of {info.width}x{info.height}, in which every picture is centred"
                )
        if last is not None:
            declared = self._declared()
            if declared is None or self._packets >= declared or not self._is_avi:  # lost pictures are no repeats
                until = shown_until(self.path, self._container, self._stream, info)
                length = self._packet_clock.last_length(last.length)
                last = replace(last, length=max(length, until - last.timestamp))
            self._check_whole(declared, last.number + 1, last.timestamp + last.length)
            yield last

    def _all_pictures(self) -> Iterator[VideoFrame]:
        first, self._first = self._first, None
        if first is not None:
            yield first
        yield from self._pictures

    def _decode(self) -> Iterator[VideoFrame]:
        """Yield every picture that decodes. A damaged packet costs its own pictures, not those after it."""
        latest = -math.inf
        for picture in self._decode_in_threads():
            if picture.pts is not None:
                latest = max(latest, picture.pts)
            yield picture
        if self._broken and not self._packet_clock.jumps:
            yield from self._decode_tail(latest)

    def _decode_in_threads(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._stream)
        times = AviTimes() if tells_places_only(self._container, self._stream) else None
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.FFmpegError, IndexError) as error:  # IndexError: a damaged MPEG-TS grew a stream (PyAV 18)
                self.warnings.append(f"reading stops before its end: {error}")
                self._broken += 1
                break
            if packet.is_corrupt:
                self._corrupt.append(self._packet_clock.packets)
            self._packet_clock.advance(packet)
            self._packets += packet.size > 0
            is_repeat = self._stream.codec_context.name == "mpeg4" and 0 < packet.size <= MAX_REPEAT_BYTES
            self._hidden += packet.is_discard or is_repeat
            if times is not None:
                times.send(packet)
            try:
                for picture in self._stream.decode(packet):
                    yield picture if times is None else times.assign(picture)
            except av.FFmpegError:
                self._broken += 1
        # Where a clock restarts, another recording begins: that its packets do not follow is no damage.
        self._broken += sum(not self._packet_clock.is_near_jump(number) for number in self._corrupt)

    def _decode_tail(self, latest: float) -> Iterator[VideoFrame]:
        """Yield the pictures after `latest`, decoded again in one thread: several lose those after damage near the end.

        -inf: all of them, since few pictures are all near the end.
        """
        with open_container(self.path) as container, suppress(av.FFmpegError, IndexError):
            streams = [s for s in container.streams.video if s.index == self._stream.index]
            stream = streams[0]  # decoded here without such threads
            if latest > -math.inf:
                container.seek(int(latest), stream=stream)
            for packet in container.demux(stream):
                packet.pts = packet.dts if tells_places_only(container, stream) else packet.pts
                with suppress(av.FFmpegError):
                    yield from (p for p in stream.decode(packet) if p.pts is not None and p.pts > latest)

    def _report_times(self) -> None:
        """Add warnings about times that are not as they should be."""
        if held := self._clock.held:
            self.warnings.append(f"times that run backwards: {held}; each was held at the time before it")
        start = float(container_start(self._container))
        for jump in self._packet_clock.jumps[:1]:
            times = len(self._packet_clock.jumps)
            self.warnings.append(
                f"its clock starts again at {jump.time - start:.3f} s"
                + (f" and {times - 1} times more" if times > 1 else "")
                + "; time goes on from there, as players do it"
            )

    def _declared(self) -> int | None:
        """Return how many pictures the file declares; of an AVI, without the empty chunks that its header counts."""
        declared = self.info.frames_declared
        if declared is None or not self._is_avi or self._packets >= declared or not avi_is_whole(self.path):
            return declared
        return max(pictures_held(self.path, self._stream.index), self._packets)

    def _check_whole(self, declared: int | None, decoded: int, end: float) -> None:
        """Add a warning where packets are damaged or missing, or do not become pictures."""
        duration = self.info.duration
        missing = declared is not None and self._packets < declared
        if missing and self._is_avi and not avi_is_whole(self.path):  # whether the rest was empty is not in the file
            base = self._stream.time_base
            length = self._stream.duration * base if self._stream.duration and base else Fraction(0)
            missing = end + 1.5 / self.info.fps < length  # one more than there are is usual
            declared = declared if missing else self._packets
        shown = (declared or 0) - self._hidden
        is_lost = decoded < shown if self._broken else decoded < FEW * shown / (2 if self._has_fields else 1)
        if missing or is_lost:
            self.warnings.append(f"damaged: {decoded} of {declared} declared frames decode")
        elif self._broken:
            self.warnings.append(f"damaged packets: {self._broken}; {decoded} frames decode")
        is_timed = self.info.timestamp_source == "container"
        if not declared and is_timed and ends_early(self.path, end, duration):
            self.warnings.append(f"its pictures end at {end:.1f} s of {duration:.1f} s declared")
