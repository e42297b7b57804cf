"""Overlay: what annotated.mp4 shows on the frames of a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import av
import numpy as np

from ferwatch.records import Episode, Frame
from ferwatch.render.draw import STILL, ChartPlaces, blur, draw
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
    names: Mapping[int, str]
    still: tuple[int, ...]
    charts: bool
    digest: str
    """SHA-256 of all that is shown: two overlays with the same one look the same on every frame."""

    @classmethod
    def of(
        cls,
        faces: FrameTable,
        episodes: Sequence[Episode] = (),
        *,
        names: Mapping[int, str] | None = None,
        still: Sequence[int] = (),
        charts: bool = True,
        blurred: FrameTable | None = None,
    ) -> Overlay:
        """Return an overlay.

        Args:
            faces: rows whose faces get a box, a label and a chart.
            episodes: while a face has one, its label is that of the episode; else it is the most probable emotion.
            names: face_id -> name that is shown instead of the number.
            still: face_ids of faces that never move: they are labelled "still" and get no chart.
            charts: whether charts of the probabilities are drawn.
            blurred: rows whose faces are made unrecognisable; None: none.
        """
        names = names or {}
        hidden = None if blurred is None else FaceInterpolator.for_blur(blurred)
        shown = (tuple(episodes), sorted(names.items()), tuple(still), charts)
        digest = sha256(repr(shown).encode("utf-8", "backslashreplace"))
        for table in (faces, blurred):
            columns = [] if table is None else [table.timestamp, table.face_id, table.bbox, table.probabilities]
            digest.update(f"{len(columns)}".encode())
            for column in columns:
                digest.update(np.ascontiguousarray(column).tobytes())
        return cls(
            FaceInterpolator(faces), hidden, EpisodeLabels(episodes), names, tuple(still), charts, digest.hexdigest()
        )

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
        still = dict.fromkeys(self.still, STILL)
        for frame in frames:
            time = frame.timestamp
            image = letterbox(frame.image, frame.placement, size)
            if self.hidden is not None:
                blur(image, (face.bbox for face in self.hidden.at(time)))
            labels = {**self.labels.at(time), **still}
            draw(image, self.shown.at(time), places, labels=labels, names=self.names, charts=self.charts)
            yield frame, to_picture(image)
