"""Analyses damaged clips through the Python API, thousands in one process, and says what happened.

    python tests/fuzz/in_process.py --seed 1 --count 2000 --minutes 60

Clips of a second and a half with small pictures, in five containers, have bits flipped, parts cut out or overwritten,
packets lost, repeated and given other times, or all of that. A case ends well with a run folder that is whole or with
a FerwatchError of one line and no run.json. A case depends on the seed and its number alone; where one kills or hangs
the process, it is counted, and a new process goes on with the next.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import table
from forked import ROOT
from mutations import mutate

from ferwatch import Analyzer, FerwatchError, Sampling
from ferwatch.timeline.table import read_frames_csv

SEEDS = {"h264.mp4": "libx264", "h264.mkv": "libx264", "h264.ts": "libx264", "mpeg4.avi": "mpeg4", "vp8.webm": "libvpx"}
SECONDS, RATE, SIZE = 1.5, 10, (192, 108)
BAD = ("traceback", "crash or hang", "not one line", "half-written", "not whole")
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"annotate": False},
    {"blur_faces": True},
    {"annotate": False, "exports": ("json", "html", "eaf")},
    {"start": 0.4, "end": 1.1},
    {"sampling": Sampling(every=1), "annotate": False},
    {"decoder": "opencv", "annotate": False},
)


def make_seeds(folder: Path) -> list[Path]:
    """The demo's first pictures, small, with its sound, in several containers."""
    with av.open(str(ROOT / "samples/demo.mp4")) as film:
        step = round(float(film.streams.video[0].average_rate or RATE) / RATE)
        pictures = [
            picture.reformat(*SIZE, format="yuv420p")
            for number, picture in zip(range(int(SECONDS * RATE) * step), film.decode(video=0), strict=False)
            if number % step == 0
        ]
    paths = []
    for name, codec in SEEDS.items():
        with av.open(str(folder / name), "w") as out:
            track = out.add_stream(codec, rate=RATE, options={"g": "8"})
            track.width, track.height, track.pix_fmt = *SIZE, "yuv420p"
            for number, picture in enumerate(pictures):
                picture.pts, picture.time_base = number, Fraction(1, RATE)
                out.mux(track.encode(picture))
            out.mux(track.encode(None))
        paths.append(folder / name)
    return paths


def change_packets(source: Path, target: Path, draw: random.Random) -> str:
    """Copy a clip with packets lost, repeated or given other times; return what was done."""
    ways = draw.sample(("lost", "repeated", "times"), draw.choice((1, 1, 2)))
    share = draw.choice((0.05, 0.3, 0.8))
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        tracks = {stream.index: out.add_stream_from_template(stream) for stream in film.streams.video}
        for packet in film.demux():
            if packet.dts is None or packet.stream_index not in tracks:
                continue
            if "lost" in ways and draw.random() < share:
                continue
            again = 2 if "repeated" in ways and draw.random() < share else 1
            if "times" in ways and packet.pts is not None and draw.random() < share:
                unit = round(1 / (packet.time_base or Fraction(1, RATE)))
                packet.pts += round(unit * draw.choice((-1, 1)) * draw.choice((0.01, 0.2, 3, 3600, 1e6)))
                packet.dts = draw.choice((packet.dts, packet.pts))
            packet.stream = tracks[packet.stream_index]
            for _ in range(again):
                try:
                    out.mux(packet)
                except (av.FFmpegError, ValueError, OverflowError):  # the container cannot hold this time
                    break
    target.touch()  # a clip without any packet has no file
    return "packets " + " and ".join(ways)


def make_case(seed: int, number: int, seeds: list[Path], folder: Path) -> tuple[Path, str, dict[str, Any]]:
    """Write a damaged clip; return it, what was done to it, and the options for its analysis."""
    draw = random.Random(f"{seed}/{number}")
    source = draw.choice(seeds)
    file = folder / f"{number}-{source.name}"
    done = []
    if draw.random() < 0.5:
        done.append(change_packets(source, file, draw))
        source = file
    if not done or draw.random() < 0.3:
        data, damage = mutate(source.read_bytes(), [range(min(800, source.stat().st_size))], draw)
        file.write_bytes(data)
        done.append(damage)
    return file, "; ".join(done), draw.choice(OPTIONS)


