"""FrameTable: the rows of a run as columns, and the one schema of frames.csv with its writer and reader."""

from __future__ import annotations

import codecs
import csv
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import DataError, OutputError
from ferwatch.records import EMOTIONS, FaceResult, FrameResult

MAX_VALUE = 1e9
"""The largest frame number, time in seconds, face id or pixel that a table may hold."""


@dataclass(frozen=True)
class FrameTable:
    """R rows, one per sampled frame and face, in the order of frames.csv; a frame without a face has one, face_id 0."""

    frame: NDArray[np.int64]
    """(R,) index of the frame in the video, from 0."""
    timestamp: NDArray[np.float64]
    """(R,) seconds."""
    face_id: NDArray[np.int64]
    """(R,) from 1; 0 where the frame shows no face."""
    score: NDArray[np.float64]
    """(R,) detection score; NaN without a face."""
    bbox: NDArray[np.float64]
    """(R, 4) x, y, width and height in pixels; NaN without a face."""
    probabilities: NDArray[np.float64]
    """(R, 7) in the order of EMOTIONS; NaN without a face."""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def face_ids(self) -> list[int]:
        """Every face of the table, ascending."""
        return [int(i) for i in np.unique(self.face_id) if i > 0]

    @property
    def success(self) -> NDArray[np.bool_]:
        """(R,) whether the row holds a face."""
        return self.face_id > 0

    @property
    def emotion(self) -> NDArray[np.str_]:
        """(R,) the most probable emotion; meaningless without a face."""
        return np.array(EMOTIONS)[np.nan_to_num(self.probabilities).argmax(axis=1)]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(R,) the probability of `emotion`; NaN without a face."""
        return self.probabilities.max(axis=1)

    def sample_times(self) -> NDArray[np.float64]:
        """(S,) seconds of every sampled frame, with or without a face: one value a frame."""
        return self.timestamp[np.unique(self.frame, return_index=True)[1]]

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> FrameTable:
        """The rows that a mask (R,) or a list of row numbers selects."""
        return replace(self, **{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True)
class Column:
    """One column of frames.csv: makes its header, its text, its parser, and its place in Parquet and JSON."""

    name: str
    type: type[int] | type[float] | type[bool] | type[str]
    format: str
    """Format specification of the text in frames.csv."""
    source: Callable[[Any], Any]
    """Takes the value from a FrameResult (`per_frame`) or a FaceResult."""
    field: str
    """Attribute of FrameTable that holds the column."""
    position: int | None = None
    """Index within the rows of a two-dimensional attribute."""
    per_frame: bool = False
    """True: the value belongs to the frame and is there without a face too."""
    without_face: str = ""
    """Text in the row of a frame without a face."""
    low: float = -MAX_VALUE
    high: float = MAX_VALUE

    @property
    def is_stored(self) -> bool:
        """Whether the reader takes the value from the file; other columns follow from those that are stored."""
        return any(field.name == self.field for field in fields(FrameTable))

    @property
    def is_null_without_face(self) -> bool:
        """Whether frames without a face leave the column empty."""
        return not self.per_frame and not self.without_face

    def text(self, frame: FrameResult, face: FaceResult | None) -> str:
        """The column's field in frames.csv."""
        if face is None and not self.per_frame:
            return self.without_face
        return format(self.source(frame if self.per_frame else face), self.format)

    def values(self, table: FrameTable) -> NDArray[Any]:
        """(R,) the column's values of a table."""
        column: NDArray[Any] = getattr(table, self.field)
        return column if self.position is None else column[:, self.position]

    def parse(self, text: str) -> float:
        """The number that a field holds. Raises ValueError where it is none or out of the column's range."""
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{self.name}: {text!r} is no number" if text else f"{self.name} is empty") from None
        if not self.low <= value <= self.high:  # nor is NaN
            raise ValueError(f"{self.name}: {text} does not lie between {self.low:g} and {self.high:g}")
        return value


def _probability(position: int) -> Column:
    def source(face: FaceResult) -> float:
        return face.probabilities[position]

    return Column(EMOTIONS[position], float, ".4f", source, "probabilities", position, low=0, high=1)


SCHEMA = (
    Column("frame", int, "d", attrgetter("index"), "frame", per_frame=True, low=0),
    Column("timestamp", float, ".3f", attrgetter("timestamp"), "timestamp", per_frame=True),
    Column("face_id", int, "d", attrgetter("face_id"), "face_id", low=1),
    Column("success", bool, "d", lambda face: True, "success", without_face="0"),
    Column("detection_score", float, ".3f", attrgetter("score"), "score"),
    Column("box_x", float, ".1f", lambda face: face.bbox[0], "bbox", 0),
    Column("box_y", float, ".1f", lambda face: face.bbox[1], "bbox", 1),
    Column("box_w", float, ".1f", lambda face: face.bbox[2], "bbox", 2),
    Column("box_h", float, ".1f", lambda face: face.bbox[3], "bbox", 3),
    Column("emotion", str, "s", attrgetter("emotion"), "emotion"),
    Column("confidence", float, ".4f", attrgetter("confidence"), "confidence"),
    *(_probability(position) for position in range(len(EMOTIONS))),
)
"""The columns of frames.csv in their order. New ones are appended at the end."""

COLUMNS = tuple(column.name for column in SCHEMA)
"""The header of frames.csv."""

_STORED = tuple(column for column in SCHEMA if column.is_stored)


def rows_of(frame: FrameResult) -> list[list[str]]:
    """The lines of frames.csv that one FrameResult becomes."""
    return [[column.text(frame, face) for column in SCHEMA] for face in frame.faces or (None,)]


