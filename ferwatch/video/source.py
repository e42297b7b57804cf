"""Opening a video file, and what it says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import av

from ferwatch.errors import VideoError

# What people record and download. Left out are pictures, text (FFmpeg draws it) and playlists, which name other files.
FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mxf,dv,gif,ivf,nut,rm,"
    "h264,hevc,m4v,mpegvideo,mjpeg,obu,vc1,yuv4mpegpipe"
)
SMALL = 640 * 480
"""Pixels. One thread decodes, or encodes, such pictures faster than the rest of a run can use them; several would
only cost a third more."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a file says of its video stream, and what its first frame shows."""

    path: Path
    width: int
    """Pixels, upright."""
    height: int
    fps: float
    """The average."""
    frames_declared: int | None
    duration: float | None
    """Seconds, as declared."""
    rotation: int
    """Degrees clockwise by which the stored picture was turned to be upright: 0, 90, 180 or 270."""
    codec: str
    start_time: float
    """Seconds on the file's own clock; timestamps count from here."""
    has_audio: bool
    timestamp_source: str
    """"container", or "index/fps" where the file carries no times."""


def threads_for(width: int, height: int) -> int:
    """How many threads FFmpeg should give to pictures of this size; 0: as many as it likes."""
    return 1 if width * height <= SMALL else 0


def open_video(path: Path) -> av.container.InputContainer:
    """Opens a file, and no other file or address that it may name, for demuxing.

    Raises VideoError where it is no video in one of FORMATS.
    """
    try:
        file = path.stat()
    except FileNotFoundError:
        raise VideoError(f"{path} cannot be read: there is no such file") from None
    except OSError as cause:
        raise VideoError(f"{path} cannot be read: {cause.strerror}") from None
    if S_ISDIR(file.st_mode):
        raise VideoError(f"{path} cannot be read as a video: it is a folder; name one video in it")
    if not S_ISREG(file.st_mode):  # FFmpeg would wait for ever on a pipe that nobody writes to
        raise VideoError(f"{path} cannot be read as a video: it is a device or a pipe; save it to a file first")
    if not file.st_size:
        raise VideoError(f"{path} cannot be read: it is empty")
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        return av.open(f"file:{path}", options=options, metadata_errors="replace")
    except av.FFmpegError as cause:
        raise VideoError(
            f"{path} cannot be read: it is no video that FFmpeg knows, or its header is damaged or cut off "
            f"({cause.strerror})"
        ) from None
