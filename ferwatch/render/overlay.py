"""Overlay: what annotated.mp4 shows on the frames of a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256

import av

from ferwatch.records import Episode, Frame
from ferwatch.render.draw import ChartPlaces, blur, draw
from ferwatch.render.interpolate import EpisodeLabels, FaceInterpolator
from ferwatch.timeline.table import FrameTable
from ferwatch.video.encoding import to_picture
from ferwatch.video.picture import letterbox


@dataclass(frozen=True)
class Overlay:
    """The boxes, labels and charts of a video's faces at any time; faces may be blurred. Made by `Overlay.of`."""

    shown: FaceInterpolator
    hidden: FaceInterpolator | None
    """The faces to be made unrecognisable; None: no face is."""
    labels: EpisodeLabels
    charts: bool
    digest: str
    """Names what is shown: equal for equal overlays alone."""

    @classmethod
    def of(
        cls, table: FrameTable, episodes: Sequence[Episode] = (), *, charts: bool = True, blur_faces: bool = False
    ) -> Overlay:
        """Return the overlay of a run.

        Args:
            table: its rows.
            episodes: while a face has one, its label is that of the episode, as in the timeline.
            charts: whether to draw charts of the probabilities.
            blur_faces: whether to make faces unrecognisable.
        """
        digest = sha256(repr((tuple(episodes), charts, blur_faces)).encode())
        for column in fields(table):
            digest.update(getattr(table, column.name).tobytes())
        hidden = FaceInterpolator.for_blur(table) if blur_faces else None
        return cls(FaceInterpolator(table), hidden, EpisodeLabels(episodes), charts, digest.hexdigest())

    def between(self, start: float, end: float) -> Overlay:
        """Return the part of the overlay that is shown from `start` to `end` (seconds)."""
        return replace(
            self,
            shown=self.shown.between(start, end),
            hidden=self.hidden and self.hidden.between(start, end),
            labels=self.labels.between(start, end),
        )

    def draw(self, frames: Iterable[Frame], size: tuple[int, int]) -> Iterator[tuple[Frame, av.VideoFrame]]:
        """Yield each frame with the picture to encode: the frame with the overlay.

        Args:
            frames: in order; they may be drawn in.
            size: width and height of the pictures.
        """
        places: ChartPlaces = {}
        for frame in frames:
            time = frame.timestamp
            image = letterbox(frame.image, frame.placement, size)
            if self.hidden is not None:
                blur(image, (face.bbox for face in self.hidden.at(time)))
            draw(image, self.shown.at(time), places, labels=self.labels.at(time), charts=self.charts)
            yield frame, to_picture(image)