class FramesWriter:
    """Writes frames.csv frame by frame, under the name frames.partial.csv.

    Every frame goes to the system whole and at once, so that whatever ends the run leaves a table that reads.

    Args:
        path: where frames.csv will lie once the run is complete.
        resume_at: an `offset` of an earlier writer; what the partial file holds beyond it is cut off.
    Raises OutputError where the disk or its permissions refuse; the partial file then ends with the last whole frame.
    """

    def __init__(self, path: Path, resume_at: int = 0) -> None:
        self.partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        self.offset = resume_at
        """Bytes of header and whole frames written so far."""
        try:
            # Without a buffer: what `write` has taken is with the system, and survives the end of this process.
            self._file = open(self.partial, "r+b" if resume_at else "wb", buffering=0)  # noqa: SIM115
            self._file.truncate(resume_at)
            self._file.seek(resume_at)
        except OSError as error:
            raise OutputError(f"cannot write {self.partial}: {error.strerror}") from error
        if not resume_at:
            self._append([list(COLUMNS)])

    def write(self, frame: FrameResult) -> None:
        """Append the rows of one frame."""
        self._append(rows_of(frame))

    def _append(self, rows: list[list[str]]) -> None:
        lines = "".join(",".join(row) + "\n" for row in rows).encode()
        left = memoryview(lines)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._file.truncate(self.offset)
            raise OutputError(f"cannot write {self.partial}: {error.strerror}") from error
        self.offset += len(lines)

    def __enter__(self) -> FramesWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_frames_csv(path: Path) -> FrameTable:
    """Read frames.csv, also after a spreadsheet program has saved it.

    Accepts a byte order mark, semicolons or tabs between fields, decimal commas with these, columns in any order,
    further columns, empty rows and rows in any order.
    Raises DataError, naming the line, where the file is missing, is no frames.csv or holds a value that cannot be.
    """
    try:
        with open(path, encoding=_encoding(path), newline="") as file:
            numbers = array("d")  # a list would take five times the memory, and videos are long
            lines = _lines(file)
            place = _columns_in(next(lines, []), path)
            for number, line in enumerate(lines, start=2):
                if not any(line):
                    continue
                try:
                    numbers.extend(_numbers(line, place))
                except ValueError as error:
                    raise DataError(f"{path}, line {number}: {error}") from None
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    return _in_order(_table(np.frombuffer(numbers).reshape(-1, len(_STORED))), path)


def _encoding(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _lines(file: Any) -> Iterator[list[str]]:
    """The fields of each line, with a dot for decimals; the delimiter is the one that the header uses most."""
    header = file.readline()
    delimiter = max(",;\t", key=header.count)
    yield [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    for line in csv.reader(file, delimiter=delimiter):
        yield line if delimiter == "," else [field.replace(",", ".") for field in line]


def _columns_in(header: Sequence[str], path: Path) -> list[int]:
    """The position in a line of `success`, then of each stored column. Raises DataError where one is missing."""
    names = ["success", *(column.name for column in _STORED)]
    missing = [name for name in names if name not in header]
    if missing:
        raise DataError(f"{path} is no frames.csv of ferwatch: it lacks the columns {', '.join(missing)}")
    twice = [name for name in names if header.count(name) > 1]
    if twice:
        raise DataError(f"{path} has two columns of the name {twice[0]}; delete one")
    return [header.index(name) for name in names]


def _numbers(line: list[str], place: Sequence[int]) -> list[float]:
    """The stored columns of one line, in their order; NaN, and face_id 0, where the frame shows no face."""
    try:
        success, *texts = [line[i].strip() for i in place]
    except IndexError:
        if len(line) > 4 and any(line[4:]):
            raise ValueError(f"{len(line)} fields instead of {max(place) + 1}") from None
        # Some spreadsheet programs leave out empty fields at the end of a line.
        success, *texts = [line[i].strip() if i < len(line) else "" for i in place]
    if success not in ("0", "1"):
        raise ValueError(f"success: {success!r} is neither 0 nor 1")
    if success == "0":
        without = {"face_id": 0.0}
        return [
            column.parse(text) if column.per_frame else without.get(column.name, np.nan)
            for column, text in zip(_STORED, texts, strict=True)
        ]
    values = [column.parse(text) for column, text in zip(_STORED, texts, strict=True)]
    total = sum(value for column, value in zip(_STORED, values, strict=True) if column.field == "probabilities")
    if abs(total - 1) > 0.01:
        raise ValueError(f"its probabilities sum to {total:.4f}")
    return values


def _table(numbers: NDArray[np.float64]) -> FrameTable:
    """A table of (R, stored columns) numbers."""
    columns: dict[str, NDArray[Any]] = {}
    for field in fields(FrameTable):
        own = [(i, column) for i, column in enumerate(_STORED) if column.field == field.name]
        values = numbers[:, [i for i, _ in own]].astype(own[0][1].type)
        columns[field.name] = values[:, 0] if own[0][1].position is None else values
    return FrameTable(**columns)


def _in_order(table: FrameTable, path: Path) -> FrameTable:
    """The rows by frame and face. Raises DataError where they contradict each other."""
    order = np.lexsort((table.face_id, table.frame))
    if not np.array_equal(order, np.arange(len(table))):
        table = table.select(order)
    same = np.diff(table.frame) == 0
    for i in np.flatnonzero(same & (np.diff(table.face_id) == 0))[:1]:
        raise DataError(f"{path}: frame {table.frame[i]} has two rows of face {table.face_id[i]}; delete one")
    for i in np.flatnonzero(np.diff(table.timestamp) < 0)[:1]:
        raise DataError(
            f"{path}: frame {table.frame[i + 1]} has the time {table.timestamp[i + 1]:.3f} s, "
            f"before that of frame {table.frame[i]}"
        )
    return table
