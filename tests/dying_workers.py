"""Executors one of whose workers is killed, and notes of which segments were started."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from ferwatch.pipeline.executors import LocalProcesses
from ferwatch.pipeline.ray_cluster import RayCluster

KILLED = 1
"""Number of the segment whose worker is killed, in the analysis and while the film is drawn."""


def note_and_die(folder: Path, work: Callable[[Any], Any], task: Any) -> Any:
    """Note that a segment was started; be killed at the end of the one to be killed, the first time."""
    name = f"{type(task).__name__}-{task.segment.number}"
    with open(folder / f"{name}.txt", "a") as starts:
        starts.write("started\n")
    result = work(task)
    killed = folder / f"{name}.killed"
    if task.segment.number == KILLED and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def starts(folder: Path) -> Counter[str]:
    """How often each segment was started, by the kind of task and the segment's number."""
    return Counter({file.stem: file.read_text().count("started") for file in folder.glob("*.txt")})


def starts_with_one_death(numbers: list[int], *kinds: str) -> Counter[str]:
    """Each segment once, and the one to be killed twice."""
    return Counter(f"{kind}-{number}" for kind in kinds for number in [*numbers, KILLED])


class DeadlyCluster(RayCluster):
    """A Ray cluster that kills the worker of one segment, and notes in a folder which segments were started."""

    def __init__(self, address: str, folder: Path) -> None:
        super().__init__(address)
        self.folder = folder

    def run(self, work: Any, tasks: Iterable[Any], **keywords: Any) -> Generator[Any, None, None]:
        return super().run(partial(note_and_die, self.folder, work), tasks, **keywords)


class DeadlyProcesses(LocalProcesses):
    """Two local processes of which the one with a certain segment is killed; notes which segments were started."""

    def __init__(self, folder: Path) -> None:
        super().__init__(2)
        self.folder = folder

    def run(self, work: Any, tasks: Iterable[Any], **keywords: Any) -> Generator[Any, None, None]:
        return super().run(partial(note_and_die, self.folder, work), tasks, **keywords)
