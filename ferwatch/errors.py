"""The errors that ferwatch raises; each message is one line that names the file, the cause and the remedy."""

from __future__ import annotations


class FerwatchError(Exception):
    """The base class of all errors that ferwatch raises on purpose."""


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
