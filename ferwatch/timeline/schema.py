"""The schema of frames.csv: one list of columns makes the header, the rows, the parser, Parquet and JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import OptionError, shown
from ferwatch.records import EMOTIONS, FaceResult, FrameResult, valence_of

if TYPE_CHECKING:
    from ferwatch.timeline.table import FrameTable

MAX_VALUE = 1e9
"""The largest frame number, time in seconds, face id or pixel that a table may hold."""


@dataclass(frozen=True)
class Column:
    """One column of frames.csv: makes its header, its text, its parser, and its place in Parquet and JSON."""

    name: str
    type: type[int] | type[float] | type[bool] | type[str]
    format: str
    """Format specification of the text in frames.csv."""
    source: Callable[[Any], Any]
    """Function that returns the column's value of a FrameResult (`per_frame`) or of a FaceResult."""
    field: str
    """Attribute of FrameTable that holds the column; "" for a registered signal, which is computed from the rows."""
    position: int | None = None
    """Index within the rows of a two-dimensional attribute."""
    per_frame: bool = False
    """True if the value belongs to the frame, and is given without a face too."""
    derived: bool = False
    """True if the column follows from the others, so that the reader passes over it."""
    without_face: str = ""
    """Text in the row of a frame without a face."""
    optional: bool = False
    """True if the column may be missing, as in tables of earlier versions, and its fields empty."""
    low: float = -MAX_VALUE
    """Smallest value that the reader accepts."""
    high: float = MAX_VALUE
    """Largest value that the reader accepts."""

    @property
    def is_null_without_face(self) -> bool:
        """True if frames without a face leave the column empty."""
        return not self.per_frame and not self.without_face

    @property
    def value_without_face(self) -> float:
        """Value in a table where a frame shows no face."""
        return 0.0 if self.type is int else math.nan

    def text(self, frame: FrameResult, face: FaceResult | None) -> str:
        """Return the text of the column in frames.csv for one face, or for a frame without a face."""
        if face is None and not self.per_frame:
            return self.without_face
        value = self.source(frame if self.per_frame else face)
        return "" if value is None else format(value, self.format)

    def text_of(self, value: Any, has_face: bool) -> str:
        """Return the text of the column in frames.csv for a value of a FrameTable."""
        if not has_face and not self.per_frame:
            return self.without_face
        return "" if self.optional and math.isnan(value) else format(value, self.format)

    def values(self, table: FrameTable) -> NDArray[Any]:
        """Return the column's values (R,) in a FrameTable."""
        if not self.field:
            return np.array([math.nan if face is None else self.source(face) for face in table.faces()])
        column: NDArray[Any] = getattr(table, self.field)
        return column if self.position is None else column[:, self.position]

    def parse(self, text: str) -> float:
        """Return the number that a field of frames.csv holds; NaN where an optional column is empty.

        Raises ValueError where it is no number, none of the column's type, or out of its range.
        """
        if self.optional and not text:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{self.name}: {shown(text)} is no number" if text else f"{self.name} is empty") from None
        if not self.low <= value <= self.high:  # nor is NaN
            raise ValueError(f"{self.name}: {text} does not lie between {self.low:g} and {self.high:g}")
        if self.type is int and not value.is_integer():
            raise ValueError(f"{self.name}: {text} is no whole number")
        return value


def _probability(position: int) -> Column:
    def source(face: FaceResult) -> float:
        return face.probabilities[position]

    return Column(EMOTIONS[position], float, ".4f", source, "probabilities", position, low=0, high=1)


def _valence(face: FaceResult) -> float:
    # Computed from the rounded probabilities of frames.csv, so that the column follows from the others.
    return float(valence_of(np.array([round(p, 4) for p in face.probabilities])))


SCHEMA = [
    Column("frame", int, "d", attrgetter("index"), "frame", per_frame=True, low=0),
    Column("timestamp", float, ".3f", attrgetter("timestamp"), "timestamp", per_frame=True),
    Column("face_id", int, "d", attrgetter("face_id"), "face_id", low=1),
    Column("success", bool, "d", lambda face: True, "success", without_face="0", derived=True),
    Column("detection_score", float, ".3f", attrgetter("score"), "score"),
    Column("box_x", float, ".1f", lambda face: face.bbox[0], "bbox", 0),
    Column("box_y", float, ".1f", lambda face: face.bbox[1], "bbox", 1),
    Column("box_w", float, ".1f", lambda face: face.bbox[2], "bbox", 2),
    Column("box_h", float, ".1f", lambda face: face.bbox[3], "bbox", 3),
    Column("emotion", str, "s", attrgetter("emotion"), "emotion", derived=True),
    Column("confidence", float, ".4f", attrgetter("confidence"), "confidence", derived=True),
    *(_probability(position) for position in range(len(EMOTIONS))),
    Column("duration", float, ".3f", attrgetter("duration"), "duration", per_frame=True, optional=True, low=0),
    Column("valence", float, ".4f", _valence, "valence", derived=True),
]
"""The columns of frames.csv in their order. New ones are appended at the end."""

COLUMNS = [column.name for column in SCHEMA]
"""The header of frames.csv."""


def register_signal(name: str, source: Callable[[FaceResult], float], format_spec: str = ".4f") -> None:
    """Append a column to frames.csv: a number for each face, which also goes into Parquet and JSON.

    Call it before a run begins. The value has to follow from the FaceResult alone, because it is computed again from
    the rows when a run is exported again.

    Args:
        name: the column's name.
        source: returns the value for a face.
        format_spec: format specification of the text in frames.csv.
    Raises OptionError where a column of that name exists.
    """
    if name in COLUMNS:
        raise OptionError(f"cannot register the signal {name}: frames.csv has a column of that name")
    SCHEMA.append(Column(name, float, format_spec, source, "", derived=True))
    COLUMNS.append(name)


def signals() -> list[Column]:
    """Return the columns that hold a derived number for each face: valence, and those that are registered."""
    return [column for column in SCHEMA if column.derived and column.field in ("valence", "")]


def rows_of_table(table: FrameTable) -> Iterator[list[str]]:
    """Yield the fields of every line of frames.csv for a table."""
    columns = [column.values(table).tolist() for column in SCHEMA]
    for values, has_face in zip(zip(*columns, strict=True), table.success.tolist(), strict=True):
        yield [column.text_of(value, has_face) for column, value in zip(SCHEMA, values, strict=True)]


def rows_of(frame: FrameResult) -> list[list[str]]:
    """Return the fields of the lines of frames.csv for one FrameResult."""
    return [[column.text(frame, face) for column in SCHEMA] for face in frame.faces or (None,)]
