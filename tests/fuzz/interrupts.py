"""Stops runs at random moments with SIGINT, SIGTERM and SIGKILL, looks at what they left, resumes and compares them.

    python tests/fuzz/interrupts.py --seed 1 --count 100

The film is the demo's first nine seconds, small: three segments. Three of four stops come while rows are being written.
After each stop: a folder without run.json must not hold frames.csv unless all rows are in it, the rows in
frames.partial.csv must be whole lines of the undisturbed table, and after --resume every file must have the bytes of
the undisturbed run.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: its threads do not survive a fork

import av
import table
from forked import ROOT, Fork, import_everything

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
COMPARED = ("frames.csv", "episodes.csv", "timeline.png", "timeline.json")


def small_film(path: Path) -> Path:
    """Write the demo's first nine seconds at ten pictures a second, 320 pixels wide."""
    with av.open(str(ROOT / "samples/demo.mp4")) as film, av.open(str(path), "w") as out:
        track = out.add_stream("libx264", rate=10, options={"g": "10", "preset": "veryfast"})
        track.width, track.height, track.pix_fmt = 320, 180, "yuv420p"
        number = 0
        for picture in film.decode(video=0):
            if picture.time >= 9:
                break
            if picture.time >= number / 10:
                small = picture.reformat(320, 180, format="yuv420p")
                small.pts, small.time_base = number, Fraction(1, 10)
                out.mux(track.encode(small))
                number += 1
        out.mux(track.encode(None))
    return path


def undisturbed_run(arguments: list[str], said: Path, partial: Path) -> tuple[float, float]:
    """The seconds that a run takes, and those of them after its partial table has appeared."""
    run = Fork(arguments, said)
    began = 0.0
    while run.running():
        if not began and partial.exists():
            began = time.monotonic()
        time.sleep(0.002)
    ended = time.monotonic()
    end = run.wait(600)
    assert end.code == 0, end.said
    return end.seconds, ended - began


def stopped_run(
    arguments: list[str], said: Path, sent: signal.Signals, after: float, partial: Path | None
) -> int | None:
    """The exit code of a run that gets a signal after so many seconds, counted from its start or, where it is given,
    from the appearance of its partial table; None where it had ended before."""
    run = Fork(arguments, said)
    while partial is not None and run.running() and not partial.exists():
        time.sleep(0.002)
    stop = time.monotonic() + after
    while run.running() and time.monotonic() < stop:
        time.sleep(0.002)
    too_late = not run.running()
    if not too_late:
        os.kill(run.pid, sent)
    end = run.wait(600)
    return None if too_late else end.code


def faults_of_stop(out: Path, whole: Path, sent: signal.Signals, code: int, said: str) -> list[str]:
    """What is wrong after a stop; a run that was about to end may still end well."""
    faults = []
    left = {f.name for f in out.iterdir()} if out.exists() else set()
    before_it_began = code == -sent and not left
    if sent != signal.SIGKILL and not before_it_began and (code not in (130, 0) or "Traceback" in said):
        faults.append(f"exit code {code}: {said[-500:]}")
    if sent != signal.SIGKILL and any(name.startswith(".") for name in left):
        faults.append("a temporary file stays")
    rows = (whole / "frames.csv").read_bytes()
    for name in left & {*COMPARED}:
        if (out / name).read_bytes() != (whole / name).read_bytes():
            faults.append(f"{name} looks whole and is not")
    if "frames.partial.csv" in left:
        partial = (out / "frames.partial.csv").read_bytes()
        if not rows.startswith(partial) or (partial and not partial.endswith(b"\n")):
            faults.append("the partial table is not the beginning of the whole one")
    return faults


def main() -> None:
    parser = table.arguments(__doc__)
    table.cases(parser, count=20, minutes=10)
    asked = parser.parse_args()

    import_everything()
    counts: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        whole, out, said = folder / "whole", folder / "out", folder / "said"
        film = small_film(folder / "film.mp4")
        job = [str(film), "--all-frames", "--no-video", "--export", "json"]
        seconds, seconds_of_rows = undisturbed_run([*job, "--out", str(whole)], said, whole / "frames.partial.csv")
        stop = time.monotonic() + 60 * asked.minutes
        for number in range(asked.count):
            draw = random.Random(f"{asked.seed}/{number}")
            sent = draw.choice(SIGNALS)
            shutil.rmtree(out, ignore_errors=True)
            partial = out / "frames.partial.csv" if number % 4 else None
            after = draw.uniform(0, seconds if partial is None else seconds_of_rows)
            code = stopped_run([*job, "--out", str(out)], said, sent, after, partial)
            counts["too late" if code is None else sent.name] += 1
            faults = [] if code is None else faults_of_stop(out, whole, sent, code, said.read_text(errors="replace"))
            again = ["--resume"] if (out / "resume.json").exists() else ["--overwrite"]
            counts["resumed"] += again == ["--resume"]
            counts["from a segment"] += any((out / "segments.partial").glob("*.npz"))
            end = Fork([*job, "--out", str(out), *again], said).wait(600)
            slowest = max(slowest, end.seconds)
            if end.code != 0:
                faults.append(f"{again[0]}: exit code {end.code}: {end.said[-500:]}")
            else:
                faults += [n for n in COMPARED if (out / n).read_bytes() != (whole / n).read_bytes()]
            if faults:
                counts["faults"] += 1
                print(f"run {number}, {sent.name}: {'; '.join(faults)}")
            counts["runs"] += 1
            if counts["runs"] % 20 == 0:
                print(dict(counts), flush=True)
            if time.monotonic() > stop:
                break
    signals = ", ".join(f"{counts[s.name]} {s.name}" for s in SIGNALS)
    row = {
        "what": "interrupted runs",
        "seed": asked.seed,
        "tried": f"{counts['runs']}: {signals}, {counts['too late']} had ended before",
        "ended well": f"{counts['runs'] - counts['faults']}, of them {counts['resumed']} by --resume "
        f"({counts['from a segment']} with finished segments), the rest anew",
        "did not": str(counts["faults"]),
        "slowest": f"{slowest:.0f} s",
    }
    table.end(row, asked, well=counts["faults"] == 0)


if __name__ == "__main__":
    main()
