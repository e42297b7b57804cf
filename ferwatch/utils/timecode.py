"""Parses and formats times: seconds, or [HH:]MM:SS[.mmm]."""

from __future__ import annotations

import re

from ferwatch.errors import shown

_CLOCK = re.compile(r"(?:(?:(\d+):)?([0-5]?\d)|(\d+)):([0-5]?\d(?:\.\d*)?)", re.ASCII)
_SECONDS = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)


def parse_time(text: str) -> float:
    """Return the seconds of a time written as "83.5", "1:23.5" or "0:01:23.500".

    Raises ValueError where the text is none of these; minutes and seconds after a colon are below 60.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    clock = _CLOCK.fullmatch(text)
    if not clock:
        raise ValueError(f"{shown(text)} is no time: give seconds (83.5) or [HH:]MM:SS[.mmm] (1:23.5)")
    hours, minutes, many_minutes, seconds = clock.groups(default="0")
    return 3600 * int(hours) + 60 * (int(minutes) + int(many_minutes)) + float(seconds)


def format_time(seconds: float, decimals: int = 3) -> str:
    """Return a time as m:ss.mmm ("1:23.500"), from one hour on as h:mm:ss.mmm ("1:02:03.000"). Never negative.

    Args:
        seconds: rounded to `decimals`.
        decimals: digits after the point; with 0 there is no point.
    """
    units = max(0, round(seconds * 10**decimals))
    whole, fraction = divmod(units, 10**decimals)
    minutes, second = divmod(whole, 60)
    rest = f"{second:02d}.{fraction:0{decimals}d}" if decimals else f"{second:02d}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def format_cue(seconds: float, point: str = ".") -> str:
    """Return a time as hh:mm:ss.mmm, as in subtitles; `point` separates the milliseconds."""
    minutes, milliseconds = divmod(max(0, round(seconds * 1000)), 60_000)
    second, fraction = divmod(milliseconds, 1000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{point}{fraction:03d}"
