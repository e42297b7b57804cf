"""The plan of a study: which recording shows which participant under which conditions, and when something happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferwatch.errors import DataError, shown
from ferwatch.study.codes import parse_seconds, read_text, table_lines
from ferwatch.utils.files import absolute_path

RECORDING_COLUMNS = ("video", "run", "recording", "file")
"""Names that the column of recordings may have, in lower case."""

OWN_COLUMNS = ("participant", "face", "start", "end")
"""Columns of a plan that are no condition, besides that of recordings."""


@dataclass(frozen=True)
class PlannedRecording:
    """One line of a plan."""

    name: str
    """File name of the recording, with "#2" and so on where a plan has several lines for one."""
    path: Path
    """Path of the video, or of a run folder."""
    participant: str
    conditions: tuple[str, ...]
    """Level of each of the plan's conditions."""
    face: int | None = None
    """Participant's face_id; None: the face with the most time."""
    start: float = 0.0
    """Time in seconds from which the recording counts."""
    end: float | None = None
    """Time in seconds up to which the recording counts; None: to its end."""


@dataclass(frozen=True)
class PlannedEvent:
    """Event in a recording, from the file of events."""

    recording: str
    """Name of a PlannedRecording."""
    time: float
    """Seconds from the start of the video."""
    event: str
    """Name of the event; several events may share it."""


@dataclass(frozen=True)
class Plan:
    """A study's recordings and events."""

    recordings: tuple[PlannedRecording, ...]
    conditions: tuple[str, ...]
    """Names of the condition columns."""
    events: tuple[PlannedEvent, ...] = ()


def read_plan(path: Path, events: Path | None = None) -> Plan:
    """Reads a plan, and its events where there is a file of them. Paths are relative to the file they stand in.

    Both are CSV or TSV, also as Excel saves them. Raises DataError, naming the file and the line, where a column is
    missing, a value cannot be, or a video of the events is not in the plan.
    """
    header, rows = _read_table(path, "a plan has one line a recording, with the columns video and participant")
    source = next((name for name in RECORDING_COLUMNS if name in header), None)
    missing = [name for name, there in (("video", source), ("participant", "participant" in header)) if not there]
    if missing:
        raise DataError(f"{path} is no plan: it lacks the column {' and '.join(missing)}; it has {', '.join(header)}")
    assert source is not None
    conditions = tuple(name for name in header if name not in (source, *OWN_COLUMNS))
    recordings: list[PlannedRecording] = []
    counts: dict[str, int] = {}
    for number, row in rows:
        line = f"{path}, line {number}"
        empty = [name for name in (source, "participant", *conditions) if not row[name]]
        if empty:
            raise DataError(f"{line}: {empty[0]} is empty")
        place = path.parent / row[source].replace("\\", "/")
        counts[place.name] = counts.get(place.name, 0) + 1
        name = place.name if counts[place.name] == 1 else f"{place.name}#{counts[place.name]}"
        start, end = _time(row, "start", line) or 0.0, _time(row, "end", line)
        if end is not None and end <= start:
            raise DataError(f"{line}: end ({end:g} s) is not after start ({start:g} s)")
        levels = tuple(row[name] for name in conditions)
        recordings.append(PlannedRecording(name, place, row["participant"], levels, _face(row, line), start, end))
    return Plan(tuple(recordings), conditions, _read_events(events, recordings) if events else ())


def _read_events(path: Path, recordings: Sequence[PlannedRecording]) -> tuple[PlannedEvent, ...]:
    header, rows = _read_table(path, "a file of events has the columns video, time and event")
    source = next((name for name in RECORDING_COLUMNS if name in header), "video")
    missing = [name for name in (source, "time", "event") if name not in header]
    if missing:
        raise DataError(f"{path} lacks the column {' and '.join(missing)}: it needs video, time and event")
    events = []
    for number, row in rows:
        line = f"{path}, line {number}"
        name = Path(row[source].replace("\\", "/"))
        time = _time(row, "time", line)
        if time is None or not row["event"]:
            raise DataError(f"{line}: {'time' if time is None else 'event'} is empty")
        fitting = _named(name, path.parent, recordings)
        if not fitting:
            raise DataError(f"{line}: {row[source]} is not in the plan")
        if len({absolute_path(r.path) for r in fitting}) > 1:
            videos = " or ".join(sorted({str(r.path) for r in fitting}))
            raise DataError(
                f"{line}: {row[source]} may be {videos}; name it as the plan does, with its folder and suffix"
            )
        # A plan may have several lines for one video: the event belongs to those whose time holds it.
        inside = [r for r in fitting if r.start <= time and (r.end is None or time < r.end)]
        if not inside:
            raise DataError(f"{line}: {time:g} s lies outside the start and end that the plan gives {name.name}")
        events += [PlannedEvent(r.name, time, row["event"]) for r in inside]
    return tuple(events)


def _read_table(path: Path, expected: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the header, with known names in lower case, and the number and cells of each line that is not empty."""
    lines = table_lines(path, read_text(path))
    filled = [(number, line) for number, line in enumerate(lines, start=1) if any(line)]
    if len(filled) < 2:
        raise DataError(f"{path} has no lines: {expected}")
    known = (*RECORDING_COLUMNS, *OWN_COLUMNS, "time", "event")
    width = max(i for i, name in enumerate(filled[0][1]) if name) + 1  # Excel leaves empty columns at the end
    header = [name.lower() if name.lower() in known else name for name in filled[0][1][:width]]
    for i, name in enumerate(header):
        if not name or name in header[:i]:
            raise DataError(f"{path}: column {i + 1} {'is named ' + name + ' like another' if name else 'has no name'}")
    rows = []
    for number, line in filled[1:]:
        if any(line[width:]):
            raise DataError(f"{path}, line {number}: it has {len(line)} fields, and the header names {width}")
        rows.append((number, dict(zip(header, [*line[:width], *[""] * (width - len(line))], strict=True))))
    return header, rows


def _named(name: Path, folder: Path, recordings: Sequence[PlannedRecording]) -> list[PlannedRecording]:
    """Return the recordings that a name in a file of events means.

    By its path; else by the end of that; else by the file's name; else by that without its suffix.

    Args:
        folder: that of the file of events.
    """
    place = absolute_path(folder / name)
    rules: tuple[Callable[[Path], bool], ...] = (
        lambda path: absolute_path(path) == place,
        lambda path: absolute_path(path).parts[-len(name.parts) :] == name.parts,
        lambda path: path.name == name.name,
        lambda path: path.stem == name.stem,
    )
    for rule in rules:
        if fitting := [recording for recording in recordings if rule(recording.path)]:
            return fitting
    return []


def _time(row: dict[str, str], column: str, line: str) -> float | None:
    if not row.get(column):
        return None
    try:
        return parse_seconds(row[column])
    except ValueError as error:
        raise DataError(f"{line}: {column}: {error}") from None


def _face(row: dict[str, str], line: str) -> int | None:
    text = row.get("face", "")
    if text and not (text.isdigit() and int(text) >= 1):
        raise DataError(f"{line}: face: {shown(text)} is no face_id; face ids are 1, 2 and so on, as in frames.csv")
    return int(text) if text else None
