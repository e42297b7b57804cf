"""Draws annotated.mp4: the source's frames with each face's box, label and chart, as a whole or a segment of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from statistics import median

import av

from ferwatch.errors import OutputError
from ferwatch.records import BoundingBox, FaceResult, Frame
from ferwatch.render.draw import ChartPlaces, draw
from ferwatch.render.overlay import Overlay
from ferwatch.utils.files import atomic_write
from ferwatch.utils.url import Url
from ferwatch.video.container import VideoInfo, choose_stream, open_container
from ferwatch.video.encoding import (
    CLOCK,
    REORDERED_PICTURES,
    EncodedPicture,
    Encoding,
    to_picture,
    write_packets,
)
from ferwatch.video.index import VideoSegment
from ferwatch.video.segment_reader import SegmentReader, kept_reader
from ferwatch.video.source import VideoRange
from ferwatch.video.writer import annotated_video

SKIPPED_PICTURES, MEASURED_PICTURES = 10, 16
"""Numbers of pictures by which drawing_seconds measures: the first ones, for which memory is allocated, take longer."""


def annotate_video(
    source: VideoRange, overlay: Overlay, out: Path, progress: Callable[[int], None] | None = None
) -> list[str]:
    """Write every frame of a range of a video with the overlay, and the sound of that range, in one pass.

    Time 0 of the new file is the start of the range. Returns warnings about damage of the source, and about what could
    not be kept of it, one line each. Raises VideoError and OutputError.

    Args:
        out: the file to write.
        progress: called with the number of frames that are done.
    """
    with source.open() as reader, annotated_video(out, reader.info, source.start, source.end) as writer:
        drawn = overlay.draw(reader, (reader.info.width, reader.info.height))
        for done, (frame, picture) in enumerate(drawn, start=1):
            writer.write(picture, frame.timestamp, frame.duration)
            if progress is not None:
                progress(done)
        return [*reader.warnings, *writer.warnings]


def drawing_seconds(video: Path, info: VideoInfo, segment: VideoSegment) -> float:
    """Return the processor time of a picture of an annotated video, with one face, measured on a segment's first ones.

    Raises IndexMismatch where the segment does not hold the frames that the index promises, and VideoError.
    """
    with open_container(video) as container:
        encoding = Encoding.of(choose_stream(container, video, info.stream)[0], info)
    face = FaceResult(
        1, 1.0, BoundingBox(0.4 * info.width, 0.3 * info.height, 0.2 * info.width, 0.4 * info.height), (1 / 7,) * 7
    )
    times: list[float] = []
    places: ChartPlaces = {}

    def pictures(frames: Iterator[Frame]) -> Iterator[tuple[av.VideoFrame, int]]:
        for frame in islice(frames, SKIPPED_PICTURES + MEASURED_PICTURES):
            times.append(time.thread_time())
            yield to_picture(draw(frame.image, [face], places)), round(frame.timestamp / CLOCK)

    with closing(SegmentReader(video, info)) as reader:
        for _ in encoding.encode(pictures(reader.read(segment))):
            pass
    # The encoder takes turns between a picture and the two that it reorders. The median leaves out a disturbance.
    starts = times[SKIPPED_PICTURES :: REORDERED_PICTURES + 1]
    groups = [after - before for before, after in pairwise(starts)]
    return median(groups) / (REORDERED_PICTURES + 1) if groups else 0.0


@dataclass(frozen=True)
class FilmTask:
    """One segment of an annotated video, for a worker."""

    video: Path | Url
    info: VideoInfo
    segment: VideoSegment
    """Every frame of it is a sample."""
    ticks: tuple[int, ...]
    """Times of its frames in the film."""
    overlay: Overlay
    encoding: Encoding
    file: Path | None
    """File to which the packets of the finished segment are written; None: they are returned."""


def annotate_segment(
    task: FilmTask, progress: Callable[[int], None] = lambda done: None, reader: SegmentReader | None = None
) -> list[EncodedPicture] | None:
    """Draw and encode a segment of an annotated video in one thread.

    Writes its packets to the task's file, or returns them. Raises IndexMismatch where the segment does not hold the
    frames that the index promises, and OutputError.

    Args:
        progress: called with the number of frames that are done.
        reader: None: that of a worker, which it keeps for its next task.
    """
    frames = (reader or kept_reader(task.video, task.info)).read(task.segment)
    drawn = task.overlay.draw(frames, (task.info.width, task.info.height))

    def pictures() -> Iterator[tuple[av.VideoFrame, int]]:
        for done, ((_, picture), ticks) in enumerate(zip(drawn, task.ticks, strict=True), start=1):
            yield picture, ticks
            progress(done)

    try:
        packets = task.encoding.encode(pictures())
        if task.file is None:
            return list(packets)
        with atomic_write(task.file) as temp_path:
            write_packets(temp_path, packets)
    except av.FFmpegError as error:
        raise OutputError(f"cannot write {task.file or 'annotated.mp4'}: {error.strerror}") from error
    return None
