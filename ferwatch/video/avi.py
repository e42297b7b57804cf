"""Times of an AVI's pictures, and what its chunks hold, counted without FFmpeg, which believes the index."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from heapq import heappop, heappush
from pathlib import Path
from typing import BinaryIO

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

PICTURE_CHUNKS = (b"dc", b"db")
"""Last two letters of the names of chunks that hold a picture, compressed or not; the first two number the stream."""
LISTS_OF_CHUNKS = (b"movi", b"rec ")


def tells_places_only(container: InputContainer, stream: VideoStream) -> bool:
    """Return whether the packets of a stream tell only their places in decoding order, as in AVI.

    FFmpeg knows the times of MPEG-4 in an AVI, whose packets may hold two pictures or none.
    """
    return container.format.name == "avi" and stream.codec_context.name != "mpeg4"


class AviTimes:
    """Gives the pictures of an AVI their times.

    An AVI tells of each packet only its place in decoding order. The picture that is shown first has the first place,
    and so on. A key frame has the place of its own packet, so that pictures that do not decode shift none after them.
    """

    def __init__(self) -> None:
        self._places: list[int] = []

    def send(self, packet: Packet) -> None:
        """Take note of a packet that is decoded next, and give it its place as presentation time."""
        packet.pts = packet.dts
        if packet.size and packet.dts is not None:
            heappush(self._places, packet.dts)

    def assign(self, picture: VideoFrame) -> VideoFrame:
        """Give a decoded picture the time at which it is shown, and return it."""
        while picture.key_frame and picture.pts is not None and self._places and self._places[0] < picture.pts:
            heappop(self._places)
        if self._places:
            picture.pts = heappop(self._places)
        return picture


def avi_is_whole(path: Path) -> bool:
    """Return whether all RIFF chunks of an AVI file lie within the file: it was not cut off."""
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + 12 <= size:
            file.seek(at)
            kind, length = struct.unpack("<4sI", file.read(8))
            if kind != b"RIFF" or not length:
                return at > 0
            at += 8 + length + length % 2
            if at > size + 1:
                return False
    return at > 0


def pictures_held(path: Path, stream: int) -> int:
    """Return how many chunks of an AVI file hold a picture of this stream; empty ones, which repeat one, do not count.

    The chunks are walked through up to the first that is damaged.
    """
    with path.open("rb") as file:
        return sum(size > 0 and name == b"%02d" % stream for name, size in _picture_chunks(file))


def _picture_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield the stream number, as two digits, and the size in bytes of each picture chunk."""
    while len(header := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", header)
        if name in (b"RIFF", b"LIST"):
            if name == b"RIFF" or file.read(4) in LISTS_OF_CHUNKS:
                file.seek(4 if name == b"RIFF" else 0, 1)
                continue
            size -= 4
        elif name[2:] in PICTURE_CHUNKS:
            yield name[:2], size
        file.seek(size + size % 2, 1)
