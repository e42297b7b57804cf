"""Overlay: what is drawn on the frames of a video."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ferwatch.records import Episode
from ferwatch.render.draw import STILL, ChartPlaces, blur, draw
from ferwatch.render.interpolate import EpisodeLabels, FaceInterpolator
from ferwatch.timeline.table import FrameTable


@dataclass(frozen=True)
class Overlay:
    """What is drawn on the frames of a video."""

    faces: FrameTable
    """Rows whose faces get a box, a label and a chart."""
    episodes: tuple[Episode, ...] = ()
    """Episodes whose labels are shown while they last; at other times a face's most probable emotion is."""
    names: Mapping[int, str] = field(default_factory=dict)
    """face_id -> name that is shown instead of the number."""
    still: tuple[int, ...] = ()
    """face_ids of faces that never move: they are labelled "still" and get no chart."""
    charts: bool = True
    """Whether charts of the probabilities are drawn."""
    blurred: FrameTable | None = None
    """Rows whose faces are made unrecognisable; None: none."""

    def checksum(self) -> str:
        """Return the SHA-256 of all that is drawn: two overlays with the same one look the same on every frame."""
        digest = hashlib.sha256()
        for table in (self.faces, self.blurred):
            columns = [] if table is None else [table.timestamp, table.face_id, table.bbox, table.probabilities]
            digest.update(f"{len(columns)}".encode())
            for column in columns:
                digest.update(np.ascontiguousarray(column).tobytes())
        shown = (self.episodes, sorted(self.names.items()), self.still, self.charts)
        digest.update(repr(shown).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()


class OverlayDrawer:
    """Draws an overlay on frames in the order of their times; charts stay where they were for as long as they can."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._shown = FaceInterpolator(overlay.faces)
        self._hidden = None if overlay.blurred is None else FaceInterpolator.for_blur(overlay.blurred)
        self._labels = EpisodeLabels(overlay.episodes)
        self._still = dict.fromkeys(overlay.still, STILL)
        self._places: ChartPlaces = {}

    def draw(self, image: NDArray[np.uint8], timestamp: float) -> None:
        """Draw what shows at a time in seconds into an image (H, W, 3) BGR."""
        if self._hidden is not None:
            blur(image, (face.bbox for face in self._hidden.at(timestamp)))
        draw(
            image,
            self._shown.at(timestamp),
            self._places,
            labels={**self._labels.at(timestamp), **self._still},
            names=self._overlay.names,
            charts=self._overlay.charts,
        )
