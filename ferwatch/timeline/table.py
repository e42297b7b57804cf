"""FrameTable holds the rows of a run as columns; FramesWriter and read_frames_csv write and read frames.csv."""

from __future__ import annotations

import codecs
import csv
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import DataError, OutputError, shown
from ferwatch.records import EMOTIONS, BoundingBox, FaceResult, FrameResult, valence_of
from ferwatch.timeline.schema import COLUMNS, SCHEMA, rows_of

MAX_SUM_ERROR = 0.01
"""Largest distance from 1 of the sum of a row's rounded probabilities."""

_STORED = tuple(column for column in SCHEMA if not column.derived)
_PROBABILITIES = [i for i, column in enumerate(_STORED) if column.field == "probabilities"]
_SUCCESS = SCHEMA[COLUMNS.index("success")]
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class FrameTable:
    """R rows, one per sampled frame and face, in the order of frames.csv; a frame without a face has one, face_id 0."""

    frame: NDArray[np.int64]
    """(R,) index of the frame in the video, from 0."""
    timestamp: NDArray[np.float64]
    """(R,) presentation time in seconds."""
    face_id: NDArray[np.int64]
    """(R,) id of the face, from 1; 0 where the frame shows no face."""
    score: NDArray[np.float64]
    """(R,) detection score; NaN without a face."""
    bbox: NDArray[np.float64]
    """(R, 4) bounding box: x, y, width and height in pixels; NaN without a face."""
    probabilities: NDArray[np.float64]
    """(R, 7) calibrated probabilities in the order of EMOTIONS; NaN without a face."""
    duration: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """(R,) seconds for which a player shows the picture; NaN where the container does not say. NaN throughout where
    the argument is left out."""

    def __post_init__(self) -> None:
        if len(self.duration) != len(self.frame):
            object.__setattr__(self, "duration", np.full(len(self.frame), np.nan))

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

    @property
    def valence(self) -> NDArray[np.float64]:
        """(R,) happy less the largest of angry, disgust, fear and sad, -1 to 1; NaN without a face."""
        return valence_of(self.probabilities)

    def sample_times(self) -> NDArray[np.float64]:
        """(S,) seconds of every sampled frame, with or without a face: one value a frame."""
        return self.timestamp[self.first_rows()]

    def first_rows(self) -> NDArray[np.intp]:
        """(S,) the first row of every sampled frame."""
        return np.unique(self.frame, return_index=True)[1]

    def until_next(self) -> NDArray[np.float64]:
        """(R,) seconds until the next sampled frame; infinite in the last one."""
        first = self.first_rows()
        until = np.append(np.diff(self.timestamp[first]), np.inf)[: len(first)]
        return np.repeat(until, np.diff(np.append(first, len(self))))

    def shown(self) -> NDArray[np.float64]:
        """(R,) seconds for which the picture is shown, at most until the next sampled one; 0 where it is not known."""
        return np.minimum(np.nan_to_num(self.duration), self.until_next())

    def faces(self) -> Iterator[FaceResult | None]:
        """Yield the face of every row; None where the frame shows none."""
        for row, face_id in enumerate(self.face_id.tolist()):
            box, probabilities = self.bbox[row].tolist(), self.probabilities[row].tolist()
            score = float(self.score[row])
            yield FaceResult(face_id, score, BoundingBox(*box), tuple(probabilities)) if face_id else None

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> FrameTable:
        """Return the table of the rows that a mask (R,) or an array of row numbers selects."""
        return replace(self, **{column.name: getattr(self, column.name)[rows] for column in fields(self)})


