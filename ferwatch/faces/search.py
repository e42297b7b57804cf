"""FaceFinder: the faces of a picture, found by MediaPipe's short-range detector and aligned.

The detector sees 128x128 pixels, so whether it finds a face depends on how much of what it is shown the face fills: a
quarter to four fifths is best. One look at the whole picture is all that a usual frame costs. Where a face is small,
doubtful or was there a moment ago, the finder looks closer; now and then, and where something changes, tile by tile.
(Of FER2013's faces at 48 to 100 of 640 pixels the full-range model found 8 to 24%, and of those from 140 pixels fewer
than the short-range one; short-range tiles find more than 90% of those from 80.)
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from math import floor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.faces.align import align
from ferwatch.faces.detection import (
    CLEAR,
    CLEAR_ENOUGH,
    SURE,
    Sighting,
    alike,
    distinct,
    mean_sighting,
    plausible,
    same_face,
    square_around,
)
from ferwatch.faces.mediapipe import Detector
from ferwatch.faces.model_file import find_face_model
from ferwatch.faces.tiles import Changes, tile_levels
from ferwatch.faces.track import FACE_SCORE
from ferwatch.records import BoundingBox, Face, Frame, FrameFaces
from ferwatch.utils.prefetch import prefetch

MOST_FACES = 20
FACE = 0.5
"""The mean score of two closer looks from which there may be a face; the tracker asks for more before it counts one."""
NO_FACE = 0.4
"""The score of a closer look below which there is none."""
POSSIBLE = 0.2
"""The score from which a sighting is worth a closer look."""
LIKELY = 0.4
"""The same while a video is followed, where another frame comes soon."""
CLOSE = (0.45, 0.55)
"""The shares that a face fills in two closer looks."""
EVERYWHERE_EVERY = 4.0
"""Seconds of video between two searches of the whole picture."""
CHANGES_EVERY = 0.2
"""Seconds of video between two looks at what has changed."""
LOOK_EVERY = 0.045
"""Seconds of video after a look in which a frame waits for the next: of 25 or 30 frames a second every other one."""
STEADY = 0.1
"""By how much of its side a face may move between two looks and be taken to have moved evenly."""
FRAMES_AHEAD = 16
"""How many frames are read ahead."""


Crops = dict[BoundingBox, NDArray[np.uint8]]
"""Of a frame: crops that are aligned already, by the box of their sighting."""


class FirstLook(NamedTuple):
    """A frame of a video, and what a quick look ahead at it told."""

    frame: Frame
    due: bool
    """Whether it is time for a look; else it can wait for the next frame."""
    new_moment: bool
    """Whether it is time for a look at what has changed."""
    whole: list[Sighting] | None
    """What is seen in the whole picture; None: nobody has looked yet."""
    crops: Crops


class FaceFinder:
    """Finds and aligns faces. A context manager: MediaPipe 1.x has to be closed before Python ends.

    face_model: MediaPipe's short-range model; where it is not given, the one in MediaPipe's wheel (up to 0.10.21) or
    the one that Google publishes, fetched once. Raises WeightsError where there is none or it is no face model.
    """

    def __init__(self, face_model: Path | None = None) -> None:
        path = find_face_model() if face_model is None else face_model
        # Two, since one of them looks ahead at the next frames while a video is followed.
        self._detector, self._first_detector = (Detector(path, POSSIBLE) for _ in range(2))
        self._taken = 0  # of the video that is watched: frames that have had more than their first look

    def close(self) -> None:
        self._detector.close()
        self._first_detector.close()

    def __enter__(self) -> FaceFinder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def watch(self, frames: Iterable[Frame]) -> Generator[FrameFaces, None, None]:
        """Index, time and faces of each frame of a video, in order, and what may be a face, for the tracker to decide.

        The first frame of every four seconds and the first of a new scene are searched everywhere. In between, the
        finder looks at the whole picture, closer where it saw a face since, and five times a second where most has
        changed; wherever something has, while it sees no face. Of two frames less than LOOK_EVERY apart it looks at
        one; in the other, the faces lie between where they were and where they will be, if they moved but little.

        So nothing depends on what came before a multiple of four seconds: a run can be taken up there.
        """
        self._taken = 0
        with closing(prefetch(self._first_looks(frames), FRAMES_AHEAD)) as looked_at:
            for frame, sightings, crops in self._watch(looked_at):
                faces = tuple(_aligned(frame.image, sighting, crops) for sighting in sightings)
                yield FrameFaces(frame.index, frame.timestamp, faces, frame.duration)

    def _first_looks(self, frames: Iterable[Frame]) -> Iterator[FirstLook]:
        moment, latest = None, 0.0
        for number, frame in enumerate(frames):
            new_moment = moment != (moment := floor(frame.timestamp / CHANGES_EVERY))
            due = new_moment or frame.timestamp - latest >= LOOK_EVERY
            whole, crops = None, Crops()
            if due:
                latest = frame.timestamp
                # Each of the two threads does what the other has no time for.
                ahead = number - self._taken
                if ahead:
                    whole = self._first_detector.look(frame.image)
                if whole and ahead > FRAMES_AHEAD / 2:
                    crops = {s.bbox: align(frame.image, s.landmarks) for s in whole if _clear(s, CLEAR_ENOUGH)}
            yield FirstLook(frame, due, new_moment, whole, crops)

    def _watch(self, looked_at: Iterable[FirstLook]) -> Iterator[tuple[Frame, list[Sighting], Crops]]:
        period = None
        waiting = list[Frame]()
        latest, faces, seen = 0.0, list[Sighting](), list[Sighting]()
        for frame, due, new_moment, whole, crops in looked_at:
            self._taken += 1
            if period != (period := floor(frame.timestamp / EVERYWHERE_EVERY)):
                yield from self._look_back(waiting, seen)
                waiting, changes, seen = [], Changes(), []
            if not due:
                waiting.append(frame)
                continue
            if whole is None:
                whole = self._detector.look(frame.image)
            new_scene = changes.see(frame.image)
            before, known = faces, [face.bbox for face in seen]
            if new_scene:
                tiles = changes.all_tiles()
                faces = self._search(frame.image, whole, tiles)
            else:
                tiles = changes.tiles(known, at_most=1) if new_moment else []
                faces = self._search(frame.image, whole, tiles, near=known)
                if not any(face.score >= FACE_SCORE for face in faces) and (changed := changes.tiles()):
                    tiles, faces = changed, self._search(frame.image, whole, changed)
            changes.looked_at(tiles)
            pairs = None if new_scene else _steady(before, faces)
            if pairs is None:
                yield from self._look_back(waiting, [*seen, *faces])
            else:
                for between in waiting:
                    share = (between.timestamp - latest) / (frame.timestamp - latest)
                    yield between, [_on_the_way(*pair, share) for pair in pairs], {}
            waiting, latest = [], frame.timestamp
            lost = [face for face in seen if not any(same_face(face.bbox, other.bbox) for other in faces)]
            seen = faces + [face for face in lost if face.score >= SURE]
            yield frame, faces, crops
        yield from self._look_back(waiting, seen)

    def _look_back(
        self, frames: Sequence[Frame], seen: Sequence[Sighting]
    ) -> Iterator[tuple[Frame, list[Sighting], Crops]]:
        """Frames that waited in vain, with a look at each, and closer at what was seen before and after."""
        for frame in frames:
            whole = self._detector.look(frame.image)
            yield frame, self._search(frame.image, whole, (), [face.bbox for face in seen]), {}

    def find(self, image: NDArray[np.uint8], *, small: bool = True) -> list[Face]:
        """The faces of one picture (H, W, 3) BGR, from left to right, at most 20, with face_id 0.

        Searches it everywhere, which takes some 20 looks, for faces down to about 1/14 of its shorter side; only as a
        whole where no `small` faces are expected.
        """
        tiles = [tile for level in tile_levels(*image.shape[1::-1]) for tile in level] if small else []
        whole = self._detector.look(image)
        return [_aligned(image, face, {}) for face in self._search(image, whole, tiles) if face.score >= FACE_SCORE]

    def _search(
        self,
        image: NDArray[np.uint8],
        whole: Sequence[Sighting],
        tiles: Sequence[BoundingBox],
        near: Sequence[BoundingBox] | None = None,
    ) -> list[Sighting]:
        """The faces of a picture and what may be one, with a score of 0.5 or more.

        After a look at the `whole` looks at the tiles, then closer where that left a doubt, and at the places `near`;
        these are given while a video is followed, where speed counts and another frame comes soon.
        """
        thorough = near is None
        least_share, least_score = (CLEAR[0], POSSIBLE) if thorough else (CLEAR_ENOUGH, LIKELY)
        sightings = list(whole)
        for tile in tiles:
            # A tile may cut a face: however sure, it is looked at again as a whole.
            sightings += [s._replace(share=0.0) for s in self._look_at(image, tile)]
        sightings = [s for s in distinct(sightings, alike) if s.score >= least_score]
        faces = [s for s in sightings if _clear(s, least_share)]
        for box in [*(s.bbox for s in sightings), *(near or ())]:
            # What is not sure to be a face may be a thing around one, or a part of one.
            if any(alike(box, f.bbox) or (f.score >= SURE and same_face(box, f.bbox)) for f in faces):
                continue
            if closer := self._look_closer(image, box, twice=thorough):
                faces.append(closer)
        faces = [face for face in distinct(faces, same_face) if plausible(face.bbox, face.landmarks)][:MOST_FACES]
        return sorted(faces, key=lambda face: face.bbox[0] + face.bbox[2] / 2)

    def _look_closer(self, image: NDArray[np.uint8], box: BoundingBox, twice: bool) -> Sighting | None:
        """The face at a box, where there is one: the mean of two looks, or only one that is sure. What only resembles a
        face seldom does so at two scales."""
        looks = []
        for share in CLOSE:
            place = square_around(box, max(box[2:]) / share)
            found = [s for s in self._look_at(image, place) if same_face(s.bbox, box)]
            if not found or found[0].score < NO_FACE:
                return None
            looks.append(found[0])
            if found[0].score >= SURE and not twice:
                break
        face = mean_sighting(looks)
        return face if face.score >= FACE else None

    def _look_at(self, image: NDArray[np.uint8], place: BoundingBox) -> list[Sighting]:
        """What the detector sees in a part of the picture; beyond the picture's edge it sees black."""
        x, y, width, height = map(round, place)
        left, top, right, bottom = max(0, x), max(0, y), min(image.shape[1], x + width), min(image.shape[0], y + height)
        if left >= right or top >= bottom:
            return []
        part: NDArray[Any] = cv2.copyMakeBorder(
            image[top:bottom, left:right],
            *(top - y, y + height - bottom, left - x, x + width - right),
            cv2.BORDER_CONSTANT,
        )
        return [
            Sighting(
                BoundingBox(s.bbox.x + x, s.bbox.y + y, s.bbox.width, s.bbox.height),
                s.landmarks + np.array((x, y), dtype=np.float32),
                s.score,
                s.share,
            )
            for s in self._detector.look(part)
        ]


