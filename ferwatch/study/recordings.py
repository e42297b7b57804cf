"""Reads a study's recordings: the rows and episodes of the participant, and their totals."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import DataError
from ferwatch.records import Episode
from ferwatch.study.plan import PlannedRecording
from ferwatch.study.runs import FinishedRun
from ferwatch.timeline.model import LABELS
from ferwatch.timeline.table import FrameTable

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Totals:
    """Sums over one or several recordings of a participant, from which every measure follows. Totals can be added."""

    recordings: int
    """Number of recordings."""
    frames: int
    """Number of sampled frames."""
    rows: int
    """Number of sampled frames that show the participant's face."""
    seconds: float
    """Seconds for which the face was in sight."""
    labelled_rows: Array
    """(8,) number of rows whose raw label is each of LABELS; 0 for "uncertain", which is no raw label."""
    probability: Array
    """(8,) sum over rows of each probability; NaN for "uncertain"."""
    valence: float
    """Sum over rows of the valence."""
    episodes: Array
    """(8,) number of episodes of each label."""
    episode_seconds: Array
    """(8,) seconds in episodes of each label."""
    confidence: Array
    """(8,) sum over episodes of mean confidence times seconds."""
    first_onset: Array
    """(8,) seconds from the start of what counts of the recording to the first episode of each label, the earliest of
    several recordings; infinite where there is none."""

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.recordings + other.recordings,
            self.frames + other.frames,
            self.rows + other.rows,
            self.seconds + other.seconds,
            self.labelled_rows + other.labelled_rows,
            self.probability + other.probability,
            self.valence + other.valence,
            self.episodes + other.episodes,
            self.episode_seconds + other.episode_seconds,
            self.confidence + other.confidence,
            np.minimum(self.first_onset, other.first_onset),
        )


@dataclass(frozen=True)
class StudyRecording:
    """One line of the plan with its run, its episodes and its totals."""

    plan: PlannedRecording
    run: str
    """Path of the run folder, relative to the study's folder, with forward slashes."""
    page: str | None
    """Path of the run's timeline.html, relative to the study's folder; None where the run has none."""
    face_id: int | None
    """Participant's face_id; None where no face has an episode."""
    start: float
    """Time in seconds at which the part that counts begins: that of the run's part of the video or the plan's `start`,
    whichever is later."""
    end: float
    """Time in seconds at which it ends: the end of the run's part or the plan's `end`, whichever is earlier."""
    episodes: tuple[Episode, ...]
    """Episodes of the participant, cut at the plan's `start` and `end`; the peak of one is NaN where it was cut off."""
    totals: Totals
    sampled: tuple[int, int]
    """Position of its first sampled frame among those of the run, and that after its last."""
    facts: dict[str, object]
    """Contents of run.json."""
    baseline: str = ""
    """Stretch of time or file that the probabilities are corrected by; "": they are not."""
    notes: tuple[str, ...] = ()


def read_recording(plan: PlannedRecording, run: FinishedRun, out: Path) -> tuple[StudyRecording, FrameTable]:
    """Returns the recording of one line of the plan, and its table with one row per sampled frame.

    Rows of other faces are left out; a sampled frame without the participant's face has a row without a face.
    Raises DataError where the plan names a face that the run does not have, or a time without any sampled frame.
    """
    table = run.table
    end = math.inf if plan.end is None else plan.end
    face_id = plan.face or run.main_face(plan.start, end) or run.main_face()
    faces = table.face_ids
    if plan.face is not None and plan.face not in faces:
        listed = ", ".join(map(str, faces)) or "none"
        raise DataError(f"{plan.name}: the plan names face {plan.face}, and the faces of {run.folder} are: {listed}")
    inside = (table.timestamp >= plan.start) & (table.timestamp < end)
    if not inside.any():
        until = "the end" if plan.end is None else f"{end:g} s"
        raise DataError(
            f"{plan.name}: no frame was sampled from {plan.start:g} s to {until}; change start and end in the plan"
        )
    rows = _rows_of_face(table, face_id or -1)
    counts = (rows.timestamp >= plan.start) & (rows.timestamp < end)
    own, sampled = rows.select(counts), np.flatnonzero(counts)
    # A run.json may not tell the end, and the header of a video may name less time than it has.
    run_end = run.end if math.isfinite(run.end) else max((episode.end for episode in run.episodes), default=0.0)
    run_end = max(run_end, float(table.timestamp[-1]))
    part = max(plan.start, run.start), min(end, run_end)
    episodes = tuple(
        _cut(e, plan.start, end)
        for e in sorted(run.episodes, key=lambda e: e.start)
        if e.face_id == face_id and e.start < end and e.end > plan.start
    )
    notes = [f"{plan.name}: {note}" for note in (run.probabilities_note(face_id), run.still_note()) if note]
    notes += [f"{plan.name}: {warning}" for warning in run.warnings]
    faces = [face for face in table.select(inside).face_ids if face not in run.still]
    others = len(set(faces) - {face_id})
    if others and face_id is not None and plan.face is None:
        notes.append(
            f"{plan.name}: face {face_id}, which has the most time of {len(faces)}, is taken for the participant"
        )
    if not own.success.any():
        notes.append(f"{plan.name}: the participant's face was never found")
    page = run.folder / "timeline.html"
    recording = StudyRecording(
        plan=plan,
        run=_relative(run.folder, out),
        page=_relative(page, out) if page.is_file() else None,
        face_id=face_id,
        start=part[0],
        end=part[1],
        episodes=episodes,
        totals=_totals(own, episodes, part[0], _seconds_seen(rows, *part)),
        sampled=(int(sampled[0]), int(sampled[-1]) + 1),
        facts=run.facts,
        baseline=run.baseline.source if run.baseline and run.is_corrected(face_id) else "",
        notes=tuple(notes),
    )
    return recording, own


