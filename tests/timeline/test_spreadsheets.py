"""frames.csv after a spreadsheet program has saved it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tables import story_frames, write_frames

from ferwatch.errors import DataError
from ferwatch.timeline.table import FrameTable, read_frames_csv


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("rows") / "frames.csv", story_frames())


def same(one: FrameTable, other: FrameTable) -> bool:
    return all(np.array_equal(vars(one)[name], vars(other)[name], equal_nan=True) for name in vars(one))


def cells(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]


def joined(rows: list[list[str]], delimiter: str = ",", end: str = "\n") -> str:
    return "".join(delimiter.join(row) + end for row in rows)


def test_a_byte_order_mark_and_windows_line_ends(original: Path, tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    path.write_bytes(joined(cells(original), end="\r\n").encode("utf-8-sig"))
    assert same(read_frames_csv(path), read_frames_csv(original))


@pytest.mark.parametrize(("delimiter", "point"), [(";", "."), (";", ","), ("\t", ","), ("\t", ".")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_and_decimal_commas(
    original: Path, tmp_path: Path, delimiter: str, point: str, encoding: str
) -> None:
    path = tmp_path / "frames.csv"
    rows = [[cell.replace(".", point) for cell in row] for row in cells(original)]
    path.write_bytes(joined(rows, delimiter).encode(encoding))
    assert same(read_frames_csv(path), read_frames_csv(original))


def test_further_columns_another_order_and_empty_rows(original: Path, tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    rows = [[*row[5:], "note" if i == 0 else 'she "laughs"'[:2], *row[:5]] for i, row in enumerate(cells(original))]
    empty = [[""] * len(rows[0])]
    path.write_text(joined([*rows[:50], *empty, *rows[50:], *empty, *empty]))
    assert same(read_frames_csv(path), read_frames_csv(original))


def test_rows_that_were_sorted_otherwise(original: Path, tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    header, *rows = cells(original)
    path.write_text(joined([header, *sorted(rows, key=lambda row: row[9])]))
    assert same(read_frames_csv(path), read_frames_csv(original))


def test_trailing_empty_fields_may_be_left_out(original: Path, tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    lines = original.read_text().splitlines()
    path.write_text("\n".join(line.rstrip(",") for line in lines))
    assert same(read_frames_csv(path), read_frames_csv(original))


def test_a_table_of_before_durations_and_valence(original: Path, tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    path.write_text(joined([row[:18] for row in cells(original)]))
    table = read_frames_csv(path)
    assert same(table, read_frames_csv(original))
    assert np.isnan(table.duration).all()


def test_what_is_wrong_is_said(original: Path, tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    header, *rows = cells(original)

    def refused(*content: list[str]) -> str:
        path.write_text(joined([*content]))
        with pytest.raises(DataError) as error:
            read_frames_csv(path)
        return str(error.value).removeprefix(str(path))

    assert refused(["x", *header[1:]], *rows) == " is no frames.csv of ferwatch: it lacks the columns frame"
    assert refused([*header, "frame"]) == " has two columns of the name frame; delete one"
    assert refused(header, rows[0], rows[0]) == ": frame 0 has two rows of face 1; delete one"
    assert refused(header, rows[1], [rows[0][0], "yes", *rows[0][2:]]) == ", line 3: timestamp: 'yes' is no number"
    assert refused(header, [*rows[0][:3], "TRUE", *rows[0][4:]]) == ", line 2: success: 'TRUE' is neither 0 nor 1"
    assert refused(header, [*rows[0][:14], "", *rows[0][15:]]) == ", line 2: happy is empty"
    late = ["9999", "0.001", *rows[0][2:]]
    assert refused(header, *rows, late).startswith(": frame 9999 has the time 0.001 s, before that of frame 597")


@pytest.mark.parametrize("name", ["bom", "semi", "excelde", "extra", "reorder", "blank2"])
def test_real_files_of_excel(name: str) -> None:
    folder = Path(__file__).parents[3] / "shared" / "faults" / "excel_csv"
    if not folder.exists():
        pytest.skip("the files of Excel lie in ../shared/faults")
    table = read_frames_csv(folder / name / "frames.csv")
    assert len(table) == 24
    assert same(table, read_frames_csv(folder / "semi" / "frames.csv"))
