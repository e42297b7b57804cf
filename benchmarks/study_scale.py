#!/usr/bin/env python3
"""Measures the time and memory of `ferwatch study` on synthetic runs.

python benchmarks/study_scale.py [--participants 1000] [--seconds 30] [--folder DIR]

Every participant has a run in each of two conditions, sampled ten times a second. The runs are written first, which
does not count. Prints wall seconds, processor seconds and the largest resident memory of `ferwatch study`; the exit
code is 1 where it takes 60 s of processor time or 1 GB, or more.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import Clock

from ferwatch.records import EMOTIONS
from ferwatch.timeline.schema import COLUMNS

FPS = 10


def write_run(folder: Path, rng: np.random.Generator, seconds: int) -> None:
    """Writes frames.csv, episodes.csv and run.json of a face that shows an emotion for a second or more at a time."""
    folder.mkdir(parents=True)
    lengths = rng.integers(1, 6, seconds)
    labels = np.repeat(rng.integers(0, len(EMOTIONS), seconds), lengths)[:seconds]
    lines = [",".join(COLUMNS)]
    for i in range(seconds * FPS):
        row = rng.dirichlet(np.ones(7)) * 0.3
        row[labels[i // FPS]] += 0.7
        row = row.round(4)
        best = int(row.argmax())
        probabilities = ",".join(f"{p:.4f}" for p in row)
        lines.append(
            f"{3 * i},{i / FPS:.3f},1,1,0.900,10.0,10.0,40.0,40.0,{EMOTIONS[best]},{row[best]:.4f},{probabilities},"
            f"0.100,{row[3] - row[[0, 1, 2, 4]].max():.4f}"
        )
    (folder / "frames.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    changes = np.flatnonzero(np.diff(labels)) + 1
    starts, ends = [0, *changes], [*changes, seconds]
    episodes = ["face_id,emotion,start,end,duration,mean_confidence,peak_time,peak_confidence"]
    episodes += [
        f"1,{EMOTIONS[labels[a]]},{a:.3f},{b:.3f},{b - a:.3f},0.7400,{a:.3f},0.9000"
        for a, b in zip(starts, ends, strict=True)
    ]
    (folder / "episodes.csv").write_text("\n".join(episodes) + "\n", encoding="utf-8")
    facts = {
        "ferwatch": "0.1.0",
        "settings": {},
        "model": {"name": "cnn", "weights_sha256": "0" * 64},
        "video": {"file": f"{folder.name}.mp4"},
        "sampling": {"fps": FPS, "every": None, "start": 0.0, "end": None},
        "timeline": {"smoothing": 0.2},
    }
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--participants", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=30, help="length of every recording")
    parser.add_argument("--folder", type=Path, help="where the runs are written and kept; by default they are removed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        rng = np.random.default_rng(1)
        plan = ["video,participant,condition"]
        for person in range(args.participants):
            for condition in ("calm", "joke"):
                run = folder / f"p{person:04d}-{condition}"
                if not run.exists():
                    write_run(run, rng, args.seconds)
                plan.append(f"{run.name},p{person:04d},{condition}")
        (folder / "plan.csv").write_text("\n".join(plan) + "\n", encoding="utf-8")
        from ferwatch.study.build import run_study

        with Clock() as clock:
            study = run_study(folder / "plan.csv", folder / "study")
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = clock.cpu + children.ru_utime + children.ru_stime
    memory = max(own.ru_maxrss, children.ru_maxrss) / 1024  # kilobytes, on Linux
    rows = sum(recording.totals.frames for recording in study.recordings)
    print(
        f"{args.participants:,} participants, {len(study.recordings):,} recordings, {rows:,} rows: {clock.wall:.1f} s, "
        f"{seconds:.1f} s of the processor, {memory:.0f} MB"
    )
    return int(seconds >= 60 or memory >= 1000)


if __name__ == "__main__":
    sys.exit(main())
