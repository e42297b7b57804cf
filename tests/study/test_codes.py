"""Codes as people's tools write them, and what is said of files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from codes_files import write_boris_events, write_boris_project, write_eaf, write_tsv

from ferwatch.errors import DataError
from ferwatch.study.codes import Code, read_codes

CODES = [(0.0, 1.25, "smile"), (1.25, 2.0, "neutral"), (3.0, 4.5, "smile")]
READ = (Code(0, 1250, "smile"), Code(1250, 2000, "neutral"), Code(3000, 4500, "smile"))


def test_elan_boris_and_tables_say_the_same(tmp_path: Path) -> None:
    files = {
        write_eaf(tmp_path / "a.eaf", CODES, "talk.mp4"): ("talk.mp4", "expression"),
        write_boris_project(tmp_path / "b.boris", CODES, "talk.mp4"): ("talk.mp4", "Anna"),
        write_boris_events(tmp_path / "c.tsv", CODES, "talk.mp4"): ("talk.mp4", "Anna"),
        write_tsv(tmp_path / "talk.tsv", CODES): ("talk", ""),
    }
    for path, (name, tier) in files.items():
        (recording,) = read_codes(path)
        assert recording.name == name
        assert [(c.start, c.end, c.label) for c in recording.codes] == [(c.start, c.end, c.label) for c in READ]
        assert recording.tiers == [tier]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffstart;end;label\n0;1,25;smile\n1,25;2;neutral\n3;4,5;smile\n".encode(),  # German Excel
        "Begin,End,Annotation\r\n0,1.25,smile\r\n1.25,2,neutral\r\n3,4.5,smile\r\n".encode("utf-16"),
        b"0\t1.25\tsmile\n1.25\t2\tneutral\n3\t4.5\tsmile\n",  # no header
        b"Start (s),Stop (s),Behavior\n0,1.25,smile\n1.25,2,neutral\n3,4.5,smile\n",  # BORIS, aggregated
        b"onset,offset,code\n0:00,0:01.250,smile\n0:01.25,0:02,neutral\n0:03,0:04.5,smile\n",
    ],
)
def test_tables_of_many_hands_are_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "talk.csv"
    path.write_bytes(content)
    (recording,) = read_codes(path)
    assert recording.codes == READ


def test_one_table_can_code_several_recordings(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text("file,start,end,label\na.mp4,0,1,happy\nb.mp4,0,2,sad\na.mp4,1,3,neutral\n")
    assert [(r.name, len(r.codes)) for r in read_codes(path)] == [("a.mp4", 2), ("b.mp4", 1)]


def test_what_cannot_be_used_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text(
        "Subject\tBehavior\tBehavior type\tTime\nAnna\tblink\tPOINT\t1\nAnna\tsmile\tSTART\t2\nAnna\tsmile\tSTOP\t3\n"
        "Anna\tfrown\tSTART\t4\n"
    )
    (recording,) = read_codes(path)
    assert recording.codes == (Code(2000, 3000, "smile", "Anna"),)
    assert recording.warnings == (
        "c.tsv: 1 code without a duration is left out",
        "c.tsv: 1 code with a start and no stop is left out",
    )


@pytest.mark.parametrize(
    ("events", "codes", "left_out"),
    [
        ("2 STOP, 5 START, 7 STOP, 9 START, 10 STOP", [(5, 7), (9, 10)], ["1 code with a stop and no start"]),
        ("2 START, 5 START, 7 STOP, 9 START, 10 STOP", [(5, 7), (9, 10)], ["1 code with a start and no stop"]),
        ("2 START, 3 STOP, 4 STOP, 5 START, 6 STOP", [(2, 3), (5, 6)], ["1 code with a stop and no start"]),
        ("2 START, 4 START, 4 STOP, 6 STOP", [(2, 4), (4, 6)], []),
    ],
)
def test_a_missing_start_or_stop_turns_no_gap_into_a_code(
    tmp_path: Path, events: str, codes: list[tuple[int, int]], left_out: list[str]
) -> None:
    path = tmp_path / "c.tsv"
    lines = ["Subject\tBehavior\tBehavior type\tTime"]
    lines += [f"Anna\tsmile\t{kind}\t{time}" for time, kind in (event.split() for event in events.split(", "))]
    path.write_text("\n".join(lines))
    (recording,) = read_codes(path)
    assert [(code.start // 1000, code.end // 1000) for code in recording.codes] == codes
    assert recording.warnings == tuple(f"c.tsv: {reason} is left out" for reason in left_out)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "start,end\n0,1\n", "lacks the columns label"),
        ("a.csv", "start,end,label\n0,1,happy\n1,x,sad\n", "line 3: 'x' is no time"),
        ("a.csv", "start,end,label\n2,1,happy\n", "ends at 1 s, before it starts at 2 s"),
        ("a.csv", "", "is empty"),
        ("a.csv", "start,end,label\n", "holds no codes"),
        ("a.eaf", "<nothing/>", "is no ELAN document"),
        ("a.boris", "{}", "is no BORIS project"),
    ],
)
def test_a_damaged_file_is_named_with_its_cause(tmp_path: Path, name: str, content: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=said) as raised:
        read_codes(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.eaf cannot be read"):
        read_codes(tmp_path / "none.eaf")
