"""Runs ferwatch on a video of hours, and looks at its memory, its times and its rows.

    python tests/fuzz/long.py --hours 3

The demo's pictures, made smaller, are repeated to that length at a variable rate; every frame is analysed. Memory is
that of the run's process (VmRSS) every second: it may not grow by more than `GROWTH` after the first tenth but for the
table of rows, which is read as a whole at the end.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
import time
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: its threads do not survive a fork

import av
import table
from forked import ROOT, Fork, import_everything

CLOCK = Fraction(1, 1000)
GROWTH = 60
"""MB."""


def repeated(source: Path, path: Path, seconds: float) -> list[float]:
    """Writes the video; returns the time of every picture. Packets are copied, so that hours take no time to make."""
    steps = (200, 132, 268)  # milliseconds from one picture to the next, in turn
    once = path.with_name("once.h264")
    with av.open(str(source)) as film, av.open(str(once), "w") as out:
        track = out.add_stream("libx264", rate=10, options={"bf": "0"})
        track.width, track.height, track.pix_fmt = 320, 180, "yuv420p"
        for number, picture in enumerate(film.decode(video=0)):
            if number % 2 == 0:
                small = picture.reformat(320, 180, "yuv420p")
                small.pts = number // 2
                out.mux(track.encode(small))
        out.mux(track.encode(None))
    times, now = [], 0
    with av.open(str(path), "w") as out:
        track = None
        while now < 1000 * seconds:
            with av.open(str(once)) as film:
                track = track or out.add_stream_from_template(film.streams.video[0])
                for packet in film.demux(video=0):
                    if packet.size == 0:
                        continue
                    packet.pts = packet.dts = now
                    packet.time_base, packet.stream = CLOCK, track
                    out.mux(packet)
                    times.append(now / 1000)
                    now += steps[len(times) % len(steps)]
    return times


def resident(pid: int) -> float:
    """MB in memory; 0 where the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def main() -> None:
    parser = table.arguments(__doc__)
    parser.add_argument("--hours", type=float, default=3)
    asked = parser.parse_args()

    import_everything()
    faults, memory = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        times = repeated(ROOT / "samples/demo.mp4", folder / "long.mp4", 3600 * asked.hours)
        began = time.monotonic()
        run = Fork(
            [str(folder / "long.mp4"), "--all-frames", "--no-video", "--out", str(folder / "run")], folder / "said"
        )
        partial = folder / "run/frames.partial.csv"
        while run.running():
            if partial.exists():
                memory.append(resident(run.pid))
            time.sleep(1)
        end = run.wait(60)
        took = time.monotonic() - began
        if end.code != 0:
            faults.append(f"exit code {end.code}: {end.said[-500:]}")
        else:
            with open(folder / "run/frames.csv", encoding="utf-8", newline="") as f:
                seen = {int(row["frame"]): float(row["timestamp"]) for row in csv.DictReader(f)}
            facts = json.loads((folder / "run/run.json").read_text())
            worst = max(abs(seen.get(frame, -1.0) - at) for frame, at in enumerate(times))
            if len(seen) != len(times) or worst > 0.001:
                faults.append(f"{len(seen)} of {len(times)} frames, times off by up to {worst:.4f} s")
            if facts["video"]["frames_decoded"] != len(times):
                faults.append(f"run.json counts {facts['video']['frames_decoded']} of {len(times)} frames")
        # The last second may hold the whole table: while rows are written, memory has to be flat.
        early, late = max(memory[: len(memory) // 10 + 1]), max(memory[:-2] or memory)
        if late - early > GROWTH:
            faults.append(f"memory grows from {early:.0f} to {late:.0f} MB")
    row = {
        "what": "long run",
        "seed": "",
        "tried": f"{asked.hours:g} hours, {len(times)} frames of 320x180",
        "ended well": f"{len(times) / took:.0f} frames a second; {early:.0f} MB after a tenth, {late:.0f} MB at most",
        "did not": "; ".join(faults) or "0",
        "slowest": f"{took:.0f} s",
    }
    table.end(row, asked, well=not faults)


if __name__ == "__main__":
    main()
