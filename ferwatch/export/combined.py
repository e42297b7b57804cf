"""Writes the rows of many runs as one table; the first column names the run, the last the video."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from ferwatch.errors import DataError, OutputError
from ferwatch.timeline.schema import COLUMNS, SCHEMA, rows_of_table
from ferwatch.timeline.table import read_frames_csv
from ferwatch.utils.files import atomic_write


def write_all_frames(folder: Path, runs: Mapping[str, tuple[Path, str]]) -> dict[str, str]:
    """Write all-frames.csv, and where pyarrow is installed all-frames.parquet.

    One run after the other, each read first, and then copied line by line.

    Args:
        runs: name of the run -> its frames.csv, and the path of its video for the column `path`.
    Returns the runs that are left out, with the cause: their frames.csv cannot be read. Raises OutputError where a file
    cannot be written, and where all-frames.parquet cannot hold a row that was copied.
    """
    left_out = {}
    table = folder / "all-frames.csv"
    with atomic_write(table) as temp_path, open(temp_path, "w", encoding="utf-8", newline="") as out:
        header = ",".join(COLUMNS) + "\n"
        out.write(f"video,{header.rstrip()},path\n")
        for name, (rows, path) in runs.items():
            field, end = _quoted(name), f",{_quoted(path)}\n"
            try:
                table_of_run = read_frames_csv(rows)
            except DataError as error:
                left_out[name] = str(error)
                continue
            with open(rows, encoding="utf-8", errors="replace", newline="") as file:
                if next(file, "") == header:
                    out.writelines(f"{field},{line.rstrip()}{end}" for line in file)
                    continue
            # The table of an earlier version, or one that a spreadsheet program has saved.
            out.writelines(f"{field},{','.join(row)}{end}" for row in rows_of_table(table_of_run))
    columns = folder / "all-frames.parquet"
    if find_spec("pyarrow") is None:
        columns.unlink(missing_ok=True)  # of an earlier batch: it would not hold the same rows
        return left_out
    from pyarrow import ArrowInvalid

    try:
        _write_parquet(columns, table)
    except ArrowInvalid as error:
        raise OutputError(f"cannot write {columns}: a row of {table.name} is damaged ({error})") from None
    return left_out


def _quoted(name: str) -> str:
    """A name as a CSV field, quoted where it must be."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([name])
    return text.getvalue()


def _write_parquet(path: Path, table: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as parquet

    arrow = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    types = {"video": pa.string(), **{column.name: arrow[column.type] for column in SCHEMA}, "path": pa.string()}
    # A video may be called NA or null.
    options = arrow_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
    with (
        arrow_csv.open_csv(table, convert_options=options) as batches,
        atomic_write(path) as temp_path,
        parquet.ParquetWriter(temp_path, pa.schema(list(types.items()))) as out,
    ):
        for batch in batches:
            out.write_batch(batch)
