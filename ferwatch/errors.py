"""The errors that ferwatch raises; each message is one line that names the file, the cause and the remedy."""

from __future__ import annotations


class FerwatchError(Exception):
    """What ferwatch could not do, as one line that names the file, the cause and the remedy."""


class VideoError(FerwatchError):
    """A video that cannot be opened or holds no picture that decodes."""


class OutputError(FerwatchError):
    """An output that cannot be written, or a run folder that must not be overwritten."""


class WeightsError(FerwatchError):
    """Weights that are missing, damaged, or not those of the network they are loaded into."""


class DataError(FerwatchError):
    """A data set or a table that is not in the form it should be; names the line or the file."""
