"""Opens a video for an analysis."""

from __future__ import annotations

from pathlib import Path

from ferwatch.errors import OptionError, VideoError
from ferwatch.pipeline.options import AnalysisOptions, check_region_in_picture
from ferwatch.pipeline.redraw import video_range
from ferwatch.utils.timecode import format_time
from ferwatch.video.file_source import FileSource
from ferwatch.video.source import FrameSource


def open_reader(video: Path, options: AnalysisOptions) -> FileSource:
    """Open a video for the frames that the options select.

    Raises VideoError, and OptionError where the region has no part in its pictures.
    """
    reader = video_range(video, options).open(options.sampling)
    try:
        check_region_in_picture(video, options.region, reader.info.width, reader.info.height)
    except OptionError:
        reader.close()
        raise
    return reader


def nothing_in_range(video: Path, source: FrameSource, options: AnalysisOptions) -> VideoError:
    """Return the error for a range that holds no picture."""
    if (duration := source.info.duration) is not None and options.start >= duration:
        return VideoError(
            f"{video} ends at {format_time(duration)}: there is nothing to analyse from {format_time(options.start)} on"
        )
    end = "the end" if options.end is None else format_time(options.end)
    return VideoError(f"{video} has no picture between {format_time(options.start)} and {end}")
