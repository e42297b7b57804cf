"""Readers of ELAN documents, BORIS projects and BORIS tables of events."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

from ferwatch.errors import DataError
from ferwatch.study.codes import CodedRecording, CodesBuilder, parse_seconds

BORIS_TIME, BORIS_BEHAVIOR, BORIS_SUBJECT = "time", "behavior", "subject"
BORIS_KIND = ("behavior type", "status")
"""Names of the column that says START, STOP or POINT: since BORIS 8, and in earlier versions."""

NEVER_STOP = "with a start and no stop"
"""Reason why starts without a stop are skipped."""


def read_eaf(path: Path) -> list[CodedRecording]:
    """Reads the time-aligned annotations of an ELAN document; raises DataError where it cannot be read."""
    from pympi import Elan

    try:
        eaf = Elan.Eaf(str(path), suppress_version_warning=True)
        tiers = {name: eaf.get_annotation_data_for_tier(name) for name in eaf.get_tier_names()}
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # pympi has no error of its own, and raises KeyError, TypeError and more
        raise DataError(f"{path} is no ELAN document: {type(error).__name__}: {error}") from error
    media = [m.get("RELATIVE_MEDIA_URL") or m.get("MEDIA_URL") or "" for m in eaf.media_descriptors]
    builder = CodesBuilder(path)
    for tier, entries in tiers.items():
        for start, end, value, *_ in entries:
            if start is None or end is None:
                builder.skip("without a time")
            else:
                builder.add(media[0] if media else path.stem, start / 1000, end / 1000, value or "", tier)
    return builder.finish()


def read_boris_project(path: Path, text: str) -> list[CodedRecording]:
    """Reads the state events of every observation of a BORIS project; raises DataError where it is none."""
    builder = CodesBuilder(path)
    try:
        project = json.loads(text)
        states = {b["code"] for b in project["behaviors_conf"].values() if b["type"].lower().startswith("state")}
        for name, observation in project["observations"].items():
            media = [file for files in (observation.get("file") or {}).values() for file in files]
            recording = media[0] if media else name
            # time, subject, behaviour, modifier, comment, ...
            events = sorted(observation["events"], key=lambda event: float(event[0]))
            found = [(float(e[0]), str(e[1]), str(e[2]), "" if e[2] in states else "POINT") for e in events]
            _pair_events(builder, recording, found)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{path} is no BORIS project: {type(error).__name__}: {error}") from error
    return builder.finish()


def is_boris_events(lines: list[list[str]]) -> bool:
    """Return whether a table is BORIS's "tabular events": one line for the start and one for the stop of each state."""
    return _header_of(lines) is not None


def read_boris_events(path: Path, lines: list[list[str]]) -> list[CodedRecording]:
    """Reads BORIS's "tabular events"; raises DataError, naming the line, where a value cannot be read."""
    header = _header_of(lines)
    assert header is not None
    names = [name.lower() for name in lines[header]]
    kind = next(names.index(name) for name in BORIS_KIND if name in names)
    about = next((n for n in ("media file name", "media file path", "media file", "observation id") if n in names), "")
    by_recording: dict[str, list[tuple[float, str, str, str]]] = {}
    for number, line in enumerate(lines[header + 1 :], start=header + 2):
        if not any(line):
            continue
        cell: dict[str, Any] = dict(zip(names, line, strict=False))
        try:
            time = parse_seconds(cell[BORIS_TIME])
            event = (time, cell.get(BORIS_SUBJECT, ""), cell[BORIS_BEHAVIOR], line[kind].upper())
        except (ValueError, KeyError, IndexError) as error:
            raise DataError(f"{path}, line {number}: {error}") from error
        by_recording.setdefault(cell.get(about, "") or path.stem, []).append(event)
    builder = CodesBuilder(path)
    for recording, events in by_recording.items():
        _pair_events(builder, recording, events)
    return builder.finish()


def _header_of(lines: list[list[str]]) -> int | None:
    # Older versions of BORIS write facts about the observation above the header.
    for number, line in enumerate(lines):
        names = {cell.lower() for cell in line}
        if {BORIS_TIME, BORIS_BEHAVIOR} <= names and names & set(BORIS_KIND):
            return number
    return None


def _pair_events(builder: CodesBuilder, recording: str, events: list[tuple[float, str, str, str]]) -> None:
    """Adds a code for each start of a state and the stop that follows it.

    A stop that follows no start is skipped, and so is a start that another start of the state follows.
    events: time in seconds, subject, behaviour, and "START", "STOP" or "POINT"; with any other word, a state's first
    event is its start, and the next its stop. By time.
    """
    started: dict[tuple[str, str], list[float]] = {}
    for time, subject, behavior, kind in events:
        starts = started.setdefault((subject, behavior), [])
        if kind == "POINT":
            builder.skip("without a duration")
        elif kind == "START" or (kind != "STOP" and not starts):
            starts.append(time)
        elif not starts:
            builder.skip("with a stop and no start")
        else:
            # Where a state stops and starts again at one time, either may stand first.
            again = [starts.pop()] if len(starts) > 1 and starts[-1] == time else []
            builder.add(recording, starts.pop(), time, behavior, subject)
            for _ in starts:
                builder.skip(NEVER_STOP)
            started[subject, behavior] = again
    for _ in chain.from_iterable(started.values()):
        builder.skip(NEVER_STOP)
