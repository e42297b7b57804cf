"""Writes annotated.mp4: the source's frames with each face's box, label and chart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import av

from ferwatch.records import Episode, Frame
from ferwatch.render.draw import ChartPlaces, blur, draw
from ferwatch.render.interpolate import EpisodeLabels, FaceInterpolator
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
    episodes: Sequence[Episode] = (),
    charts: bool = True,
    blur_faces: bool = False,
    decoder: Literal["ffmpeg", "opencv"] = "ffmpeg",
    stream: int | None = None,
    fps: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Write every source frame between two times, with the table's faces drawn in, and the sound of that range.

    Time 0 of the new file is `start`. Returns warnings about what could not be kept of the source, one line each.
    Raises VideoError and OutputError.

    Args:
        video: the source.
        table: the rows of its run.
        out: the file to write.
        start: seconds.
        end: seconds; None: to the end.
        episodes: while a face has one, its label is that of the episode, as in the timeline.
        charts: whether to draw charts of the probabilities.
        blur_faces: whether to make faces unrecognisable.
        decoder: as for the analysis, like `stream` and `fps`.
        stream: index of the video stream.
        fps: frames a second of a raw stream.
        progress: called with the number of frames done since its last call.
    """
    with (
        open_source(video, decoder=decoder, start=start, end=end, stream=stream, fps=fps) as reader,
        annotated_video(out, reader.info, start, end) as writer,
    ):
        size = reader.info.width, reader.info.height
        drawn = _drawn(reader, table, size, EpisodeLabels(episodes), charts=charts, blur_faces=blur_faces)
        # Decoding and drawing take about as long as encoding, so each has a thread.
        with closing(prefetch(drawn)) as pictures:
            for picture, timestamp, duration in pictures:
                writer.write(picture, timestamp, duration)
                if progress is not None:
                    progress(1)
        return writer.warnings


def _drawn(
    frames: Iterable[Frame],
    table: FrameTable,
    size: tuple[int, int],
    labels: EpisodeLabels,
    *,
    charts: bool,
    blur_faces: bool,
) -> Iterator[tuple[av.VideoFrame, float, float | None]]:
    """Yield each frame with the table's faces drawn in: a picture to encode, and its time and duration in seconds.

    size: width and height of the pictures.
    """
    shown, hidden = FaceInterpolator(table), FaceInterpolator.for_blur(table)
    places: ChartPlaces = {}
    for frame in frames:
        image = letterbox(frame.image, frame.placement, size)
        if blur_faces:
            blur(image, (face.bbox for face in hidden.at(frame.timestamp)))
        faces = shown.at(frame.timestamp)
        draw(image, faces, places, labels=labels.at(frame.timestamp), charts=charts)
        yield to_picture(image), frame.timestamp, frame.duration
