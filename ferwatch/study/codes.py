"""Codes: labels over stretches of time that human coders gave, read from the files of coding tools."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from ferwatch.errors import DataError, shown
from ferwatch.utils.timecode import parse_time
from ferwatch.utils.wording import counted

COLUMN_NAMES = {
    "start": ("start", "begin", "begin time", "onset", "start (s)", "start_time"),
    "end": ("end", "stop", "end time", "offset", "stop (s)", "end_time"),
    "label": ("label", "annotation", "code", "emotion", "behavior", "behaviour", "value"),
    "tier": ("tier", "subject", "face_id", "face"),
    "recording": ("recording", "file", "video", "media", "media file path", "media file name", "observation id"),
}
"""Content of a column -> the names, in lower case, that it may have in a table of codes."""


@dataclass(frozen=True)
class Code:
    """One label over a stretch of time."""

    start: int
    """Start in milliseconds."""
    end: int
    """End in milliseconds, later than `start`."""
    label: str
    tier: str = ""
    """Tier (ELAN) or subject (BORIS) of the code; "" where the file has none."""


@dataclass(frozen=True)
class CodedRecording:
    """Codes of one file for one recording."""

    name: str
    """File name of the recording where the file of codes names it, or the stem of the file of codes."""
    codes: tuple[Code, ...]
    warnings: tuple[str, ...] = ()

    @property
    def tiers(self) -> list[str]:
        """Names of the tiers that hold codes, in the order of the file."""
        return list(dict.fromkeys(code.tier for code in self.codes))


@dataclass
class CodesBuilder:
    """Collects the codes of one file by recording."""

    path: Path
    codes: dict[str, list[Code]] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    """Number of entries that could not be used, by reason."""

    def add(self, recording: str, start: float, end: float, label: str, tier: str) -> None:
        """Adds one code; times in seconds. One without a duration or a label is counted as skipped."""
        codes = self.codes.setdefault(Path(recording.replace("\\", "/")).name or self.path.stem, [])
        first, last = round(start * 1000), round(end * 1000)
        if last < first:
            raise DataError(f"{self.path}: {shown(label)} ends at {end:g} s, before it starts at {start:g} s")
        if last == first:
            self.skip("without a duration")
        elif not label.strip():
            self.skip("without a label")
        else:
            codes.append(Code(first, last, label.strip(), tier.strip()))

    def skip(self, reason: str) -> None:
        """Counts an entry that cannot be used."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def finish(self) -> list[CodedRecording]:
        """Returns the recordings; raises DataError where the file holds no code at all."""
        warnings = tuple(
            f"{self.path.name}: {counted(n, 'code')} {reason} {'is' if n == 1 else 'are'} left out"
            for reason, n in self.skipped.items()
        )
        if not any(self.codes.values()):
            raise DataError(f"{self.path} holds no codes{': ' + '; '.join(warnings) if warnings else ''}")
        ordered = {name: tuple(sorted(codes, key=lambda c: (c.start, c.end))) for name, codes in self.codes.items()}
        return [CodedRecording(name, codes, warnings) for name, codes in ordered.items() if codes]


def read_codes(path: Path) -> list[CodedRecording]:
    """Reads an ELAN document (.eaf), a BORIS project or table of events, or a table with start, end and label.

    Raises DataError, naming the file and the line, where it cannot be read as any of these.
    """
    from ferwatch.study.coding_tools import is_boris_events, read_boris_events, read_boris_project, read_eaf

    if path.suffix.lower() == ".eaf":
        return read_eaf(path)
    text = read_text(path)
    if text.lstrip().startswith("{"):
        return read_boris_project(path, text)
    lines = table_lines(path, text)
    if is_boris_events(lines):
        return read_boris_events(path, lines)
    return _read_table(path, lines)


def read_text(path: Path) -> str:
    """Returns a text file's content, whether UTF-8 with or without a byte order mark, UTF-16, or Windows-1252."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # what Excel saves as "CSV" in western Europe and America


def table_lines(path: Path, text: str) -> list[list[str]]:
    """Returns the cells of a table, split at the most frequent of tab, semicolon and comma in its header.

    path: the file that holds the text, for the message. Raises DataError, naming the line, where the text is no table.
    """
    head = next((line for line in text.splitlines() if re.search(r"[\t;,]", line)), "")
    delimiter = max("\t;,", key=head.count)
    lines: list[list[str]] = []
    try:
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            lines.append([cell.strip() for cell in line])
    except csv.Error as error:
        raise DataError(
            f"{path}, line {len(lines) + 1}: {error}; look there for a quotation mark without its partner, or a cell "
            "that is too long"
        ) from None
    return lines


def own_table(path: Path, kind: str, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Read a table that ferwatch has written, also after a spreadsheet program has saved it.

    Args:
        kind: what the table is, for the message.
        columns: names of those that it has to have.
    Returns the number, and the cells by column, of each line that is not empty. Raises DataError where one of these
    columns or, naming the line, a field of them is missing.
    """
    header, *lines = table_lines(path, read_text(path)) or [[]]
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"{path} is no {kind}: it lacks the columns {', '.join(missing)}")
    needed = 1 + max(header.index(name) for name in columns)
    rows = []
    for number, line in enumerate(lines, start=2):
        if not any(line):
            continue
        if len(line) < needed:
            raise DataError(f"{path}, line {number}: {len(line)} fields instead of {len(header)}")
        # Some spreadsheet programs leave out empty fields at the end of a line.
        rows.append((number, dict(zip_longest(header, line[: len(header)], fillvalue=""))))
    return rows


def parse_seconds(text: str) -> float:
    """Returns the seconds of "83.5", "83,5" or "1:23.5"; raises ValueError where the text is no time."""
    return parse_time(text.replace(",", "."))


def columns_of(header: Iterable[str]) -> dict[str, int]:
    """Returns the position of each column of COLUMN_NAMES that a header has."""
    # ELAN writes "Begin Time - ss.msec".
    names = [name.lower().partition(" - ")[0].strip() for name in header]
    found = {}
    for column, accepted in COLUMN_NAMES.items():
        position = next((names.index(name) for name in accepted if name in names), None)
        if position is not None:
            found[column] = position
    return found


def _read_table(path: Path, lines: list[list[str]]) -> list[CodedRecording]:
    rows = [(number, line) for number, line in enumerate(lines, start=1) if any(line)]
    if not rows:
        raise DataError(f"{path} is empty; a table of codes has the columns start, end and label")
    columns = columns_of(rows[0][1])
    if {"start", "end", "label"} <= columns.keys():
        rows = rows[1:]
    elif len(rows[0][1]) == 3 and _is_time(rows[0][1][0]):
        columns = {"start": 0, "end": 1, "label": 2}
    else:
        missing = ", ".join(sorted({"start", "end", "label"} - columns.keys()))
        raise DataError(f"{path} is no table of codes: it lacks the columns {missing}; its first line has to name them")
    builder = CodesBuilder(path)
    for number, line in rows:
        cell = _cells(line, columns)
        try:
            start, end = parse_seconds(cell["start"]), parse_seconds(cell["end"])
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
        builder.add(cell.get("recording", ""), start, end, cell["label"], cell.get("tier", ""))
    return builder.finish()


def _cells(line: list[str], columns: Mapping[str, int]) -> dict[str, str]:
    return {name: line[position] if position < len(line) else "" for name, position in columns.items()}


def _is_time(text: str) -> bool:
    try:
        parse_seconds(text)
    except ValueError:
        return False
    return True
