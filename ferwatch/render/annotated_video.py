"""annotated.mp4: the source's frames with each face's box, label and chart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import av

from ferwatch.records import Frame
from ferwatch.render.draw import Sides, blur, draw
from ferwatch.render.interpolate import FaceInterpolator
from ferwatch.timeline.table import FrameTable
from ferwatch.utils.prefetch import prefetch
from ferwatch.video.picture import letterbox
from ferwatch.video.source import open_source
from ferwatch.video.writer import annotated_video, to_picture


def annotate_video(
    video: Path,
    table: FrameTable,
    out: Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    blur_faces: bool = False,
    decoder: Literal["ffmpeg", "opencv"] = "ffmpeg",
    stream: int | None = None,
    fps: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Write every source frame between two times, with the table's faces drawn in, and the sound of that range.

    `decoder`, `stream` and `fps` are those of the analysis. Time 0 of the new file is `start`. `progress` is called
    with the number of frames done since its last call.
    Returns what could not be kept of the source, one line each. Raises VideoError and OutputError.
    """
    with (
        open_source(video, decoder=decoder, start=start, end=end, stream=stream, fps=fps) as reader,
        annotated_video(out, reader.info, start, end) as writer,
    ):
        # Decoding and drawing take about as long as encoding, so each has a thread.
        with closing(prefetch(_drawn(reader, table, blur_faces, (reader.info.width, reader.info.height)))) as pictures:
            for picture, timestamp, duration in pictures:
                writer.write(picture, timestamp, duration)
                if progress is not None:
                    progress(1)
        return writer.warnings


def _drawn(
    frames: Iterable[Frame], table: FrameTable, blur_faces: bool, size: tuple[int, int]
) -> Iterator[tuple[av.VideoFrame, float, float | None]]:
    """Yield each frame with the table's faces drawn in, as a picture of that width and height to encode, with its time
    and its duration in seconds."""
    shown, hidden = FaceInterpolator(table), FaceInterpolator.for_blur(table)
    sides: Sides = {}
    for frame in frames:
        image = letterbox(frame.image, frame.placement, size)
        if blur_faces:
            blur(image, (face.bbox for face in hidden.at(frame.timestamp)))
        yield to_picture(draw(image, shown.at(frame.timestamp), sides)), frame.timestamp, frame.duration
