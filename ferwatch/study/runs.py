"""Finished run folders as a study reads them: frames.csv, episodes.csv and run.json."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ferwatch.errors import DataError, shown
from ferwatch.records import Episode
from ferwatch.study.codes import own_table
from ferwatch.timeline.baseline import Baseline, read_baseline
from ferwatch.timeline.model import LABELS
from ferwatch.timeline.still import still_text
from ferwatch.timeline.table import FrameTable, read_frames_csv

EPISODE_FIELDS = ("face_id", "emotion", "start", "end", "mean_confidence", "peak_time", "peak_confidence")
"""Columns that a run's episodes.csv has to have."""
MEAN_VALENCE = "mean_valence"
"""A further column of it, which earlier versions did not write."""


LOST_PICTURES = ("damaged", "reading stops", "its pictures end")
"""Beginnings of the warnings of a run about pictures that are damaged or missing."""


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
    def warnings(self) -> list[str]:
        """What run.json says of pictures that are damaged or missing."""
        warnings = self.facts.get("warnings")
        texts = [str(warning) for warning in warnings] if isinstance(warnings, list) else []
        return [text for text in texts if text.startswith(LOST_PICTURES)]

    @property
    def start(self) -> float:
        """Seconds at which the analysed part of the video begins; 0 where run.json does not say."""
        sampling = self.facts.get("sampling")
        start = sampling.get("start") if isinstance(sampling, dict) else None
        return float(start) if isinstance(start, int | float) else 0.0

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

    def is_corrected(self, face_id: int | None) -> bool:
        """Return whether the baseline corrects a face: one that it does not show stays as it is."""
        return self.baseline is not None and face_id in self.baseline.shifts

    def probabilities_note(self, face_id: int | None) -> str:
        """Return a line on which probabilities of a face are used, where the run has a baseline; "" where it has none.

        Raises DataError where the baseline is damaged.
        """
        if self.baseline is None or face_id is None:
            return ""
        if self.is_corrected(face_id):
            return f"baseline-corrected probabilities are used (baseline: {self.baseline.source})"
        return f"face {face_id} is not corrected, because the baseline ({self.baseline.source}) does not show it"

    def still_note(self) -> str:
        """Return a line on the faces that never move; "" where there are none."""
        return still_text(self.still)

    def main_face(self, start: float = 0.0, end: float = math.inf) -> int | None:
        """Returns the face with the most time in episodes from `start` to `end` (seconds), the first of several.

        None where there is no episode.
        """
        seconds: dict[int, float] = {}
        for episode in self.episodes:
            if episode.start < end and episode.end > start:
                inside = min(episode.end, end) - max(episode.start, start)
                seconds[episode.face_id] = seconds.get(episode.face_id, 0.0) + inside
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
        cause = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{folder / 'run.json'} cannot be read: {cause}") from error
    if not isinstance(facts, dict):
        raise DataError(f"{folder / 'run.json'} is no run.json of ferwatch")
    return FinishedRun(folder, facts)


def read_episodes_csv(path: Path) -> tuple[Episode, ...]:
    """Reads episodes.csv by the names of its columns, also after a spreadsheet program has saved it.

    The mean valence is 0 where the column is missing. Raises DataError, naming the line, where it cannot be read.
    """
    episodes = []
    for number, row in own_table(path, "episodes.csv of ferwatch", EPISODE_FIELDS):
        face_id, emotion, *numbers = [row[name] for name in (*EPISODE_FIELDS, MEAN_VALENCE) if name in row]
        try:
            if emotion not in LABELS:
                raise ValueError(f"emotion: there is no {shown(emotion)}")
            episodes.append(Episode(parse_face_id(face_id), emotion, *map(_finite, numbers)))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
    return tuple(episodes)


def parse_face_id(text: str) -> int:
    """Return the face_id of "2", or of the "2.0" and "2,0" of spreadsheets; raises ValueError where it is none."""
    number = re.fullmatch(r"([1-9]\d*)(?:[.,]0+)?", text, re.ASCII)
    if not number:
        raise ValueError(f"face_id: {shown(text)} is no face_id; face ids are 1, 2 and so on")
    return int(number[1])


def _finite(text: str) -> float:
    number = float(text.replace(",", "."))
    if not math.isfinite(number):
        raise ValueError(f"{shown(text)} is no number")
    return number
