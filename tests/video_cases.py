#!/usr/bin/env python3
"""Makes random videos whose pictures, times and durations are known, and counts how many are read right.

    python tests/video_cases.py --seed 1 --count 200 [--only NUMBER] [--record]

A case is right when every picture is there, upright and unmirrored, with the size and at the time at which a player
shows it, for as long as a player shows it, and when every picture that stands for a sampling interval or more is among
the samples of a run (ten a second), with its duration. A warning about damage is wrong: no file is damaged.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from random import Random

import av
import cv2
from clips import TURNS, make_clip, numbered
from fuzz import table

from ferwatch.records import Frame
from ferwatch.video.sampling import Sampling
from ferwatch.video.source import open_source

SAMPLES_PER_SECOND = 10
TIME_TOLERANCE = 0.002
"""Seconds: Matroska rounds times to milliseconds, and a duration is the difference of two."""
MAX_DIFFERENCE = 14
"""Mean difference of 255 levels between a picture and what it ought to show; another number makes 20 and more."""
FRAME_SECONDS = 0.04

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class Truth:
    """What a player shows, picture by picture."""

    durations: list[float]
    """Seconds; the first picture is shown at 0."""
    displayed: list[Size]
    drawn: list[Size]
    """Sizes at which the pictures were drawn, before pixels were given another shape."""


Case = tuple[Path, Truth]


def pixel_shape(random: Random, folder: Path) -> Case:
    """A picture stored with pixels that are not square."""
    known = [Fraction(64, 45), Fraction(16, 15), Fraction(32, 27), Fraction(8, 9), Fraction(10, 11), Fraction(32, 15)]
    shape = random.choice([*known, Fraction(random.randint(5, 20), 10)])
    size, count = _size(random), random.randint(5, 20)
    path = folder / f"shape.{random.choice(['mp4', 'mov', 'mkv', 'ts'])}"
    make_clip(path, _times(count), size=size, shape=shape, rate=25)
    width, height = size
    displayed = (round(width * shape), height) if shape > 1 else (width, round(height / shape))
    return path, Truth([FRAME_SECONDS] * count, [displayed] * count, [size] * count)


def display_matrix(random: Random, folder: Path) -> Case:
    """One of the eight ways to turn and mirror a picture."""
    mirrors = [(1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]
    matrix = random.choice([*mirrors, *TURNS.values()])
    size, count = _size(random), random.randint(5, 20)
    path = folder / f"matrix.{random.choice(['mp4', 'mov'])}"
    make_clip(path, _times(count), size=size, matrix=matrix, rate=25)
    return path, Truth([FRAME_SECONDS] * count, [size] * count, [size] * count)


def size_change(random: Random, folder: Path) -> Case:
    """A recording whose size, or whose orientation, changes once or twice in mid-stream."""
    codec = random.choice(["libvpx", "libvpx-vp9", "libx264"])
    suffix = "ts" if codec == "libx264" else "webm"
    sizes = [_size(random) for _ in range(random.randint(2, 3))]
    if random.random() < 0.3:
        sizes[-1] = (sizes[0][1], sizes[0][0])
    counts = [random.randint(5, 15) for _ in sizes]
    pieces = []
    for number, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        piece = folder / f"{number}.{suffix}"
        pieces.append(make_clip(piece, _times(count), size=size, codec=codec, rate=25, first=sum(counts[:number])))
    path = folder / f"sizes.{suffix}"
    if suffix == "ts":
        path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    else:
        _join(path, pieces, counts)
    every = [size for size, count in zip(sizes, counts, strict=True) for _ in range(count)]
    return path, Truth([FRAME_SECONDS] * sum(counts), every, every)


def clock_restart(random: Random, folder: Path) -> Case:
    """Pieces of MPEG-TS joined byte by byte, each with a clock of its own."""
    counts = [random.randint(8, 30) for _ in range(random.randint(2, 4))]
    bframes = random.choice([0, 2])
    pieces = []
    clock = random.uniform(0, 1000)
    for number, count in enumerate(counts):
        start = random.choice(
            [random.uniform(0, 50000), clock - random.uniform(0.5, 90), clock + random.uniform(11, 5000)]
        )
        # A clock that is only a little ahead cannot be told from a pause in one recording.
        start = clock + 20 if -0.5 < start - clock < 11 or start < 0 else start
        clock = start + count * FRAME_SECONDS
        times = [start + time for time in _times(count)]
        pieces.append(make_clip(folder / f"{number}.ts", times, bframes=bframes, rate=25, first=sum(counts[:number])))
    path = folder / "joined.ts"
    path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    count = sum(counts)
    return path, Truth([FRAME_SECONDS] * count, [(160, 96)] * count, [(160, 96)] * count)


def durations(random: Random, folder: Path) -> Case:
    """Pictures that stand for different times, the last one too."""
    suffix = random.choice(["mp4", "mov", "mkv", "webm", "avi"])
    moving = [FRAME_SECONDS] * random.randint(0, 12)
    if suffix == "avi":  # counts in frames, and stores a picture that stands as empty ones
        standing = [random.randint(1, 100) * FRAME_SECONDS for _ in range(random.randint(2, 10))]
        lengths = [*moving, *standing, FRAME_SECONDS]
        how = {"codec": "mpeg4", "rate": 25}
    else:
        standing = [round(random.choice([0.04, 0.12, random.uniform(0.1, 9)]), 3) for _ in range(random.randint(2, 10))]
        lengths = [*moving, *standing]
        how = {"codec": "libvpx" if suffix == "webm" else "libx264", "last": lengths[-1]}
    path = make_clip(folder / f"stands.{suffix}", [0.0, *accumulate(lengths[:-1])], **how)
    return path, Truth(lengths, [(160, 96)] * len(lengths), [(160, 96)] * len(lengths))


KINDS: dict[str, Callable[[Random, Path], Case]] = {
    "pixel shapes": pixel_shape,
    "display matrices": display_matrix,
    "sizes that change": size_change,
    "clocks that restart": clock_restart,
    "durations": durations,
}


def faults(path: Path, truth: Truth) -> Iterator[str]:
    """Yield what is not read as a player shows it."""
    with open_source(path) as source:
        frames = list(source)
        info = source.info
        yield from (warning for warning in source.warnings if "damaged" in warning or "backwards" in warning)
    if len(frames) != len(truth.durations):
        yield f"{len(frames)} of {len(truth.durations)} pictures"
        return
    largest = max(truth.displayed, key=lambda size: size[0] * size[1])
    if (info.width, info.height) != largest:
        yield f"the frame is {info.width}x{info.height}, not {largest[0]}x{largest[1]}"
    starts = [0.0, *accumulate(truth.durations)]
    for frame in frames:
        yield from _frame_faults(frame, starts[frame.index], truth)
    yield from _sample_faults(path, truth)


def _frame_faults(frame: Frame, start: float, truth: Truth) -> Iterator[str]:
    number = frame.index
    if abs(frame.timestamp - start) > TIME_TOLERANCE:
        yield f"picture {number} is at {frame.timestamp}, not at {start}"
    if frame.duration is None or abs(frame.duration - truth.durations[number]) > TIME_TOLERANCE:
        yield f"picture {number} stands for {frame.duration}, not for {truth.durations[number]}"
    if frame.image.shape[1::-1] != truth.displayed[number]:
        yield f"picture {number} is {frame.image.shape[1::-1]}, not {truth.displayed[number]}"
    drawn = truth.drawn[number]
    difference = cv2.absdiff(cv2.resize(frame.image, drawn, interpolation=cv2.INTER_AREA), numbered(number, *drawn))
    if difference.mean() > MAX_DIFFERENCE:
        yield f"picture {number} shows something else"


def _sample_faults(path: Path, truth: Truth) -> Iterator[str]:
    """Yield pictures that stand for a sampling interval or more and have no sample of that duration."""
    with open_source(path, sampling=Sampling(fps=SAMPLES_PER_SECOND)) as source:
        samples = {frame.index: frame.duration or 0 for frame in source}
    for number, length in enumerate(truth.durations):
        is_long = length > 1 / SAMPLES_PER_SECOND + TIME_TOLERANCE
        if is_long and abs(samples.get(number, 0) - length) > TIME_TOLERANCE:
            yield f"the sample of picture {number} stands for {samples.get(number)}, not for {length}"


def make_case(seed: int, number: int, folder: Path) -> tuple[str, Path, Truth]:
    """Make a case; the same seed and number give the same one. Returns its kind, its file and the truth about it."""
    kind = list(KINDS)[number % len(KINDS)]
    return kind, *KINDS[kind](Random(f"{seed} {number}"), folder)


def _size(random: Random) -> Size:
    return 2 * random.randint(80, 160), 2 * random.randint(65, 110)


def _times(count: int) -> list[float]:
    return [number * FRAME_SECONDS for number in range(count)]


def _join(path: Path, pieces: list[Path], counts: list[int]) -> None:
    """Write one file of the packets of several, each 1/25 s after the one before."""
    with av.open(str(path), "w") as out:
        track = None
        for number, piece in enumerate(pieces):
            with av.open(str(piece)) as container:
                stream = container.streams.video[0]
                track = track or out.add_stream_from_template(stream)
                for packet in container.demux(stream):
                    if packet.size:
                        shift = round(Fraction(sum(counts[:number]), 25) / packet.time_base)
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, track
                        out.mux(packet)


def main() -> None:
    parser = table.arguments(__doc__)
    table.cases(parser, count=200, minutes=60)
    parser.add_argument("--only", type=int, help="run this case alone")
    asked = parser.parse_args()
    tried, right, slowest = Counter[str](), Counter[str](), 0.0
    for number in range(asked.count) if asked.only is None else [asked.only]:
        with tempfile.TemporaryDirectory() as folder:
            kind, path, truth = make_case(asked.seed, number, Path(folder))
            began = time.monotonic()
            found = list(faults(path, truth))
            slowest = max(slowest, time.monotonic() - began)
        tried[kind] += 1
        right[kind] += not found
        if found:
            print(f"{number}, {kind}, {path.name}: {found[0]}" + f" (and {len(found) - 1} more)" * (len(found) > 1))
    row: table.Row = {
        "what": "videos with known pictures and times",
        "seed": asked.seed,
        "tried": f"{tried.total()}: " + ", ".join(f"{count} {kind}" for kind, count in tried.items()),
        "ended well": f"{right.total()} read right",
        "did not": str(tried.total() - right.total()),
        "slowest": f"{slowest:.0f} s",
    }
    table.end(row, asked, well=right.total() == tried.total())


if __name__ == "__main__":
    main()
