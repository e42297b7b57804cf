"""Reads a file's packets without decoding pictures: where its clock restarts, and where the size changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from ferwatch.video.clock import ClockJump, PacketClock
from ferwatch.video.container import open_container

CHANGING_FORMATS = frozenset(
    {"matroska,webm", "mpegts", "mpeg", "flv", "ivf", "h264", "hevc", "m4v", "mpegvideo", "mjpeg", "vc1", "obu"}
)
"""Formats whose header does not state whether the size changes in mid-stream, or the true duration."""
SEQUENCE_HEADER_BYTES = {"vp8": slice(3, 10), "vp9": slice(0, 9), "av1": slice(0, 12), "mpeg2video": slice(0, 8)}
"""The part of a key frame that tells its size, for codecs that begin with it."""


@dataclass
class Scan:
    """Properties of one picture stream, from its packets."""

    sizes: list[tuple[int, int]] = field(default_factory=list)
    """Width and height of the stored pictures in pixels, each once, in the order of their first key frames."""
    jumps: list[ClockJump] = field(default_factory=list)
    end: Fraction = Fraction(0)
    """Seconds on the continued clock at which the last packet ends, counted like the packets' own times."""
    packets: int = 0


def scan_stream(path: Path, index: int) -> Scan:
    """Read all packets of a picture stream; pictures are decoded only where a key frame tells of another size.

    Args:
        index: index of the stream among all streams of the file.
    Raises VideoError where the file cannot be opened. Damage ends the scan early.
    """
    scan = Scan()
    headers: set[bytes] = set()
    with open_container(path) as container, suppress(av.FFmpegError, IndexError):
        stream = container.streams[index]
        if not isinstance(stream, VideoStream) or stream.codec_context is None:
            return scan
        codec = stream.codec_context.codec.canonical_name
        clock = PacketClock.for_container(container)
        for packet in container.demux(stream):
            clock.advance(packet)
            scan.packets += packet.size > 0
            if packet.is_keyframe and packet.size and (header := size_header(codec, packet)) not in headers:
                headers.add(header)
                size = _decoded_size(stream.codec_context, packet)
                if size is not None and size not in scan.sizes:
                    scan.sizes.append(size)
            scan.jumps = clock.jumps
            if packet.pts is not None and packet.time_base is not None:
                scan.end = max(scan.end, (packet.pts + (packet.duration or 0)) * packet.time_base)
    return scan


def size_header(codec: str, packet: Packet) -> bytes:
    """Return the bytes of a key frame that tell its size; empty where it tells none or the codec is not known here."""
    if codec in SEQUENCE_HEADER_BYTES:
        return bytes(memoryview(packet)[SEQUENCE_HEADER_BYTES[codec]])
    if codec in ("h264", "hevc"):
        kind = (lambda unit: unit[0] & 31 == 7) if codec == "h264" else (lambda unit: unit[0] >> 1 & 63 == 33)
        return b"".join(unit for unit in _nal_units(bytes(memoryview(packet)[:4096])) if unit and kind(unit))
    return b""


def _nal_units(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units at the front of an H.264 or HEVC packet, with start codes or with lengths of four bytes."""
    if data[:3] == b"\0\0\1" or data[:4] == b"\0\0\0\1":
        yield from (unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:])
        return
    at = 0
    while at + 4 < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + length]
        at += 4 + max(length, 1)


def _decoded_size(context: VideoCodecContext, packet: Packet) -> tuple[int, int] | None:
    """Return width and height of a key frame, decoded by itself; None where it does not decode."""
    decoder = av.CodecContext.create(context.name, "r")
    if not isinstance(decoder, VideoCodecContext):
        return None
    decoder.extradata = context.extradata
    decoder.thread_count = 1
    with suppress(av.FFmpegError):
        for picture in (*decoder.decode(packet), *decoder.decode(None)):
            return picture.width, picture.height
    return None