def faults_of_run(run_folder: Path, files: tuple[Path, ...], annotate: bool) -> str:
    """Return what is not whole in a finished run folder; "": nothing."""
    facts = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    rows = read_frames_csv(run_folder / "frames.csv")
    missing = [file.name for file in files if not file.stat().st_size]
    if missing:
        return f"empty: {missing}"
    if len(rows) != facts["counts"]["rows"]:
        return "other rows than run.json says"
    if annotate:
        with av.open(str(run_folder / "annotated.mp4")) as film:
            if not sum(1 for _ in film.decode(video=0)):
                return "annotated.mp4 has no picture"
    return ""


def run_case(analyzer: Analyzer, file: Path, options: dict[str, Any], out: Path) -> tuple[str, str]:
    """Analyse one clip; return "done", "refused" or one of BAD, and details."""
    try:
        run = analyzer.analyze(file, out, **options)
    except FerwatchError as error:
        left = {path.name for path in out.iterdir()} if out.exists() else set()
        if "\n" in str(error) or not str(error):
            return "not one line", str(error)
        bad = [name for name in left if name.startswith(".") or name == "run.json"]
        return ("half-written", f"{bad} beside: {error}") if bad else ("refused", str(error))
    except Exception:
        return "traceback", traceback.format_exc()
    left = [path.name for path in out.iterdir() if path.name.startswith(".") or "partial" in path.name]
    if left:
        return "half-written", str(left)
    fault = faults_of_run(out, run.files, options.get("annotate", True))
    return ("not whole", fault) if fault else ("done", "")


def work(asked: Any, first: int, deadline: float) -> None:
    """Run cases from number `first` on; print one line of JSON before and after each."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        seeds = make_seeds(folder)
        analyzer = Analyzer()
        for number in range(first, asked.count):
            if time.time() > deadline:
                return
            file, damage, options = make_case(asked.seed, number, seeds, folder)
            print(json.dumps([number, "begun", f"{file.name}: {damage}, {options}"]), flush=True)
            faulthandler.dump_traceback_later(asked.limit, exit=True)
            result, details = run_case(analyzer, file, options, folder / "out")
            faulthandler.cancel_dump_traceback_later()
            if asked.keep and result in BAD:
                shutil.copy(file, asked.keep)
            shutil.rmtree(folder / "out", ignore_errors=True)
            file.unlink()
            print(json.dumps([number, result, details]), flush=True)


def results(asked: Any) -> Iterator[tuple[int, str, str]]:
    """Yield number, result and details of each case, in as many processes as it takes."""
    deadline, first, begun = time.time() + 60 * asked.minutes, 0, ""
    while first < asked.count and time.time() < deadline:
        command = [sys.executable, *sys.argv, "--first", str(first), "--deadline", str(deadline)]
        ended = -1
        with (
            tempfile.TemporaryFile("w+", errors="replace") as said,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                number, result, details = json.loads(line)
                if result == "begun":
                    begun, first = details, number + 1
                else:
                    ended = number
                    yield number, result, f"{begun}\n{details}"
            process.wait()
            said.seek(0)
            words = said.read()[-2000:]
        if process.returncode and first - 1 != ended:
            yield first - 1, "crash or hang", f"{begun}\n{words}"
        elif process.returncode:
            raise SystemExit(f"the process for case {first} ended with {process.returncode}: {words}")


def main() -> None:
    parser = table.arguments(__doc__)
    table.cases(parser, count=200, minutes=5)
    parser.add_argument("--limit", type=float, default=120, help="seconds after which a case counts as hung")
    parser.add_argument("--keep", type=Path, help="an existing folder for the clips that did harm")
    parser.add_argument("--first", type=int, help="for the processes that this script starts")
    parser.add_argument("--deadline", type=float, help="for the processes that this script starts")
    asked = parser.parse_args()
    if asked.first is not None:
        work(asked, asked.first, asked.deadline)
        return
    counts: Counter[str] = Counter()
    slowest, latest = 0.0, time.monotonic()
    for number, result, details in results(asked):
        counts[result] += 1
        slowest, latest = max(slowest, time.monotonic() - latest), time.monotonic()
        if result in BAD:
            print(f"case {number}: {result}, {details}", flush=True)
        if sum(counts.values()) % 100 == 0:
            print(dict(counts), flush=True)
    tried = f"{sum(counts.values())} clips"
    table.end_of_damage("damaged clips in one process", tried, counts, BAD, slowest, asked)


if __name__ == "__main__":
    main()
