"""Times as people write them: seconds, or [HH:]MM:SS[.mmm]."""

from __future__ import annotations

import re

_CLOCK = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d*)?)", re.ASCII)
_SECONDS = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)


def parse_time(text: str) -> float:
    """Seconds of "83.5", "1:23.5" or "0:01:23.500".

    Raises ValueError where the text is neither; minutes and seconds after a colon are below 60.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    clock = _CLOCK.fullmatch(text)
    if not clock:
        raise ValueError(f"{text!r} is no time: give seconds (83.5) or [HH:]MM:SS[.mmm] (1:23.5)")
    hours, minutes, seconds = clock.groups(default="0")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def format_time(seconds: float) -> str:
    """83.5 -> "1:23.500", and from one hour on "1:02:03.000". Milliseconds are rounded; never negative."""
    milliseconds = max(0, round(seconds * 1000))
    minutes, milliseconds = divmod(milliseconds, 60_000)
    rest = f"{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"