def different_frames(recordings: Iterable[StudyRecording]) -> int:
    """Return the number of sampled frames of some recordings, those of a video that several are about counted once."""
    counted = 0
    run, until = "", 0
    for recording in sorted(recordings, key=lambda r: (r.run, r.sampled)):
        first, last = recording.sampled
        until = until if recording.run == run else 0
        counted += max(last - max(first, until), 0)
        run, until = recording.run, max(last, until)
    return counted


def _cut(episode: Episode, start: float, end: float) -> Episode:
    """Return what an episode has between two times in seconds; its peak is NaN where it lies outside."""
    part = replace(episode, start=max(episode.start, start), end=min(episode.end, end))
    if start <= episode.peak_time < end:
        return part
    return replace(part, peak_time=np.nan, peak_confidence=np.nan)


def _seconds_seen(rows: FrameTable, start: float, end: float) -> float:
    """Return the seconds between two times for which a face is in sight.

    rows: one per sampled frame of the whole run; each stands for the time until the next.
    """
    until_next = rows.until_next()
    # Nothing is sampled after the last frame: it counts for the median interval.
    until_next[-1] = np.median(until_next[:-1]) if len(rows) > 1 else rows.shown()[-1]
    first, last = np.maximum(rows.timestamp, start), np.minimum(rows.timestamp + until_next, end)
    return float(np.maximum(last - first, 0.0)[rows.success].sum())


def _totals(table: FrameTable, episodes: Sequence[Episode], start: float, seconds_seen: float) -> Totals:
    seen = table.select(table.success)
    labelled = np.bincount(seen.probabilities.argmax(axis=1) if len(seen) else [], minlength=len(LABELS))
    position = {label: i for i, label in enumerate(LABELS)}
    numbers, seconds, confidence = np.zeros(len(LABELS)), np.zeros(len(LABELS)), np.zeros(len(LABELS))
    first = np.full(len(LABELS), np.inf)
    for episode in episodes:
        i = position[episode.emotion]
        duration = episode.end - episode.start
        numbers[i] += 1
        seconds[i] += duration
        confidence[i] += duration * episode.mean_confidence
        first[i] = min(first[i], episode.start - start)
    return Totals(
        recordings=1,
        frames=len(table),
        rows=len(seen),
        seconds=seconds_seen,
        labelled_rows=labelled.astype(np.float64),
        probability=np.append(seen.probabilities.sum(axis=0), np.nan),
        valence=float(seen.valence.sum()),
        episodes=numbers,
        episode_seconds=seconds,
        confidence=confidence,
        first_onset=first,
    )


def _rows_of_face(table: FrameTable, face_id: int) -> FrameTable:
    """Return one row per sampled frame: the face's, or one without a face where it is not in the frame."""
    _, first = np.unique(table.frame, return_index=True)
    place = np.searchsorted(table.frame[first], table.frame)
    chosen = first.copy()
    own = np.flatnonzero(table.face_id == face_id)
    chosen[place[own]] = own
    rows = table.select(chosen)
    absent = rows.face_id != face_id
    return replace(
        rows,
        face_id=np.where(absent, 0, rows.face_id),
        score=np.where(absent, np.nan, rows.score),
        bbox=np.where(absent[:, None], np.nan, rows.bbox),
        probabilities=np.where(absent[:, None], np.nan, rows.probabilities),
    )


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
