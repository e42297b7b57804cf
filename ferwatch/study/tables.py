"""Writes the tidy tables of a study, which R and pandas read as they are."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ferwatch.errors import DataError
from ferwatch.study.participants import COMMON_MEASURES, MEASURES, Row
from ferwatch.study.recordings import StudyRecording
from ferwatch.timeline.schema import SCHEMA, Column
from ferwatch.timeline.table import FrameTable
from ferwatch.utils.files import atomic_write

DECIMALS = 6
"""Decimals of the numbers in a study's tables."""


EVENT_COLUMNS = ("event", "time", "bin_start", "bin_end", "curve", "rows", "mean", "mean_before", "change")
"""Columns of events.csv after those of the recording, the participant and the conditions."""

EPISODE_COLUMNS = (
    *("emotion", "start", "end", "duration"),
    *("mean_confidence", "peak_time", "peak_confidence"),
)
"""Columns of episodes.csv after those of the recording, the participant and the conditions."""

TABLE_COLUMNS = {
    *("recording", "participant"),
    *(column.name for column in SCHEMA),
    *EVENT_COLUMNS,
    *EPISODE_COLUMNS,
    *("run", "face_id", "start", "end", "frames", "frames_with_face", "episodes", "baseline"),  # recordings.csv
    *("emotion", *MEASURES, *COMMON_MEASURES),  # participants.csv
}
"""Names of the columns of every table that has columns of conditions."""


class RowsWriter:
    """Writes rows.csv, and rows.parquet where pyarrow is installed, one recording after the other."""

    def __init__(self, csv_path: Path, parquet_path: Path | None, conditions: Sequence[str]) -> None:
        self._head = ("recording", "participant", *conditions)
        self._file = open(csv_path, "w", encoding="utf-8", newline="")  # noqa: SIM115
        self._out = csv.writer(self._file, lineterminator="\n")
        self._out.writerow((*self._head, *(column.name for column in SCHEMA)))
        self._parquet: Any = None
        if parquet_path is not None:
            import pyarrow.parquet as parquet

            self._parquet = parquet.ParquetWriter(parquet_path, self._schema())

    def write(self, recording: StudyRecording, table: FrameTable) -> None:
        """Appends one recording's rows: one per sampled frame."""
        head = (recording.plan.name, recording.plan.participant, *recording.plan.conditions)
        seen = table.success.tolist()
        columns = [_texts(column, table, seen) for column in SCHEMA]
        self._out.writerows((*head, *fields) for fields in zip(*columns, strict=True))
        if self._parquet is not None:
            import pyarrow as pa

            arrays = [pa.array([text] * len(table), pa.string()) for text in head]
            for column in SCHEMA:
                mask = ~table.success if column.is_null_without_face else None
                arrays.append(pa.array(column.values(table), _arrow_type(column), mask=mask, from_pandas=True))
            self._parquet.write_table(pa.Table.from_arrays(arrays, schema=self._schema()))

    def close(self) -> None:
        """Completes both files."""
        self._file.close()
        if self._parquet is not None:
            self._parquet.close()

    def _schema(self) -> Any:
        import pyarrow as pa

        texts = [(name, pa.string()) for name in self._head]
        return pa.schema([*texts, *((column.name, _arrow_type(column)) for column in SCHEMA)])


@contextmanager
def rows_writer(out: Path, conditions: Sequence[str]) -> Iterator[RowsWriter]:
    """Yields a writer of rows.csv and rows.parquet, which appear whole at the end. Raises OutputError."""
    parquet = out / "rows.parquet"
    if find_spec("pyarrow") is None:
        parquet.unlink(missing_ok=True)  # of an earlier study: it would not hold the same rows
        with atomic_write(out / "rows.csv") as temp_csv:
            writer = RowsWriter(temp_csv, None, conditions)
            try:
                yield writer
            finally:
                writer.close()
        return
    with atomic_write(out / "rows.csv") as temp_csv, atomic_write(parquet) as temp_parquet:
        writer = RowsWriter(temp_csv, temp_parquet, conditions)
        try:
            yield writer
        finally:
            writer.close()


def write_table(path: Path, rows: Sequence[Row], header: Sequence[str] = ()) -> Path:
    """Writes rows as CSV; an undefined number is an empty field. header: the column names where there are no rows.

    Raises OutputError where the disk refuses.
    """
    with atomic_write(path) as temp_path, open(temp_path, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        names = list(rows[0]) if rows else list(header)
        out.writerow(names)
        out.writerows([_text(row[name]) for name in names] for row in rows)
    return path


def episode_rows(recordings: Sequence[StudyRecording], conditions: Sequence[str]) -> list[Row]:
    """Returns one row per episode of every recording's participant."""
    return [
        {
            "recording": recording.plan.name,
            "participant": recording.plan.participant,
            **dict(zip(conditions, recording.plan.conditions, strict=True)),
            "emotion": e.emotion,
            "start": e.start,
            "end": e.end,
            "duration": e.end - e.start,
            "mean_confidence": e.mean_confidence,
            "peak_time": e.peak_time,
            "peak_confidence": e.peak_confidence,
        }
        for recording in recordings
        for e in recording.episodes
    ]


def recording_rows(recordings: Sequence[StudyRecording], conditions: Sequence[str]) -> list[Row]:
    """Returns one row per recording: where its run lies, which face it is about, and what was found there."""
    return [
        {
            "recording": r.plan.name,
            "participant": r.plan.participant,
            **dict(zip(conditions, r.plan.conditions, strict=True)),
            "run": r.run,
            "face_id": "" if r.face_id is None else r.face_id,
            "start": r.start,
            "end": r.end,
            "frames": r.totals.frames,
            "frames_with_face": r.totals.rows,
            "episodes": len(r.episodes),
            "baseline": r.baseline,
        }
        for r in recordings
    ]


def check_names(plan_file: Path, conditions: Sequence[str]) -> None:
    """Raises DataError where a condition has the name of a column that the tables have already."""
    for name in conditions:
        if name in TABLE_COLUMNS:
            raise DataError(
                f"{plan_file}: the column {name} has the name of a column of the study's tables; give it another name, "
                f"such as condition_{name}"
            )


def _texts(column: Column, table: FrameTable, seen: Sequence[bool]) -> list[str]:
    values = column.values(table).tolist()
    return [column.text_of(value, there) for value, there in zip(values, seen, strict=True)]


def _arrow_type(column: Column) -> Any:
    import pyarrow as pa

    return {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}[column.type]


def _text(value: str | int | float) -> str | int:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{round(value, DECIMALS) + 0.0:.10g}"  # no -0
    return value
