"""What the benchmarks share: a clip looped to a length, a clock of wall and processor time, and a table."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Clock:
    """Seconds within its context: on the wall, and of the processor over all threads of this process."""

    wall: float = 0.0
    cpu: float = 0.0

    def __enter__(self) -> Clock:
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.wall += time.perf_counter() - self._began[0]
        self.cpu += time.process_time() - self._began[1]


def loop(clip: Path, out: Path, seconds: float) -> Path:
    """Repeats a clip's packets, sound and picture, until it is so long; nothing is encoded again."""
    with av.open(str(out), "w") as target:
        tracks = {}
        latest: dict[int, int] = {}
        with av.open(str(clip)) as source:
            kept = [s for s in (*source.streams.video[:1], *source.streams.audio[:1])]
            length = Fraction(source.duration or 0, av.time_base)
            if not length:
                raise SystemExit(f"{clip} does not say how long it is")
            for stream in kept:
                tracks[stream.index] = target.add_stream_from_template(stream)
        for turn in range(round(seconds / length) or 1):
            with av.open(str(clip)) as source:
                for packet in source.demux([source.streams[index] for index in tracks]):
                    if packet.dts is None or packet.time_base is None:
                        continue
                    shift = round(turn * length / packet.time_base)
                    packet.dts += shift
                    if packet.dts <= latest.get(packet.stream_index, packet.dts - 1):
                        continue  # the sound is longer than the pictures: its end lies in the next turn
                    latest[packet.stream_index] = packet.dts
                    packet.pts = None if packet.pts is None else packet.pts + shift
                    packet.stream = tracks[packet.stream_index]
                    target.mux(packet)
    return out


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns aligned to the right, except the first."""
    cells = [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join(
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    )
