"""The errors that ferwatch raises; each message is one line that names the file, the cause and the remedy."""

from __future__ import annotations

MAX_SHOWN = 60
"""Longest value in a message, in characters."""


def shown(value: object) -> str:
    """Return a value as a message shows it: in one line, and not all of a long one."""
    text = " ".join(repr(value).split())
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


class FerwatchError(Exception):
    """The base class of all errors that ferwatch raises on purpose.

    The message is one line, also where a file's name or what another program says holds more.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(" ".join(filter(None, map(str.strip, message.splitlines()))))


class OptionError(FerwatchError):
    """An option is unknown, has a value that it cannot have, or contradicts another one."""


class VideoError(FerwatchError):
    """A video cannot be opened, or none of its pictures decodes."""


class OutputError(FerwatchError):
    """An output cannot be written, or a run folder must not be overwritten."""


class WeightsError(FerwatchError):
    """Weights are missing, damaged, or belong to another network."""


class DataError(FerwatchError):
    """A picture, data set or table cannot be read; the message names the file or the line."""
