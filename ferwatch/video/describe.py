"""Describes a video file before its pictures are read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ferwatch.errors import VideoError
from ferwatch.video import hdr
from ferwatch.video.clock import container_start, has_times, rate_without_times
from ferwatch.video.container import VideoInfo, open_container
from ferwatch.video.picture import Geometry, PixelAspect, display_size, gray_bits
from ferwatch.video.sampling import ROUNDING
from ferwatch.video.scan import CHANGING_FORMATS, Scan, scan_stream

GRAY_PROBES = 8
"""Number of equal parts of a video between which its gray values are sampled."""


def describe(
    container: InputContainer,
    stream: VideoStream,
    first: VideoFrame,
    path: Path,
    aspect: PixelAspect,
    fps: float | None = None,
) -> tuple[VideoInfo, list[str]]:
    """Return what a file says about its pictures, and warnings about what it does not say.

    Where the size changes in mid-stream, width and height are those of the largest picture.

    Args:
        first: the first picture of the stream.
        fps: frames per second that the user gave for a file without times.
    Raises VideoError where the file has times of its own and `fps` is given.
    """
    warnings = []
    timed = has_times(container, first)
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    if timed and fps is not None:
        raise VideoError(f"{path} has times of its own, at {rate:g} frames a second; leave out --fps")
    if not timed:
        rate, guessed = (fps, False) if fps is not None else rate_without_times(stream)
        if guessed:
            warnings.append(f"it holds no times: {rate:g} frames a second is a guess; give the true rate with --fps")
    bits = gray_bits([first, *_probe(path, stream.index)]) if gray_bits([first]) else None
    if bits is not None and bits < 16:
        warnings.append(f"its 16-bit gray values use {bits} bits; they were scaled to the full range")
    shape = aspect.current()
    if (declared := aspect.declared()) != shape:
        warnings.append(
            f"its pixels are said to be {declared.numerator}:{declared.denominator}, which is taken for an error; "
            "they were treated as square"
        )
    orientation, (width, height) = Geometry.of(first, shape)
    scan = scan_stream(path, stream.index) if container.format.name in CHANGING_FORMATS else Scan()
    for size in scan.sizes:
        other = display_size(*size, shape)
        other = other[::-1] if orientation.transposed else other
        if other[0] * other[1] > width * height:
            width, height = other
    duration = container.duration / av.time_base if container.duration else 0.0
    start = float(container_start(container))
    held = float(scan.end) - start if timed else scan.packets / rate
    if "matroska" in container.format.name and duration - start > held - ROUNDING:
        duration -= start  # it is the time of the end on the file's own clock
    if scan.jumps:  # the container subtracts times of different clocks
        duration = held
    info = VideoInfo(
        path=path,
        width=width,
        height=height,
        fps=rate,
        frames_declared=_frames_declared(container, stream),
        duration=max(duration, held) or None,
        rotation=orientation.rotation,
        codec=stream.codec_context.codec.canonical_name,
        start_time=(container.start_time or 0) / av.time_base,
        has_audio=bool(container.streams.audio),
        timestamp_source="container" if timed else "index/fps",
        stream=stream.index,
        mirrored=orientation.mirrored,
        pixel_aspect=float(shape),
        dynamic_range=hdr.dynamic_range(first),
        gray_bits=bits,
        changes_size=len(scan.sizes) > 1,
        clock_jumps=tuple(scan.jumps),
    )
    return info, warnings


def _frames_declared(container: InputContainer, stream: VideoStream) -> int | None:
    """Return how many pictures the file declares; None where it does not say.

    FFmpeg drops from the list of an MP4's pictures those that its edit list neither shows nor needs.
    """
    if container.format.name == "ivf":  # it may count ticks
        return None
    listed = len(stream.index_entries) if "mp4" in container.format.name else 0
    return (min(stream.frames, listed) if listed else stream.frames) or None


def _probe(path: Path, index: int) -> list[VideoFrame]:
    """Return pictures of a stream from some places spread over the file."""
    found = []
    with open_container(path) as container:
        stream = container.streams[index]
        if not isinstance(stream, VideoStream) or not container.duration:
            return []
        for place in range(1, GRAY_PROBES):
            with suppress(av.FFmpegError, StopIteration):
                container.seek(container.duration * place // GRAY_PROBES + (container.start_time or 0))
                found.append(next(iter(container.decode(stream))))
    return found
