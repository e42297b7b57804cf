"""Memory of all processes of a run of a long video, while it runs.

    python benchmarks/memory.py CLIP [--minutes 60] [--threads 2] [--every 5] [--no-video] [--json FILE]

The clip's packets are repeated to the length, and `ferwatch` runs over it in a session of its own. Every few seconds
the proportional set size (PSS) of each process of that session is read: memory that processes share is counted once in
the sum. Linux alone has these figures (/proc/PID/smaps_rollup).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import loop, table

PARTS = {"a quarter": 0.25, "half": 0.5, "three quarters": 0.75, "the end": 1.0}
"""When the memory of each process is printed, as parts of the time that the run takes."""


def pss_of_session(session: int) -> dict[int, float]:
    """Return the PSS of each process of a session, in MB."""
    memory = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != session:
                continue
            lines = (folder / "smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended, or is another user's
            continue
        kibibytes = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
        memory[int(folder.name)] = kibibytes * 1024 / 1e6
    return memory


def role(pid: int, main: int) -> str:
    """Return what a process of a run is for."""
    if pid == main:
        return "main"
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
            memory = pss_of_session(run.pid)
            for pid in memory:
                if roles.get(pid, "ended") == "ended":
                    roles[pid] = role(pid, run.pid)
            stage = "annotated.mp4" if any(out.glob("annotated.partial/*")) else "analysis"
            samples.append({"seconds": time.monotonic() - began, "stage": stage, "pss_mb": memory})
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
        sizes = [sample["pss_mb"].get(pid, 0.0) for sample in samples]
        at = [sizes[min(len(sizes) - 1, int(part * len(sizes)))] for part in PARTS.values()]
        rows.append([f"{what} {pid}", *(round(size) for size in at), round(max(sizes))])
    sums = [sum(sample["pss_mb"].values()) for sample in samples]
    at = [sums[min(len(sums) - 1, int(part * len(sums)))] for part in PARTS.values()]
    rows.append(["all of them", *(round(size) for size in at), round(max(sums))])
    print(table(["MB of PSS", *PARTS, "at most"], rows))
    print(f"{samples[-1]['seconds']:.0f} s; the most at {samples[sums.index(max(sums))]['seconds']:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps({"roles": roles, "samples": samples}) + "\n")


if __name__ == "__main__":
    main()
