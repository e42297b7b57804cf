"""Finished run folders as a study reads them: frames.csv, episodes.csv and run.json."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ferwatch.errors import DataError
from ferwatch.records import Episode
from ferwatch.timeline.baseline import Baseline, read_baseline
from ferwatch.timeline.still import still_text
from ferwatch.timeline.table import FrameTable, read_frames_csv


@dataclass(frozen=True)
class FinishedRun:
    """A finished run folder; its tables are read when they are first used."""

    folder: Path
    facts: dict[str, Any]
    """Contents of run.json."""

    @property
    def source(self) -> str:
        """File name of the video that was analysed."""
        return Path(str(self.facts.get("video", {}).get("file", ""))).name

    @property
    def name(self) -> str:
        """The recording's file name, or the folder's name where run.json names none."""
        return self.source or self.folder.resolve().name

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the run, from run.json; empty where it records none."""
        settings = self.facts.get("settings")
        return settings if isinstance(settings, dict) else {}

    @property
    def end(self) -> float:
        """Seconds at which the analysed part of the video ends; infinite where run.json does not say."""
        parts = (self.facts.get("timeline"), "duration"), (self.facts.get("sampling"), "end")
        ends = [part.get(name) for part, name in parts if isinstance(part, dict)]
        return min((float(end) for end in ends if isinstance(end, int | float) and end > 0), default=math.inf)

    @property
    def blurred(self) -> bool:
        """True if the run was made with --blur-faces."""
        return bool(self.settings.get("blurred faces"))

    @cached_property
    def episodes(self) -> tuple[Episode, ...]:
        """Episodes of all faces, from episodes.csv."""
        return read_episodes_csv(self.folder / "episodes.csv")

    @cached_property
    def table(self) -> FrameTable:
        """Rows of frames.csv; where the run has a baseline, with the corrected probabilities, as its episodes have."""
        table = read_frames_csv(self.folder / "frames.csv")
        return replace(table, probabilities=self.baseline.apply(table)) if self.baseline else table

    @cached_property
    def baseline(self) -> Baseline | None:
        """Correction that `ferwatch timeline --baseline` made; None: none. Raises DataError where it is damaged."""
        timeline = self.facts.get("timeline")
        return read_baseline(timeline.get("baseline")) if isinstance(timeline, dict) else None

    @property
    def still(self) -> tuple[int, ...]:
        """face_ids of pictures of faces that never move; they have no episodes."""
        summary = self.facts.get("summary")
        return tuple(int(face) for face in summary.get("still", ())) if isinstance(summary, dict) else ()

    def probabilities_note(self) -> str:
        """Return a line on which probabilities are used, where a correction was made; "" where none was."""
        return f"baseline-corrected probabilities are used (baseline: {self.baseline.source})" if self.baseline else ""

    def still_note(self) -> str:
        """Return a line on the faces that never move; "" where there are none."""
        return still_text(self.still)

    def main_face(self) -> int | None:
        """Returns the face with the most time in episodes, the first of several; None where there is no episode."""
        seconds: dict[int, float] = {}
        for episode in self.episodes:
            seconds[episode.face_id] = seconds.get(episode.face_id, 0.0) + episode.duration
        return max(sorted(seconds), key=seconds.__getitem__, default=None)


def is_run(path: Path) -> bool:
    """Return whether a folder holds a finished run."""
    return (path / "frames.csv").is_file() and (path / "run.json").is_file()


def read_run(folder: Path) -> FinishedRun:
    """Reads a run folder; raises DataError where it holds no finished run."""
    if not is_run(folder):
        raise DataError(
            f"{folder} holds no finished run: frames.csv or run.json is missing; run 'ferwatch VIDEO' first"
        )
    # pipeline.run_folder reads run.json too, but imports torch, which takes a second.
    try:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / 'run.json'} cannot be read: {error}") from error
    if not isinstance(facts, dict):
        raise DataError(f"{folder / 'run.json'} is no run.json of ferwatch")
    return FinishedRun(folder, facts)


def read_episodes_csv(path: Path) -> tuple[Episode, ...]:
    """Reads episodes.csv by the names of its columns; raises DataError, naming the line, where it cannot be read."""
    episodes = []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                try:
                    episode = Episode(
                        face_id=int(row["face_id"]),
                        emotion=row["emotion"],
                        start=float(row["start"]),
                        end=float(row["end"]),
                        mean_confidence=float(row["mean_confidence"]),
                        peak_time=float(row["peak_time"]),
                        peak_confidence=float(row["peak_confidence"]),
                    )
                except (KeyError, TypeError, ValueError) as error:
                    raise DataError(f"{path}, line {number}: {error}") from error
                episodes.append(episode)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return tuple(episodes)
