"""Writes annotated.mp4: pictures at the times of the source's frames, and the source's sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from ferwatch.errors import OutputError
from ferwatch.utils.files import atomic_write, fingerprint
from ferwatch.utils.find_video import check_unchanged
from ferwatch.video.audio import Sound
from ferwatch.video.container import VideoInfo, open_container, threads_for
from ferwatch.video.encoding import (
    CLOCK,
    MAX_PICTURE_TICKS,
    REORDERED_PICTURES,
    EncodedPicture,
    Encoding,
    FilmClock,
)

MP4_OPTIONS = {"movflags": "+faststart", "movie_timescale": str(CLOCK.denominator)}
DAMAGED_SOUND = "damaged pieces of the sound are left out of annotated.mp4"


@contextmanager
def annotated_video(
    path: Path, info: VideoInfo, start: float = 0.0, end: float | None = None
) -> Iterator[AnnotatedVideo]:
    """Yield the writer of an H.264 MP4, which appears at `path` when the context ends without an error.

    Args:
        info: what the source says of itself; its sound is copied.
        start, end: seconds of the source; its sound outside is left out.

    Raises OutputError where it cannot be written, and VideoError where the source has changed meanwhile.
    """
    with atomic_write(path) as temp_path, open_container(info.path) as source:
        content = fingerprint(info.path)
        try:
            with av.open(f"file:{temp_path}", "w", format="mp4", options=MP4_OPTIONS) as out:
                writer = AnnotatedVideo(out, source, info, start, end)
                yield writer
                writer.finish()
        except av.FFmpegError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        check_unchanged(info.path, content)  # boxes, or blurring, would not be where the faces are


class AnnotatedVideo:
    """Writes pictures at their times, and the source's sound; both count from `start` and so stay in step.

    The pictures are given to `write` one by one, or, encoded, all to `join`.
    """

    def __init__(
        self, out: OutputContainer, source: InputContainer, info: VideoInfo, start: float, end: float | None
    ) -> None:
        self._out = out
        self._last_length = max(round(1 / info.fps / CLOCK), 1)
        picture_stream = source.streams[info.stream]
        assert isinstance(picture_stream, VideoStream)
        self.encoding = Encoding.of(picture_stream, info)
        self._track = out.add_stream("libx264", rate=self.encoding.fps)
        self.encoding.set_up(self._track.codec_context, threads_for(info.width, info.height))
        self._track.time_base = CLOCK
        self._sound = Sound(source, out, start, end, info.clock_jumps)
        self._packets = self._sound.packets()
        self._next = next(self._packets, None)
        self.warnings = self._sound.warnings
        """What could not be kept of the source, one line each."""
        self.clock = FilmClock(start, self.warnings)
        """Gives the time of each picture in the film; asked once for each, in order."""

    def write(self, picture: av.VideoFrame, timestamp: float, duration: float | None = None) -> None:
        """Add a picture from `to_picture`, of the size in VideoInfo, at its source time in seconds.

        The last picture is shown for its `duration` in seconds; None: for one frame interval.
        """
        picture.pts, picture.time_base = self.clock.ticks(timestamp), CLOCK
        self._mux_sound(until=float(picture.pts * CLOCK))
        self._show_last_for(duration)
        for packet in self._track.encode(picture):
            self._mux_picture(packet)

    def join(self, packets: Iterable[EncodedPicture], ticks: Sequence[int], duration: float | None) -> None:
        """Add the packets of all pictures, which were encoded in segments with `encoding`, without encoding them again.

        Args:
            packets: in decoding order.
            ticks: times of all pictures, from `clock`, in the order in which they are shown.
            duration: seconds for which the last picture is shown; None: for one frame interval.
        """
        self._show_last_for(duration)
        for encoded, dts in zip(packets, _decoding_times(ticks), strict=True):
            self._mux_sound(until=float(encoded.pts * CLOCK))
            packet = av.Packet(encoded.data)
            packet.stream, packet.time_base = self._track, CLOCK
            packet.pts, packet.dts, packet.is_keyframe = encoded.pts, dts, encoded.is_keyframe
            self._mux_picture(packet)

    def finish(self) -> None:
        """Write what the encoder still holds, and the rest of the sound."""
        for packet in self._track.encode(None):
            self._mux_picture(packet)
        self._mux_sound(until=float("inf"))

    def _show_last_for(self, duration: float | None) -> None:
        if duration is not None:
            self._last_length = min(max(round(duration / CLOCK), 1), MAX_PICTURE_TICKS)

    def _mux_picture(self, packet: av.Packet) -> None:
        packet.duration = self._last_length  # counts for the last one only: MP4 stores differences
        self._out.mux(packet)

    def _mux_sound(self, until: float) -> None:
        while self._next is not None and self._next[0] <= until:
            _, packet = self._next
            try:
                self._out.mux(packet)
            except (av.ArgumentError, av.InvalidDataError):  # what MP4 cannot hold: damaged, or out of order
                if DAMAGED_SOUND not in self.warnings:
                    self.warnings.append(DAMAGED_SOUND)
            self._next = next(self._packets, None)


def _decoding_times(ticks: Sequence[int]) -> Iterator[int]:
    """Yield the decoding time of each packet, in decoding order: the time of the picture REORDERED_PICTURES before it.

    They are those of one encoder for the whole video, and never later than the packet's own time.

    Args:
        ticks: presentation times of all pictures, ascending.
    """
    interval = min(ticks[1] - ticks[0], CLOCK.denominator) if len(ticks) > 1 else 1
    for number in range(len(ticks)):
        early = REORDERED_PICTURES - number
        yield ticks[0] - early * interval if early > 0 else ticks[number - REORDERED_PICTURES]
