import pytest

from ferwatch.utils.timecode import format_time, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("83.5", 83.5), (".25", 0.25), ("90", 90), (" 7 ", 7),
        ("1:23.5", 83.5), ("00:05", 5), ("75:00", 4500), ("90:00", 5400), ("1:75:00", None), ("59:59.999", 3599.999),
        ("1:02:03", 3723), ("10:00:00.500", 36000.5), ("123:00:00", 442800),
    ],
)  # fmt: skip
def test_parse_time(text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="is no time"):
            parse_time(text)
    else:
        assert parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "abc", "-1", "1:60", "1:2:3:4", "1,5", "nan", "inf", "1e3", "1:-2", "٣", ":30"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.000"), (83.5, "1:23.500"), (59.9996, "1:00.000"), (3723, "1:02:03.000"), (-0.0001, "0:00.000")],
)
def test_format_time(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


def test_what_is_formatted_is_parsed_back() -> None:
    for seconds in (0.001, 12.345, 599.999, 3600.0, 86399.5):
        assert parse_time(format_time(seconds)) == pytest.approx(seconds, abs=1e-9)