class FramesWriter:
    """Writes frames.csv frame by frame, under the name frames.partial.csv.

    Every frame is handed to the operating system whole and at once, so that an interrupted run leaves a readable table.

    Args:
        path: where frames.csv will lie once the run is complete.
    Raises OutputError where the disk or its permissions refuse; the partial file then ends with the last whole frame.
    """

    def __init__(self, path: Path) -> None:
        self.partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        self.offset = 0
        """Bytes of header and whole frames written so far."""
        try:
            # Without a buffer: what `write` has returned from survives the end of this process.
            self._file = open(self.partial, "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"cannot write {self.partial}: {error.strerror}") from error
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
    further columns, empty rows and rows in any order. Columns that earlier versions did not write may be missing.
    Raises DataError, naming the line, where the file is missing, is no frames.csv or holds a value that cannot be.
    """
    numbers = array("d")  # takes a fifth of the memory of a list
    try:
        with open(path, encoding=_encoding(path), newline="") as file:
            lines = _lines(file)
            place = _columns_in(next(lines, []), path)
            numbered = enumerate(lines, start=2)
            while chunk := list(islice(numbered, _ROWS_AT_ONCE)):
                block = _numbers_of([line for _, line in chunk], place)
                if block is not None:
                    numbers.frombytes(block.tobytes())
                    continue
                for number, line in chunk:
                    try:
                        numbers.extend(_numbers(line, place) if any(line) else ())
                    except ValueError as error:
                        raise DataError(f"{path}, line {number}: {error}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeError, csv.Error):
        raise DataError(f"{path} is no frames.csv: it is no table of text") from None
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


def _columns_in(header: Sequence[str], path: Path) -> list[int | None]:
    """The position in a line of `success`, then of each stored column; None where an optional one is missing.

    Raises DataError where another one is missing.
    """
    columns = (_SUCCESS, *_STORED)
    missing = [column.name for column in columns if column.name not in header and not column.optional]
    if missing:
        raise DataError(f"{path} is no frames.csv of ferwatch: it lacks the columns {', '.join(missing)}")
    twice = [column.name for column in columns if header.count(column.name) > 1]
    if twice:
        raise DataError(f"{path} has two columns of the name {twice[0]}; delete one")
    return [header.index(column.name) if column.name in header else None for column in columns]


def _numbers(line: list[str], place: Sequence[int | None]) -> list[float]:
    """The stored columns of one line, in their order; NaN, and face_id 0, where the frame shows no face."""
    columns = (_SUCCESS, *_STORED)
    needed = 1 + max(i or 0 for column, i in zip(columns, place, strict=True) if not column.optional)
    if len(line) < needed and any(line[4:]):
        raise ValueError(f"{len(line)} fields instead of {needed}")
    # Some spreadsheet programs leave out empty fields at the end of a line.
    success, *texts = ["" if i is None or i >= len(line) else line[i].strip() for i in place]
    if success not in ("0", "1"):
        raise ValueError(f"success: {shown(success)} is neither 0 nor 1")
    values = [
        column.parse(text) if column.per_frame or success == "1" else column.value_without_face
        for column, text in zip(_STORED, texts, strict=True)
    ]
    total = sum(values[i] for i in _PROBABILITIES)
    if abs(total - 1) > MAX_SUM_ERROR:  # nor without a face, where it is NaN
        raise ValueError(f"its probabilities sum to {total:.4f}")
    return values


def _numbers_of(lines: list[list[str]], place: Sequence[int | None]) -> NDArray[np.float64] | None:
    """Return the values (n, stored columns) of n lines at once; None where `_numbers` has to read them one by one."""
    try:
        texts = np.array([["" if i is None else line[i] for i in place] for line in lines])
        numbers = np.where(texts == "", "nan", texts).astype(np.float64)
    except (IndexError, ValueError):
        return None
    success, numbers = texts[:, 0], numbers[:, 1:]
    faces = success == "1"
    if not (faces | (success == "0")).all():
        return None
    for i, column in enumerate(_STORED):
        if not column.per_frame:
            numbers[~faces, i] = column.value_without_face
        rows = numbers[:, i] if column.per_frame else numbers[faces, i]
        allowed = (column.low <= rows) & (rows <= column.high)
        if column.optional:
            allowed |= (texts[:, i + 1] == "") if column.per_frame else (texts[faces, i + 1] == "")
        if column.type is int:
            allowed &= rows % 1 == 0
        if not allowed.all():
            return None
    sums = numbers[faces][:, _PROBABILITIES].sum(axis=1)
    return None if (np.abs(sums - 1) > MAX_SUM_ERROR).any() else numbers


def _table(numbers: NDArray[np.float64]) -> FrameTable:
    """A table of (R, stored columns) numbers."""
    columns: dict[str, NDArray[Any]] = {}
    for attribute in fields(FrameTable):
        own = [(i, column) for i, column in enumerate(_STORED) if column.field == attribute.name]
        values = numbers[:, [i for i, _ in own]].astype(own[0][1].type)
        columns[attribute.name] = values[:, 0] if own[0][1].position is None else values
    return FrameTable(**columns)


def _in_order(table: FrameTable, path: Path) -> FrameTable:
    """Return the rows sorted by frame and face. Raises DataError where they contradict each other."""
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