def _steady(before: Sequence[Sighting], after: Sequence[Sighting]) -> list[tuple[Sighting, Sighting]] | None:
    """Each face of two looks, both from left to right, with itself in the other; None where one came, went or moved."""
    pairs = list(zip(before, after, strict=False))
    if len(before) != len(after) or any(
        np.abs(np.subtract(one.bbox, other.bbox)).max() > STEADY * max(one.bbox[2:]) for one, other in pairs
    ):
        return None
    return pairs


def _on_the_way(before: Sighting, after: Sighting, share: float) -> Sighting:
    """A face between two looks, a `share` of the way from one to the other."""
    box, landmarks, score, size = (
        (1 - share) * np.asarray(a) + share * np.asarray(b) for a, b in zip(before, after, strict=True)
    )
    return Sighting(BoundingBox(*box.tolist()), landmarks, float(score), float(size))


def _clear(sighting: Sighting, least_share: float) -> bool:
    """Whether a sighting is a face without another look."""
    return sighting.score >= SURE and least_share <= sighting.share <= CLEAR[1]


def _aligned(image: NDArray[np.uint8], sighting: Sighting, crops: Crops) -> Face:
    crop = crops[sighting.bbox] if sighting.bbox in crops else align(image, sighting.landmarks)
    return Face(sighting.bbox, sighting.landmarks, sighting.score, crop)
