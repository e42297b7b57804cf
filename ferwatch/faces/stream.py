"""FaceStream: finds the faces of a video frame by frame, with little more than one detection pass for most frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import floor

import numpy as np

from ferwatch.faces.detection import FaceDetector, interpolate_detections, is_same_face
from ferwatch.faces.search import MAX_FACES, aligned_face, find_faces, is_in_region, keep_surest
from ferwatch.faces.tiles import MotionTiles, cell_brightness
from ferwatch.records import Detection, Frame, FrameFaces, Region

FULL_SEARCH_SECONDS = 4.0
"""The first frame after each multiple of this time is searched everywhere, independently of earlier frames."""
MOTION_SEARCH_SECONDS = 0.2
"""Time between two searches of the tiles that have changed."""
MIN_DETECTION_SECONDS = 0.045
"""A frame that follows a searched one sooner than this is not searched: at 25 or 30 frames a second every other one."""
MAX_INTERPOLATED_MOVE = 0.1
"""Largest movement between two searched frames, in sides of the face, for which the frames between are interpolated."""


def period_of(timestamp: float) -> int:
    """Return the number of the period of FULL_SEARCH_SECONDS that a time in seconds lies in."""
    return floor(timestamp / FULL_SEARCH_SECONDS)


class FaceStream:
    """Finds and aligns the faces of a video's frames, and detections that may be faces, which FaceTracker decides.

    - The first frame of every four seconds and the first of a new scene are searched everywhere.
    - In other frames, the whole picture is searched in one detection pass. Uncertain detections, and known faces that
      the pass missed, are then verified in a part of the picture around each; two to four known faces that were sure
      share one pass.
    - Five times a second, for each size of tile, the tile that has changed most is searched too. While no face is
      found, all tiles that have changed are.
    - Of two frames less than MIN_DETECTION_SECONDS apart, one is searched. The faces in the other are interpolated if
      they moved little.

    Nothing depends on what came before a multiple of four seconds, so that a video can be analysed in segments. A frame
    whose size differs from that of the frame before is searched everywhere too.

    follow() takes all frames of a video. For a source that pushes its frames there are push() and flush().

    Args:
        detector: finds the faces of one picture.
        max_faces: largest number of faces that are kept in one frame, those with the highest scores.
        region: only faces whose centre lies in it are kept, and count for the limit; None: everywhere.
    """

    def __init__(self, detector: FaceDetector, max_faces: int = MAX_FACES, region: Region | None = None) -> None:
        self._detector = detector
        self._max_faces = max_faces
        self._region = region
        self._period: int | None = None
        self._shape: tuple[int, ...] = ()
        self._motion_period: int | None = None
        self._motion = MotionTiles()
        self._skipped: list[Frame] = []
        self._searched_at = 0.0
        self._faces: list[Detection] = []
        """Detections in the last frame that was searched."""
        self._known: list[Detection] = []
        """Detections in the last frame that was searched, and those of the one before it that are missing now."""

    def follow(self, frames: Iterable[Frame]) -> Iterator[FrameFaces]:
        """Yield the faces of every frame, in order."""
        for frame in frames:
            yield from self.push(frame)
        yield from self.flush()

    def push(self, frame: Frame) -> list[FrameFaces]:
        """Add the next frame; return the frames, up to this one, whose faces have become known."""
        finished: list[FrameFaces] = []
        period, shape = period_of(frame.timestamp), frame.image.shape
        if begins := self._period != period or self._shape != shape:
            finished += self.flush()
            # New MotionTiles report a new scene, so that this frame is searched everywhere.
            self._period, self._shape, self._motion, self._known = period, shape, MotionTiles(), []
        is_new_motion_period = self._motion_period != (at := floor(frame.timestamp / MOTION_SEARCH_SECONDS))
        self._motion_period = at
        if not begins and not is_new_motion_period and frame.timestamp - self._searched_at < MIN_DETECTION_SECONDS:
            self._skipped.append(frame)
            return finished

        before = self._faces
        is_new_scene = self._motion.update(frame.image)
        self._faces = self._search(frame, is_new_scene, is_new_motion_period)
        pairs = None if is_new_scene else _match_unmoved(before, self._faces)
        if pairs is None:
            finished += self._detect_skipped([*self._known, *self._faces])
        else:
            finished += self._interpolate_skipped(pairs, frame.timestamp)
        self._skipped, self._searched_at = [], frame.timestamp
        accept_score = self._detector.thresholds.accept_score
        lost = [d for d in self._known if not any(is_same_face(d.bbox, face.bbox) for face in self._faces)]
        self._known = self._faces + [d for d in lost if d.score >= accept_score]
        return [*finished, self._aligned(frame, self._faces)]

    def flush(self) -> list[FrameFaces]:
        """Return the frames that were added but not returned yet."""
        finished = list(self._detect_skipped(self._known))
        self._skipped = []
        return finished

    def _search(self, frame: Frame, is_new_scene: bool, is_new_motion_period: bool) -> list[Detection]:
        """Return the faces of a frame, searched everywhere in a new scene, else near known faces and changes."""
        image, detector = frame.image, self._detector
        whole = detector.detect(image)
        if is_new_scene:
            tiles = self._motion.all_tiles()
            faces = find_faces(image, detector, tiles, whole=whole)
        else:
            known = [d.bbox for d in self._known]
            tiles = self._motion.tiles(known, max_per_level=1) if is_new_motion_period else []
            faces = find_faces(image, detector, tiles, whole=whole, near=self._known)
            is_face_found = any(face.score >= detector.thresholds.face_score for face in faces)
            if not is_face_found and (changed := self._motion.tiles()):
                tiles, faces = changed, find_faces(image, detector, changed, whole=whole)
        self._motion.mark_searched(tiles)
        return faces

    def _detect_skipped(self, known: Sequence[Detection]) -> Iterator[FrameFaces]:
        """Search the skipped frames, and verify the faces of the searched frames before and after them."""
        for frame in self._skipped:
            yield self._aligned(frame, find_faces(frame.image, self._detector, (), near=known))

    def _interpolate_skipped(self, pairs: Sequence[tuple[Detection, Detection]], until: float) -> Iterator[FrameFaces]:
        """Yield the skipped frames, with faces interpolated between the last searched frame and `until` (seconds)."""
        for frame in self._skipped:
            fraction = (frame.timestamp - self._searched_at) / (until - self._searched_at)
            yield self._aligned(frame, [interpolate_detections(*pair, fraction) for pair in pairs])

    def _aligned(self, frame: Frame, faces: Sequence[Detection]) -> FrameFaces:
        """Return a frame with its faces in the region aligned, at most `max_faces`, from left to right."""
        place = frame.placement
        inside = [f for f in faces if is_in_region(place.box(f.bbox) if place else f.bbox, self._region)]
        kept, left_out = keep_surest(inside, self._max_faces, self._detector.thresholds.face_score)
        aligned = [aligned_face(frame.image, face).placed(place) for face in kept]
        return FrameFaces(
            frame.index,
            frame.timestamp,
            tuple(aligned),
            frame.duration,
            cell_brightness(frame.image),
            left_out,
        )


def _match_unmoved(before: Sequence[Detection], after: Sequence[Detection]) -> list[tuple[Detection, Detection]] | None:
    """Pair the faces of two frames, both from left to right; return None where one came, went or moved far."""
    pairs = list(zip(before, after, strict=False))
    if len(before) != len(after) or any(
        np.abs(np.subtract(a.bbox, b.bbox)).max() > MAX_INTERPOLATED_MOVE * max(a.bbox[2:]) for a, b in pairs
    ):
        return None
    return pairs
