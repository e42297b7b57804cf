"""Processor seconds from the start of `ferwatch CLIP` to the first row on disk, and what the imports take of them.

    python benchmarks/cold_start.py CLIP [--rounds 5] [--json FILE]

Linux alone: the processor time of the running process is read from /proc at the moment when frames.partial.csv holds a
row. Imports are timed in processes of their own, less the time of Python's own start. The fastest round of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import table

IMPORTS = (
    "click",
    "av",
    "numpy",
    "cv2",
    "mediapipe",
    "torch",
    "ferwatch.cli.main",
    "ferwatch.faces.stream",
    "ferwatch.pipeline.analyzer",
)


def to_first_row(clip: Path, out: Path) -> float:
    command = [sys.executable, "-m", "ferwatch", str(clip), "--no-video", "--quiet", "--out", str(out)]
    with subprocess.Popen(command) as process:
        partial = out / "frames.partial.csv"
        while not (partial.exists() and partial.read_bytes().count(b"\n") > 1):
            if process.poll() is not None:
                raise SystemExit("the run ended before its first row was seen: take a longer clip")
            time.sleep(0.005)
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        process.kill()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def to_import(module: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    rounds = range(args.rounds)
    with tempfile.TemporaryDirectory() as folder:
        first_row = min(to_first_row(args.clip, Path(folder) / str(number)) for number in rounds)
    python = min(to_import("sys") for _ in rounds)
    imports = {module: round(min(to_import(module) for _ in rounds) - python, 2) for module in IMPORTS}
    print(f"from the start to the first row on disk: {first_row:.2f} processor seconds\n")
    print(table(("import", "processor seconds"), list(imports.items())))
    if args.json:
        args.json.write_text(json.dumps({"first_row": first_row, "imports": imports}, indent=1) + "\n")


if __name__ == "__main__":
    main()
