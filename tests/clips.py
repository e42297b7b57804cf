"""Clips made for the tests with PyAV. Each frame shows its number, by which its order can be checked."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 8
TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
"""Display matrices that turn a picture by so many degrees clockwise."""
CELL = 16


def numbered(number: int, width: int = 160, height: int = 96) -> np.ndarray:
    """A grey picture (H, W, 3 BGR) whose top row of cells is `number` in binary, with red in its bottom left corner."""
    image = np.full((height, width, 3), 110, np.uint8)
    for bit in range(BITS):
        image[:CELL, bit * CELL : (bit + 1) * CELL] = 235 if number >> bit & 1 else 20
    image[-2 * CELL :, : 2 * CELL] = (30, 30, 220)
    return image


def number_of(image: np.ndarray) -> int:
    """The number that a picture from numbered() shows."""
    cells = [image[4:12, bit * CELL + 4 : bit * CELL + 12].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, level in enumerate(cells) if level > 128)


def make_clip(
    path: Path,
    times: Sequence[float],
    *,
    sound: str | None = None,
    seconds: float | None = None,
    size: tuple[int, int] = (160, 96),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    bframes: int = 0,
    offset: float = 0.0,
    turned: int = 0,
    matrix: tuple[int, int, int, int] | None = None,
    shape: Fraction | None = None,
    last: float | None = None,
    first: int = 0,
    rate: int = 30,
    sound_from: float = 0.0,
    container: str | None = None,
    grain: bool = False,
    **options: str,
) -> Path:
    """Writes frames 0, 1, ... at `times` (seconds), and a 440 Hz tone from 0 to `seconds` in the codec `sound`.

    `offset` is added to all times: negative ones make an edit list in MP4. `turned`: the picture is stored so that it
    has to be turned by so many degrees clockwise to be upright; `matrix`: so that a display matrix (a, b, c, d) brings
    it upright; both for MP4 and MOV. `shape`: width of a stored pixel divided by its height. `last`: seconds for which
    the last picture stands. `first`: the number that the first picture shows. The sound begins at `sound_from`
    (seconds). `container`: FFmpeg's name of the format where the suffix does not tell it. `grain` makes the file
    larger.
    """
    with av.open(str(path), "w", format=container, options=options) as out:
        picture = out.add_stream(
            codec, rate=rate, options={"g": "30", "bf": str(bframes)} if codec == "libx264" else {}
        )
        transposed = turned % 180 == 90 or (matrix is not None and matrix[0] == 0)
        picture.width, picture.height = size[::-1] if transposed else size
        if shape is not None:
            picture.codec_context.sample_aspect_ratio = shape
        picture.pix_fmt = pix_fmt
        clock = rate if codec.startswith("mpeg") else 90_000
        picture.codec_context.time_base = picture.time_base = Fraction(1, clock)
        packets = []
        for number, time in enumerate(times):
            image = np.rot90(numbered(number + first, *size), turned // 90)
            image = np.ascontiguousarray(image if matrix is None else stored_for(matrix, image))
            if grain:
                image[CELL:] += np.random.default_rng(number).integers(0, 30, image[CELL:].shape, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(time * clock), Fraction(1, clock)
            packets += picture.encode(frame)
        packets += picture.encode(None)
        if last is not None:
            final = max(packets, key=lambda packet: packet.pts)
            final.duration = round(last / final.time_base)
        if sound is not None:
            track = out.add_stream(sound, rate=44_100, layout="mono")
            length = times[-1] - sound_from if seconds is None else seconds
            packets += [_delayed(packet, sound_from) for packet in _tone(track, length)]
        for packet in packets:
            shift = round(Fraction(offset) / packet.time_base)
            packet.pts += shift
            packet.dts += shift
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)
    if turned or matrix is not None:
        write_matrix(path, matrix or TURNS[turned])
    return path


def _delayed(packet: av.Packet, seconds: float) -> av.Packet:
    shift = round(seconds / packet.time_base)
    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
    return packet


def _tone(track: av.AudioStream, seconds: float) -> list[av.Packet]:
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(44_100 * seconds)) / 44_100)
    packets = []
    for start in range(0, len(wave), 1024):
        samples = wave[None, start : start + 1024]
        if track.format.name == "s16":
            frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16), format="s16", layout="mono")
        else:
            frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
        packets += track.encode(frame)
    return packets + track.encode(None)


def stored_for(matrix: tuple[int, int, int, int], image: np.ndarray) -> np.ndarray:
    """The picture that a display matrix (a, b, c, d) turns into `image`: x goes to ax + cy, and y to bx + dy."""
    a, b, c, d = matrix
    flipped = image[:: -1 if b + d < 0 else 1, :: -1 if a + c < 0 else 1]
    return flipped.transpose(1, 0, 2) if a == 0 else flipped


def write_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Sets the matrix of the first track's header, by which players turn and mirror the picture."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def presentation_times(path: Path) -> list[float]:
    """What PyAV says of every frame it decodes: its time minus the container's start, in seconds."""
    with av.open(str(path)) as container:
        start = (container.start_time or 0) / av.time_base
        return [frame.time - start for frame in container.decode(video=0)]


def write_edits(path: Path, edits: Sequence[tuple[float, float]]) -> None:
    """Gives all tracks of an MP4 an edit list: these stretches of the film (start, end in seconds) are shown in turn.

    The moov box has to be the last one, as PyAV writes it.
    """
    data = path.read_bytes()
    moov = data.rindex(b"moov") - 4
    movie_clock = _clock_of(data, data.index(b"mvhd", moov))
    tracks = []
    for kind, box in _boxes(data[moov + 8 :]):
        if kind == b"trak":
            clock = _clock_of(box, box.index(b"mdhd"))
            inner = _boxes(box[8:])
            earlier = [part for name, part in inner if name == b"edts"]
            first = int.from_bytes(earlier[0][-8:-4], "big") if earlier else 0  # pictures that are reordered begin late
            entries = [
                struct.pack(">IiI", round((end - start) * movie_clock), first + round(start * clock), 1 << 16)
                for start, end in edits
            ]
            elst = _box(b"elst", struct.pack(">II", 0, len(entries)) + b"".join(entries))
            parts = [part for name, part in inner if name != b"edts"]
            box = _box(b"trak", parts[0] + _box(b"edts", elst) + b"".join(parts[1:]))
        tracks.append(box)
    path.write_bytes(data[:moov] + _box(b"moov", b"".join(tracks)))


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    boxes, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        boxes.append((data[at + 4 : at + 8], data[at : at + size]))
        at += size
    return boxes


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _clock_of(data: bytes, header: int) -> int:
    """Ticks a second, from a header of version 0."""
    return int.from_bytes(data[header + 16 : header + 20], "big")
