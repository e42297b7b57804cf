"""ferwatch turns a video into an emotion timeline."""

__version__ = "0.1.0"
