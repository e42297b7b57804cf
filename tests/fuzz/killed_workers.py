"""Kills worker processes, and whole runs, at random moments, and compares what is written with an undisturbed run.

    python tests/fuzz/killed_workers.py --seed 1 --count 24 --runs 6

The film is 36 seconds long, and two workers analyse and draw it in nine segments. `ferwatch FILM` is started as a user
does it, and SIGKILL hits one of its workers, or the command itself, in the analysis and while it draws in turn. After a
worker's death the run has to end by itself and leave nothing behind; a killed command has to leave no process, and is
resumed. Every file must then have the bytes of the undisturbed run.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import table
from forked import ROOT
from interrupts import small_film

from benchmarks.common import loop

COMPARED = ("frames.csv", "episodes.csv", "annotated.mp4")
STAGES = ("analysis", "drawing")
SEGMENTS = 9
LONGEST = 300.0
"""Seconds after which a run counts as hung."""


@dataclass(frozen=True)
class Command:
    """`ferwatch FILM` with two workers, in a session of its own, whose temporary files go to a folder of its own."""

    film: Path
    temporary: Path

    def start(self, out: Path, *further: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ferwatch", str(self.film), "--out", str(out), "--threads", "2", "--quiet"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            [*command, *further], env=environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip


def processes_of(session: int) -> dict[int, int]:
    """The processes of a session, with the parent of each; those that have ended are left out."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(its_session) == session and state != "Z":
            found[int(stat.parent.name)] = int(parent)
    return found


def workers_of(run: int) -> list[int]:
    """The worker processes of a run: its fork server has started them."""
    processes = processes_of(run)
    return sorted(pid for pid, parent in processes.items() if parent != run and parent in processes)


def stage_of(out: Path, run: int) -> str:
    """What a run is at; neither before its first worker nor after its film."""
    if (out / "annotated.mp4").exists():
        return "end"
    if (out / "annotated.partial").exists():
        return "drawing"
    return "analysis" if not (out / "frames.csv").exists() and workers_of(run) else "between"


def lengths(run: subprocess.Popen[str], out: Path) -> dict[str, float]:
    """The seconds that an undisturbed run spends in each stage."""
    seconds = dict.fromkeys((*STAGES, "between", "end"), 0.0)
    before = time.monotonic()
    while run.poll() is None:
        stage = stage_of(out, run.pid)
        time.sleep(0.02)
        seconds[stage] += -before + (before := time.monotonic())
    return seconds


def finished_segments(out: Path, stage: str) -> int:
    """How many segments of a stage are on the disk."""
    return len(list(out.glob("segments.partial/[0-9]*" if stage == "analysis" else "annotated.partial/[0-9]*")))


def kill_in(
    run: subprocess.Popen[str], out: Path, stage: str, seconds: float, victim: str, draw: random.Random
) -> bool:
    """Kill a worker of a run, or the run, at a random moment of a stage; False where that is over before.

    Args:
        seconds: how long the stage takes in an undisturbed run.
    """
    before, later = draw.randrange(SEGMENTS), draw.uniform(0, seconds / SEGMENTS)
    while run.poll() is None and (stage_of(out, run.pid) != stage or finished_segments(out, stage) < before):
        time.sleep(0.02)
    time.sleep(later)
    if run.poll() is not None or stage_of(out, run.pid) != stage:
        return False
    try:
        os.kill(run.pid if victim == "run" else draw.choice(workers_of(run.pid)), signal.SIGKILL)
    except (ProcessLookupError, IndexError):  # it has just ended
        return False
    return True


def end_of(run: subprocess.Popen[str]) -> list[str]:
    """Wait for the end of a run that has to end well; what is wrong with it."""
    try:
        said, _ = run.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        return [f"it hung: {run.communicate()[0][-500:]}"]
    return [] if run.returncode == 0 and not said else [f"exit code {run.returncode}: {said[-500:]}"]


def left_processes(session: int) -> list[str]:
    """What is wrong if processes of a session that has lost its first one go on for more than ten seconds."""
    deadline = time.monotonic() + 10
    while (left := processes_of(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [f"processes stay: {sorted(left)}"] if left else []


def differences(out: Path, whole: Path) -> list[str]:
    """The files that are not those of the undisturbed run."""
    names = {f.name for f in out.iterdir()} ^ {f.name for f in whole.iterdir()}
    return sorted(names) + [
        n for n in COMPARED if n not in names and (out / n).read_bytes() != (whole / n).read_bytes()
    ]


def main() -> None:
    parser = table.arguments(__doc__)
    table.cases(parser, count=24, minutes=20)
    parser.add_argument("--runs", type=int, default=6, help="how many runs are killed, besides --count workers")
    asked = parser.parse_args()
    wanted = {
        (victim, stage): (total + place) // 2
        for victim, total in (("worker", asked.count), ("run", asked.runs))
        for place, stage in enumerate(STAGES)
    }
    counts: Counter[str] = Counter()
    killed: Counter[tuple[str, str]] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        whole, out, temporary = folder / "whole", folder / "out", folder / "temporary"
        temporary.mkdir()
        film = loop(small_film(folder / "nine.mp4"), folder / "film.mp4", 36)
        command = Command(film, temporary)
        undisturbed = command.start(whole)
        seconds = lengths(undisturbed, whole)
        assert not (faults := end_of(undisturbed)), faults
        stop = time.monotonic() + 60 * asked.minutes
        while (missing := [c for c in wanted if killed[c] < wanted[c]]) and time.monotonic() < stop:
            draw = random.Random(f"{asked.seed}/{counts['cases']}")
            counts["cases"] += 1
            victim, stage = draw.choice(missing)
            shutil.rmtree(out, ignore_errors=True)
            began = time.monotonic()
            run = command.start(out)
            hit = kill_in(run, out, stage, seconds[stage], victim, draw)
            killed[victim, stage] += hit
            counts["too late"] += not hit
            if hit and victim == "run":
                run.communicate()
                faults = left_processes(run.pid)
                finished = any(out.glob("*.partial/[0-9]*"))
                again = "--resume" if (out / "resume.json").exists() else "--overwrite"
                counts["resumed"] += again == "--resume"
                counts["with finished segments"] += finished
                shutil.rmtree(temporary)  # the socket's folder of a killed command stays
                temporary.mkdir()
                run = command.start(out, again)
                faults += end_of(run)
            else:
                faults = end_of(run)
            slowest = max(slowest, time.monotonic() - began)
            faults = faults or left_processes(run.pid) or differences(out, whole)
            faults += [f"{path.name} stays" for path in temporary.iterdir()]
            counts["faults"] += bool(faults)
            what = f"{victim} killed in the {stage}" if hit else "too late"
            print(f"{counts['cases']}: {what}: {'; '.join(faults) or 'well'}", flush=True)
    workers, runs = (", ".join(f"{killed[v, s]} in the {s}" for s in STAGES) for v in ("worker", "run"))
    row: table.Row = {
        "what": "killed workers",
        "seed": asked.seed,
        "tried": f"workers killed: {workers}; runs killed: {runs}; {counts['too late']} had ended before",
        "ended well": f"{counts['cases'] - counts['faults']}; of the killed runs {counts['resumed']} by --resume "
        f"({counts['with finished segments']} with finished segments)",
        "did not": str(counts["faults"]),
        "slowest": f"{slowest:.0f} s",
    }
    table.end(row, asked, well=counts["faults"] == 0)


if __name__ == "__main__":
    main()
