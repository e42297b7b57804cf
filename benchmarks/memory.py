"""Memory of all processes of a run of a long video, while it runs.

    python benchmarks/memory.py CLIP [--minutes 60] [--threads 2] [--every 5] [--no-video] [--json FILE]

The clip's packets are repeated to the length, and `ferwatch` runs over it in a session of its own. Every few seconds
the anonymous memory of each process of that session is read: what processes share counts in equal parts. Pages of files
that they map, such as libraries, count once for all of them, whatever other programs use the same files. So the figures
do not depend on what else runs. Linux alone has them (/proc/PID/smaps).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import loop, table

PARTS = {"a quarter": 0.25, "half": 0.5, "three quarters": 0.75, "the end": 1.0}
"""When the memory of each process is printed, as parts of the time that the run takes."""


MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ (\S+) \S+ (\d+)")
"""The first line of a mapping in smaps: its offset in the file, and the file's inode; 0: no file."""


def memory_of_session(session: int) -> dict[int, float]:
    """Return the anonymous memory of each process of a session in MB, and under 0 that of the files they map."""
    memory: dict[int, float] = {}
    files: dict[tuple[str, str], int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            rollup = _fields((folder / "smaps_rollup").read_text().splitlines())
            mappings = (folder / "smaps").read_text().splitlines()
        except OSError:  # it has just ended, or is another user's
            continue
        memory[int(folder.name)] = (rollup["Pss_Anon"] + rollup["Pss_Shmem"]) * 1024 / 1e6
        begins = [number for number, line in enumerate(mappings) if MAPPING.match(line)]
        for begin, end in zip(begins, [*begins[1:], len(mappings)], strict=True):
            offset, inode = MAPPING.match(mappings[begin]).groups()  # type: ignore[union-attr]
            fields = _fields(mappings[begin + 1 : end])
            if inode != "0":
                files[inode, offset] = max(files.get((inode, offset), 0), fields["Rss"] - fields["Anonymous"])
    return {0: sum(files.values()) * 1024 / 1e6, **memory}


def _fields(lines: Sequence[str]) -> dict[str, int]:
    """Return the lines "Name: NUMBER kB" as numbers."""
    parts = (line.split() for line in lines)
    return {part[0][:-1]: int(part[1]) for part in parts if len(part) == 3 and part[2] == "kB"}


def role(pid: int, main: int) -> str:
    """Return what a process of a run is for."""
    if pid in (0, main):
        return "main" if pid else "mapped files"
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return "ended"
    if any(b"resource_tracker" in part for part in command):
        return "resource tracker"
    return "fork server" if parent == main else "worker"


def watch(command: list[str], out: Path, every: float) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """Run a command to its end; return a sample of its memory every so many seconds, and the role of each process."""
    samples: list[dict[str, Any]] = []
    roles: dict[int, str] = {}
    began = time.monotonic()
    with subprocess.Popen(command, start_new_session=True) as run:
        while run.poll() is None:
            memory = memory_of_session(run.pid)
            for pid in memory:
                if roles.get(pid, "ended") == "ended":
                    roles[pid] = role(pid, run.pid)
            stage = "annotated.mp4" if any(out.glob("annotated.partial/*")) else "analysis"
            samples.append({"seconds": time.monotonic() - began, "stage": stage, "mb": memory})
            time.sleep(every)
    if run.returncode != 0:
        raise SystemExit(f"the run ended with exit code {run.returncode}")
    return samples, roles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between samples (5)")
    parser.add_argument("--no-video", action="store_true", help="without the annotated video")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = loop(arguments.clip, Path(folder) / "film.mp4", 60 * arguments.minutes)
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "ferwatch", str(film), "--out", str(out), "--quiet"]
        command += ["--threads", str(arguments.threads), *(["--no-video"] if arguments.no_video else [])]
        samples, roles = watch(command, out, arguments.every)
    rows = []
    for pid, what in sorted(roles.items()):
        sizes = [sample["mb"].get(pid, 0.0) for sample in samples]
        at = [sizes[min(len(sizes) - 1, int(part * len(sizes)))] for part in PARTS.values()]
        rows.append([f"{what} {pid or ''}".rstrip(), *(round(size) for size in at), round(max(sizes))])
    sums = [sum(sample["mb"].values()) for sample in samples]
    at = [sums[min(len(sums) - 1, int(part * len(sums)))] for part in PARTS.values()]
    rows.append(["all of them", *(round(size) for size in at), round(max(sums))])
    print(table(["MB", *PARTS, "at most"], rows))
    print(f"{samples[-1]['seconds']:.0f} s; the most at {samples[sums.index(max(sums))]['seconds']:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps({"roles": roles, "samples": samples}) + "\n")


if __name__ == "__main__":
    main()
