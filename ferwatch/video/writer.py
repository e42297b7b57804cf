"""annotated.mp4: the source's frames with boxes and labels, at their own times, and its sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ferwatch.errors import OutputError
from ferwatch.utils.files import atomic_write
from ferwatch.video.audio import Sound
from ferwatch.video.container import VideoInfo, open_container, threads_for

CLOCK = Fraction(1, 90_000)
"""Time base of the pictures: MPEG's clock, which holds the usual frame rates exactly and any time to 6 microseconds."""
MAX_PICTURE_TICKS = 2**30
"""Longest time that one picture may be shown, in ticks of CLOCK: 3.3 hours. FFmpeg refuses more than twice that; only
damaged times ask for it."""
# Code points of ITU-T H.273.
BT601_MATRIX, NO_MATRIX, LIMITED_RANGE, BT709_COLOURS = 6, 2, 1, 1
MP4_OPTIONS = {"movflags": "+faststart", "movie_timescale": str(CLOCK.denominator)}
DAMAGED_SOUND = "damaged pieces of the sound are left out of annotated.mp4"
X264_OPTIONS = {"preset": "superfast", "crf": "23", "subme": "0", "weightp": "0", "b-adapt": "0", "bf": "2"}
"""0.6 times the size of "ultrafast" at crf 22. The last four options save a tenth of a run's time, for 7% in size."""


def to_picture(image: NDArray[np.uint8]) -> av.VideoFrame:
    """Return an image (H, W, 3) BGR as a 4:2:0 picture with even sides, as H.264 needs it."""
    below, beside = image.shape[0] % 2, image.shape[1] % 2
    if below or beside:
        image = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    planes: NDArray[np.uint8] = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)  # type: ignore[assignment]
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


@contextmanager
def annotated_video(
    path: Path, info: VideoInfo, start: float = 0.0, end: float | None = None
) -> Iterator[AnnotatedVideo]:
    """Yield the writer of an H.264 MP4, which appears at `path` when the context ends without an error.

    Args:
        info: what the source says of itself; its sound is copied.
        start, end: seconds of the source; its sound outside is left out.

    Raises OutputError where it cannot be written.
    """
    with atomic_write(path) as temp_path, open_container(info.path) as source:
        try:
            with av.open(f"file:{temp_path}", "w", format="mp4", options=MP4_OPTIONS) as out:
                writer = AnnotatedVideo(out, source, info, start, end)
                yield writer
                writer.finish()
        except av.FFmpegError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error


class AnnotatedVideo:
    """Writes pictures at their times, and the source's sound; both count from `start` and so stay in step."""

    def __init__(
        self, out: OutputContainer, source: InputContainer, info: VideoInfo, start: float, end: float | None
    ) -> None:
        self._out = out
        self._start = start
        self._last = -1
        self._left_out = 0  # ticks
        self._last_length = max(round(1 / info.fps / CLOCK), 1)
        picture_stream = source.streams[info.stream]
        assert isinstance(picture_stream, VideoStream)
        self._track = _picture_track(out, picture_stream, info)
        self._sound = Sound(source, out, start, end, info.clock_jumps)
        self._packets = self._sound.packets()
        self._next = next(self._packets, None)
        self.warnings = self._sound.warnings

    def write(self, picture: av.VideoFrame, timestamp: float, duration: float | None = None) -> None:
        """Add a picture from `to_picture`, of the size in VideoInfo, at its source time in seconds.

        The last picture is shown for its `duration` in seconds; None: for one frame interval.
        """
        time = max(timestamp - self._start, 0.0)
        self._mux_sound(until=time)
        # Times that a damaged source repeats still need an order.
        pts = max(round(time / CLOCK) - self._left_out, self._last + 1)
        if pts - self._last > MAX_PICTURE_TICKS:
            self.warnings.append(f"annotated.mp4 is ahead from {timestamp:.3f} s on: no picture lasts 3.3 hours in MP4")
            self._left_out += pts - self._last - MAX_PICTURE_TICKS
            pts = self._last + MAX_PICTURE_TICKS
        self._last = picture.pts = pts
        if duration is not None:
            self._last_length = min(max(round(duration / CLOCK), 1), MAX_PICTURE_TICKS)
        picture.time_base = CLOCK
        self._mux_picture(picture)

    def finish(self) -> None:
        """Write what the encoder still holds, and the rest of the sound."""
        self._mux_picture(None)
        self._mux_sound(until=float("inf"))

    def _mux_picture(self, frame: av.VideoFrame | None) -> None:
        for packet in self._track.encode(frame):
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


def _picture_track(out: OutputContainer, source: VideoStream, info: VideoInfo) -> VideoStream:
    track = out.add_stream("libx264", rate=Fraction(info.fps).limit_denominator(1001), options=dict(X264_OPTIONS))
    track.width, track.height = info.width + info.width % 2, info.height + info.height % 2
    track.pix_fmt = "yuv420p"
    track.time_base = track.codec_context.time_base = CLOCK
    track.codec_context.gop_size = max(1, round(2 * info.fps))  # two seconds: a click in the page seeks at once
    told, ours = source.codec_context, track.codec_context
    ours.thread_type = "FRAME"  # several pictures at once; PyAV would have threads share each one
    ours.thread_count = threads_for(track.width, track.height)
    # OpenCV converts with the matrix of BT.601. Of a source that names no matrix FFmpeg has assumed the same, so that
    # naming none gives its very colours back, whatever a player then assumes.
    ours.color_range = LIMITED_RANGE
    if info.dynamic_range == "SDR":
        ours.color_primaries, ours.color_trc = told.color_primaries, told.color_trc
    else:
        ours.color_primaries = ours.color_trc = BT709_COLOURS
    if told.colorspace != NO_MATRIX or (told.format is not None and (told.format.is_rgb or told.format.has_palette)):
        ours.colorspace = BT601_MATRIX
    return track
