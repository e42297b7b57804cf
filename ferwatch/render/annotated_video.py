"""Writes annotated.mp4: the source's frames with each face's box, label and chart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import av

from ferwatch.records import Frame
from ferwatch.render.overlay import Overlay, OverlayDrawer
from ferwatch.utils.prefetch import prefetch
from ferwatch.video.picture import letterbox
from ferwatch.video.source import open_source
from ferwatch.video.writer import annotated_video, to_picture


def annotate_video(
    video: Path,
    overlay: Overlay,
    out: Path,
    *,
    start: float = 0.0,
    end: float | None = None,
    decoder: Literal["ffmpeg", "opencv"] = "ffmpeg",
    stream: int | None = None,
    fps: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Write every source frame between two times, with the overlay drawn in, and the sound of that range.

    Time 0 of the new file is `start`. Returns warnings about what could not be kept of the source, one line each.
    Raises VideoError and OutputError.

    Args:
        video: the source.
        overlay: what is drawn on its frames.
        out: the file to write.
        start: seconds.
        end: seconds; None: to the end.
        decoder: as for the analysis, like `stream` and `fps`.
        stream: index of the video stream.
        fps: frames a second of a raw stream.
        progress: called with the number of frames done since its last call.
    """
    with (
        open_source(video, decoder=decoder, start=start, end=end, stream=stream, fps=fps) as reader,
        annotated_video(out, reader.info, start, end) as writer,
    ):
        drawn = _drawn(reader, overlay, (reader.info.width, reader.info.height))
        # Decoding and drawing take about as long as encoding, so each has a thread.
        with closing(prefetch(drawn)) as pictures:
            for picture, timestamp, duration in pictures:
                writer.write(picture, timestamp, duration)
                if progress is not None:
                    progress(1)
        return writer.warnings


def _drawn(
    frames: Iterable[Frame], overlay: Overlay, size: tuple[int, int]
) -> Iterator[tuple[av.VideoFrame, float, float | None]]:
    """Yield each frame with the overlay drawn in: a picture to encode, and its time and duration in seconds.

    size: width and height of the pictures.
    """
    drawer = OverlayDrawer(overlay)
    for frame in frames:
        image = letterbox(frame.image, frame.placement, size)
        drawer.draw(image, frame.timestamp)
        yield to_picture(image), frame.timestamp, frame.duration
