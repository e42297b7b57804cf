"""Encodes pictures as H.264 with the settings of annotated.mp4; writes and reads files of encoded segments."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ferwatch.errors import OutputError
from ferwatch.utils.version import __version__
from ferwatch.video.container import VideoInfo

CLOCK = Fraction(1, 90_000)
"""Time base of the pictures: MPEG's clock, which holds the usual frame rates exactly and any time to 6 microseconds."""
MAX_PICTURE_TICKS = 2**30
"""Longest time that one picture may be shown, in ticks of CLOCK: 3.3 hours. FFmpeg refuses more than twice that; only
damaged times ask for it."""
REORDERED_PICTURES = 2
"""Largest number of pictures that are decoded before one that is shown before them."""
X264_OPTIONS = {"preset": "ultrafast", "crf": "26", "coder": "ac", "bf": str(REORDERED_PICTURES), "b-adapt": "0"}
"""About 0.6 times the processor time of "superfast" at crf 23, for the same size or less, and a little less sharp."""
ENCODER = f"ferwatch {__version__}, x264 {X264_OPTIONS}"
"""Text that names everything but the pictures that their packets depend on: the same text gives the same bytes."""
# Code points of ITU-T H.273.
BT601_MATRIX, NO_MATRIX, LIMITED_RANGE, BT709_COLOURS = 6, 2, 1, 1
_PACKET_HEADER = struct.Struct("<qI?")


class EncodedPicture(NamedTuple):
    """An encoded picture: one packet of H.264."""

    pts: int
    """Ticks of CLOCK."""
    is_keyframe: bool
    data: bytes


def to_picture(image: NDArray[np.uint8]) -> av.VideoFrame:
    """Return an image (H, W, 3) BGR as a 4:2:0 picture with even sides, as H.264 needs it."""
    below, beside = image.shape[0] % 2, image.shape[1] % 2
    if below or beside:
        image = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    planes: NDArray[np.uint8] = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)  # type: ignore[assignment]
    # PyAV takes an array as it is, without a copy, only where its rows can be shared out between the planes.
    is_divisible = planes.shape[0] % 6 == 0
    return (av.VideoFrame.from_numpy_buffer if is_divisible else av.VideoFrame.from_ndarray)(planes, format="yuv420p")


class FilmClock:
    """Turns source times into the times of a film, in ticks of CLOCK; they increase from picture to picture.

    Args:
        start: seconds of the source at which the film begins.
        warnings: a list to add warnings to.
    """

    def __init__(self, start: float, warnings: list[str]) -> None:
        self._start = start
        self._last = -1
        self._left_out = 0
        self._warnings = warnings

    def ticks(self, timestamp: float) -> int:
        """Return the film's time of the next picture, which the source shows at `timestamp` (seconds)."""
        # Times that a damaged source repeats still need an order.
        pts = max(round(max(timestamp - self._start, 0.0) / CLOCK) - self._left_out, self._last + 1)
        if pts - self._last > MAX_PICTURE_TICKS:
            self._warnings.append(
                f"annotated.mp4 is ahead from {timestamp:.3f} s on: no picture lasts 3.3 hours in MP4"
            )
            self._left_out += pts - self._last - MAX_PICTURE_TICKS
            pts = self._last + MAX_PICTURE_TICKS
        self._last = pts
        return pts


@dataclass(frozen=True)
class Encoding:
    """Settings of the encoder that follow from the source."""

    width: int
    height: int
    fps: Fraction
    primaries: int
    transfer: int
    matrix: int | None
    """None: the film names none."""

    @classmethod
    def of(cls, source: VideoStream, info: VideoInfo) -> Encoding:
        """Return the settings for a source; `info` is what it says of itself."""
        told = source.codec_context
        is_sdr = info.dynamic_range == "SDR"
        # OpenCV converts with the matrix of BT.601. Of a source that names no matrix FFmpeg has assumed the same, so
        # that naming none gives its very colours back, whatever a player then assumes.
        has_matrix = told.colorspace != NO_MATRIX
        has_colours = told.format is not None and (told.format.is_rgb or told.format.has_palette)
        return cls(
            width=info.width + info.width % 2,
            height=info.height + info.height % 2,
            fps=Fraction(info.fps).limit_denominator(1001),
            primaries=told.color_primaries if is_sdr else BT709_COLOURS,
            transfer=told.color_trc if is_sdr else BT709_COLOURS,
            matrix=BT601_MATRIX if has_matrix or has_colours else None,
        )

    def set_up(self, context: VideoCodecContext, threads: int) -> None:
        """Set an encoder's options.

        Args:
            threads: number of pictures that it encodes at once; 0: as many as it likes.
        """
        context.options = dict(X264_OPTIONS)
        context.width, context.height, context.pix_fmt = self.width, self.height, "yuv420p"
        context.time_base, context.framerate = CLOCK, self.fps
        context.gop_size = max(1, round(2 * self.fps))  # two seconds: a click in the page seeks at once
        context.thread_type = "FRAME"  # several pictures at once; PyAV would have threads share each one
        context.thread_count = threads
        context.color_range = LIMITED_RANGE
        context.color_primaries, context.color_trc = self.primaries, self.transfer
        if self.matrix is not None:
            context.colorspace = self.matrix

    def encode(self, pictures: Iterable[tuple[av.VideoFrame, int]]) -> Iterator[EncodedPicture]:
        """Yield the packets of pictures and their times in ticks, in decoding order, in one thread.

        The first one is a key frame, and none needs pictures from outside: such segments can be joined.
        """
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, VideoCodecContext)
        self.set_up(context, threads=1)
        context.bit_rate = 0
        context.flags |= Flags.global_header  # as MP4 needs it
        for picture, ticks in pictures:
            picture.pts, picture.time_base = ticks, CLOCK
            yield from map(_encoded, context.encode(picture))
        yield from map(_encoded, context.encode(None))


def _encoded(packet: av.Packet) -> EncodedPicture:
    assert packet.pts is not None
    return EncodedPicture(packet.pts, packet.is_keyframe, bytes(packet))


def write_packets(path: Path, packets: Iterable[EncodedPicture]) -> None:
    """Write packets to a file. Raises OSError."""
    with open(path, "wb") as file:
        for packet in packets:
            file.write(_PACKET_HEADER.pack(packet.pts, len(packet.data), packet.is_keyframe))
            file.write(packet.data)


def read_packets(path: Path) -> Iterator[EncodedPicture]:
    """Yield the packets of a file in their order. Raises OutputError where it is damaged."""
    try:
        with open(path, "rb") as file:
            while header := file.read(_PACKET_HEADER.size):
                pts, size, is_keyframe = _PACKET_HEADER.unpack(header)
                data = file.read(size)
                if len(data) < size:
                    raise ValueError("it is cut off")
                yield EncodedPicture(pts, is_keyframe, data)
    except (OSError, ValueError, struct.error) as error:
        raise OutputError(f"{path} is damaged ({error}); start again with --overwrite") from None
