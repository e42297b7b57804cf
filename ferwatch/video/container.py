"""Opening a video file: which files are videos, which picture stream is shown, and what the file says about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ferwatch.errors import VideoError
from ferwatch.utils.commands import command_line
from ferwatch.utils.url import Url
from ferwatch.video.clock import ClockJump

# What people record and download. Left out are pictures, text (FFmpeg draws it) and playlists, which name other files.
FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mxf,dv,gif,ivf,nut,rm,"
    "h264,hevc,m4v,mpegvideo,mjpeg,obu,vc1,yuv4mpegpipe"
)
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
"""Matches a URL such as https://example.org/v.mp4, also with the single slash that Path leaves of two; a Windows drive,
which has one letter, does not match."""
SINGLE_THREAD_PIXELS = 640 * 480
"""Pictures up to this size are decoded and encoded in one thread, which is faster than the rest of a run needs;
several threads cost a third more processor time."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Properties of a source's pictures, from the container and from its first picture."""

    path: Path
    """Path of the file; a name for pictures from memory."""
    width: int
    """Pixels of the upright picture as it is displayed: turned, and with square pixels."""
    height: int
    fps: float
    """Average frame rate."""
    frames_declared: int | None
    """Frames that the file's header promises; None where it does not say."""
    duration: float | None
    """Seconds that the file's header promises, or that its packets last where that is more; None where neither is
    known."""
    rotation: int
    """Degrees clockwise by which the stored picture is turned to be upright: 0, 90, 180 or 270."""
    codec: str
    start_time: float
    """Seconds on the file's own clock; timestamps count from here."""
    has_audio: bool
    timestamp_source: str
    """"container", or "index/fps" where the file carries no times."""
    stream: int = 0
    """Index of the picture stream among all streams of the file."""
    mirrored: bool = False
    """True if the stored picture is mirrored left to right before it is turned."""
    pixel_aspect: float = 1.0
    """Width of a stored pixel divided by its height."""
    dynamic_range: str = "SDR"
    """"SDR", or the transfer function of high dynamic range that is tone-mapped: "PQ" or "HLG"."""
    gray_bits: int | None = None
    """Bits that the values of 16-bit gray pictures really use; None for every other picture."""
    changes_size: bool = False
    """True if the size of the stored picture changes in mid-stream; width and height are then those of the largest."""
    clock_jumps: tuple[ClockJump, ...] = ()
    """Places at which the picture stream's clock starts again."""


def threads_for(width: int, height: int) -> int:
    """Return how many threads FFmpeg should use for pictures of this size; 0: as many as it likes."""
    return 1 if width * height <= SINGLE_THREAD_PIXELS else 0


def open_container(path: Path | Url) -> InputContainer:
    """Open a file for demuxing, and no other file or address that it may name.

    Raises VideoError where it is no video in one of FORMATS.
    """
    if isinstance(path, Url):
        return _open(path, path.open())
    try:
        file = path.stat()
    except FileNotFoundError:
        if address := _ADDRESS.match(str(path)):
            raise VideoError(
                f"{address[1]}://{address[2]} is an address: ferwatch fetches nothing from there; download the "
                "video and name the file"
            ) from None
        raise VideoError(f"{path} cannot be read: there is no such file") from None
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror}") from None
    if S_ISDIR(file.st_mode):
        raise VideoError(
            f"{path} cannot be read as a video: it is a folder; name one video in it, or analyse all "
            f"of them: ferwatch batch {command_line([str(path)])} --out DIR"
        )
    if not S_ISREG(file.st_mode):  # FFmpeg would wait for ever on a pipe that nobody writes to
        raise VideoError(f"{path} cannot be read as a video: it is a device or a pipe; save it to a file first")
    if not file.st_size:
        raise VideoError(f"{path} cannot be read: it is empty")
    return _open(path, f"file:{path}")


def _open(path: Path | Url, source: str | BinaryIO) -> InputContainer:
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        return av.open(source, "r", options=options, metadata_errors="replace")
    except av.ArgumentError:  # FFmpeg knows the format, and it is none of FORMATS
        raise VideoError(
            f"{path} cannot be read: it is no video but sound, a picture, text or a playlist, or a kind of video that "
            "ferwatch does not know; convert such a video to MP4 first"
        ) from None
    except av.FFmpegError as error:
        raise VideoError(
            f"{path} cannot be read: it is no video that FFmpeg knows, or its header is damaged or cut off "
            f"({error.strerror})"
        ) from None


def declared_seconds(path: Path) -> float:
    """Return how long a video's header says that it is; 0 where it does not say, or cannot be read."""
    try:
        with open_container(path) as container:
            return (container.duration or 0) / av.time_base
    except VideoError:
        return 0.0


def is_video(path: Path | str) -> bool:
    """Return whether a file holds a stream of pictures that FFmpeg can decode, whatever its name ends in."""
    try:
        with open_container(Path(path)) as container:
            return any(stream.codec_context is not None for stream in picture_streams(container))
    except VideoError:
        return False


def picture_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams that hold moving pictures: no cover art, no thumbnails."""
    stills = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & stills]


def choose_stream(
    container: InputContainer, path: Path | Url, index: int | None = None
) -> tuple[VideoStream, list[str]]:
    """Return the picture stream to read, and warnings about those that are left out.

    Args:
        index: index among all streams of the file; None: the stream that players show, which is the first one that
            is marked as default, or the first one where none is.
    Raises VideoError where there is no such stream, or no decoder for it.
    """
    streams = picture_streams(container)
    if not streams:
        held = "only sound" if container.streams.audio else "no video stream"
        raise VideoError(f"{path} cannot be read as a video: it holds {held}")
    warnings = []
    if index is None:
        default = av.stream.Disposition.default
        chosen = next((stream for stream in streams if stream.disposition & default), streams[0])
        if len(streams) > 1:
            warnings.append(
                f"it holds {len(streams)} video streams ({_indices(streams)}); stream {chosen.index} was read, as "
                "players do; --stream N reads another"
            )
    else:
        named = [stream for stream in streams if stream.index == index]
        if not named:
            raise VideoError(f"{path} has no video stream {index}; its video streams: {_indices(streams)}")
        chosen = named[0]
    if chosen.codec_context is None:
        raise VideoError(f"{path} cannot be read: FFmpeg has no decoder for its pictures; convert it to H.264 first")
    return chosen, warnings


def _indices(streams: Sequence[VideoStream]) -> str:
    return ", ".join(str(stream.index) for stream in streams)
