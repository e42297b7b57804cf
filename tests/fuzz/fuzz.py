"""Runs ferwatch on damaged videos and tables, and says what happened.

    python tests/fuzz/fuzz.py --seed 1 --count 2000 --minutes 120
    python tests/fuzz/fuzz.py --seed 1 --count 2000 --only 1234 --keep /tmp/found    # one case again

A case depends on the seed and its number alone. For every video a plain PyAV loop decodes it too: where that finds a
picture the exit code has to be 0, else 1.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: its threads do not survive a fork

import av
import table
from forked import ROOT, Ended, Fork, import_everything
from mutations import mutate, mutate_table

BAD = ("traceback", "crash", "hang", "wrong exit code", "not one line", "half-written")
SOURCES = (ROOT / "samples/demo.mp4", *sorted((ROOT.parent / "shared/videos").glob("*.m*")))
CONTAINERS = ("mp4", "mkv", "ts")
PICTURES = 25


@dataclass(frozen=True)
class Seed:
    """A healthy file, and where in it its headers are."""

    name: str
    data: bytes
    headers: list[range]


def seed_videos(folder: Path) -> list[Seed]:
    """The beginnings of real clips: their own packets, copied into several containers."""
    seeds = []
    for source in SOURCES:
        for container in CONTAINERS:
            path = folder / f"{source.stem}.{container}"
            copy_beginning(source, path, {"movflags": "+faststart"} if container == "mp4" else {})
            data = path.read_bytes()
            moov = data.find(b"moov")
            end = moov + int.from_bytes(data[moov - 4 : moov], "big") if moov > 0 else 1000
            seeds.append(Seed(path.name, data, [range(min(end, len(data)))]))
    return seeds


def copy_beginning(source: Path, path: Path, options: dict[str, str]) -> None:
    with av.open(str(source)) as film, av.open(str(path), "w", options=options) as out:
        tracks = {s.index: out.add_stream_from_template(s) for s in (*film.streams.video[:1], *film.streams.audio[:1])}
        pictures = 0
        for packet in film.demux([film.streams[index] for index in tracks]):
            if packet.dts is None:
                continue
            pictures += packet.stream.type == "video"
            if pictures > PICTURES:
                break
            packet.stream = tracks[packet.stream_index]
            out.mux(packet)


def seed_tables(folder: Path, video: Path) -> list[Seed]:
    """A frames.csv as a run writes it, and a small fer2013.csv."""
    run = Fork([str(video), "--no-video", "--all-frames", "--out", str(folder / "run")], folder / "said").wait(600)
    assert run.code == 0, run.said
    draw = random.Random(0)
    usages = ("Training", "PublicTest", "PrivateTest")
    lines = [f"{i % 7},{' '.join(str(draw.randrange(256)) for _ in range(48 * 48))},{usages[i % 3]}" for i in range(12)]
    fer = "\n".join(["emotion,pixels,Usage", *lines, ""]).encode()
    return [Seed("frames.csv", (folder / "run/frames.csv").read_bytes(), []), Seed("fer2013.csv", fer, [])]


@dataclass(frozen=True)
class Case:
    number: int
    file: Path
    damage: str
    arguments: list[str]
    is_video: bool


def cases(seed: int, numbers: range, seeds: list[Seed], folder: Path) -> Iterator[Case]:
    """Writes each damaged file only when it is its turn. One in ten is a table."""
    videos, tables = [s for s in seeds if not s.name.endswith(".csv")], [s for s in seeds if s.name.endswith(".csv")]
    out = str(folder / "out")
    for number in numbers:
        draw = random.Random(f"{seed}/{number}")
        is_video = draw.random() < 0.9
        whole = draw.choice(videos if is_video else tables)
        data, damage = mutate(whole.data, whole.headers, draw) if is_video else mutate_table(whole.data, draw)
        file = folder / f"case-{number}-{whole.name}"
        file.write_bytes(data)
        if is_video:
            arguments = [str(file), "--out", out, "--sample-fps", "5", *draw.choice(([], ["--no-video"]))]
        elif whole.name == "frames.csv":
            arguments = ["timeline", str(file), "--out", out, "--export", "json", "--export", "html", "--export", "eaf"]
        else:
            arguments = ["evaluate", "--model", "cnn", "--data", str(file), "--split", "public_test"]
        yield Case(number, file, damage, arguments, is_video)


def pictures_of(video: Path) -> int | None:
    """1 where PyAV by itself decodes a picture of the first video stream, else 0; None where it breaks down itself."""
    pid = os.fork()
    if pid == 0:
        found = 0
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            with av.open(str(video)) as container:
                for packet in container.demux(video=0):
                    try:
                        found = found or int(bool(packet.decode()))
                    except av.FFmpegError:
                        continue
                    if found:
                        break
        except av.FFmpegError:
            pass
        except BaseException:  # of PyAV itself, such as a title that is no UTF-8
            found = 2
        finally:
            os._exit(found)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code in (0, 1) else None


def verdict(case: Case, end: Ended, folder: Path) -> str:
    """ "done", "refused", or one of BAD."""
    out = folder / "out"
    left = {f.name for f in out.iterdir()} if out.exists() else set()
    if end.hung:
        return "hang"
    if end.code < 0:
        return "crash"
    if "Traceback" in end.said or end.code == 99:
        return "traceback"
    if end.code not in (0, 1):
        return "wrong exit code"
    if end.code == 1 and not (end.said.startswith("ferwatch: ") and end.said.count("\n") == 1):
        return "not one line"
    if any(name.startswith(".") for name in left) or (case.is_video and ("run.json" in left) != (end.code == 0)):
        return "half-written"
    if case.is_video and (pictures := pictures_of(case.file)) is not None and (pictures == 1) != (end.code == 0):
        return "wrong exit code"
    return "done" if end.code == 0 else "refused"


def main() -> None:
    parser = table.arguments(__doc__)
    table.cases(parser, count=200, minutes=2)
    parser.add_argument("--only", type=int, help="the number of one case, to run that alone")
    parser.add_argument("--limit", type=float, default=60, help="seconds after which a run counts as hung")
    parser.add_argument("--keep", type=Path, help="where to put the files that did harm")
    asked = parser.parse_args()

    import_everything()
    counts: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        videos = seed_videos(folder)
        seeds = [*videos, *seed_tables(folder, folder / videos[0].name)]
        stop = time.monotonic() + 60 * asked.minutes
        numbers = range(asked.count) if asked.only is None else range(asked.only, asked.only + 1)
        for case in cases(asked.seed, numbers, seeds, folder):
            shutil.rmtree(folder / "out", ignore_errors=True)
            end = Fork(case.arguments, folder / "said").wait(asked.limit)
            found = verdict(case, end, folder)
            counts["videos" if case.is_video else "tables"] += 1
            counts[found] += 1
            slowest = max(slowest, end.seconds)
            if found in BAD or asked.only is not None:
                print(f"case {case.number}: {found} ({end.code}), {case.file.name}, {case.damage}\n{end.said[-2000:]}")
                if asked.keep:
                    asked.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(case.file, asked.keep)
            case.file.unlink()
            if time.monotonic() > stop:
                break
    tried = f"{counts['videos']} videos, {counts['tables']} tables"
    table.end_of_damage("damaged files", tried, counts, BAD, slowest, asked)


if __name__ == "__main__":
    main()
