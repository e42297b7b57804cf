"""How right is the time left that the progress bars show? Runs `ferwatch` on a terminal and reads what it shows.

    python benchmarks/time_left.py CLIP --json time_left.json

The clip's pictures are scaled to each size, encoded again and repeated to 60 s. Time counts from the first estimate
that is shown, when the first picture is done, to the end of the program. After a tenth, a quarter and half of it, the
time so far and the time left as shown are added up and divided by the whole time: 1 is right. Linux and macOS.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import av
from common import cores, loop

SIZES = ((640, 360), (1280, 720), (1920, 1080))
PARTS = (0.1, 0.25, 0.5)
MAX_STANDSTILL_SECONDS = 1.0
LEFT = re.compile(rb"((?:\d+:)?\d+:\d\d) left")


def scaled(clip: Path, out: Path, width: int, height: int) -> Path:
    """Write the pictures of a clip at another size, without sound."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        rate = source.streams.video[0].average_rate
        track = target.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        for number, picture in enumerate(source.decode(video=0)):
            small = picture.reformat(width, height, format="yuv420p")
            small.pts, small.time_base = number, 1 / rate
            target.mux(track.encode(small))
        target.mux(track.encode(None))
    return out


def shown_times(arguments: list[str]) -> tuple[list[tuple[float, float]], float]:
    """Return when the program showed which time left, all in seconds on one clock, and when it ended.

    A run during which the machine stood still, as virtual ones do at times, is repeated.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    command = [sys.executable, "-m", "ferwatch", *arguments]
    shown = []
    standstill, looked_at = 0.0, time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        while True:
            is_ready = select.select([ours], [], [], 0.1)[0]
            standstill, looked_at = max(standstill, time.monotonic() - looked_at), time.monotonic()
            if not is_ready:
                continue
            try:
                text = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not text:
                break
            for match in LEFT.findall(text):
                seconds = 0
                for number in match.split(b":"):
                    seconds = 60 * seconds + int(number)
                shown.append((time.monotonic(), float(seconds)))
    os.close(ours)
    if process.returncode or not shown:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode} and showed {len(shown)} times")
    if standstill > MAX_STANDSTILL_SECONDS:
        return shown_times(arguments)
    return shown, time.monotonic()


def predictions(shown: list[tuple[float, float]], end: float) -> list[float]:
    """Return the predicted total over the true one after each of PARTS."""
    began = shown[0][0]
    whole = end - began
    latest = [[item for item in shown if item[0] <= began + part * whole][-1] for part in PARTS]
    return [(at - began + left) / whole for at, left in latest]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=60, help="length of the clips (default: 60)")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    cases = []
    print(f"{cores()} cores\n\n| size | threads | annotated.mp4 | seconds | after a tenth | a quarter | half |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for width, height in SIZES:
            once = scaled(args.clip, scratch / f"{height}.mp4", width, height)
            film = loop(once, scratch / f"looped-{height}.mp4", args.seconds)
            for threads, annotate in [(t, a) for _ in range(args.rounds) for t in (1, 2) for a in (True, False)]:
                arguments = [str(film), "--threads", str(threads), "--out", str(scratch / "run"), "--overwrite"]
                shown, end = shown_times(arguments if annotate else [*arguments, "--no-video"])
                ratios = predictions(shown, end)
                seconds = end - shown[0][0]
                cells = [f"{width}x{height}", threads, "yes" if annotate else "no", f"{seconds:.0f}"]
                print(f"| {' | '.join(map(str, [*cells, *(f'{ratio:.2f}' for ratio in ratios)]))} |", flush=True)
                cases.append(
                    {
                        "size": [width, height],
                        "threads": threads,
                        "film": annotate,
                        "seconds": round(seconds, 1),
                        "predicted": [round(ratio, 3) for ratio in ratios],
                    }
                )
    if args.json:
        args.json.write_text(json.dumps({"clip": args.clip.name, "cores": cores(), "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
