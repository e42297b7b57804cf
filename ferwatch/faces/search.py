"""search_image: finds and aligns the faces of one picture.

MediaPipe's detector sees 128x128 pixels, so whether it finds a face depends on how much of the picture the face fills:
a quarter to four fifths is best. One pass over the whole picture finds large faces. Small faces are found in tiles of
the picture, and candidates that are small or score low are verified in a part of the picture around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ferwatch.faces.align import align
from ferwatch.faces.detection import (
    FaceDetector,
    is_plausible,
    is_reliable,
    is_same_box,
    is_same_face,
    mean_detection,
    non_max_suppression,
    square_around,
)
from ferwatch.faces.parts import detect_in_mosaics, detect_in_part
from ferwatch.faces.tiles import tile_levels
from ferwatch.records import BoundingBox, Detection, Face, Region, are_centres_in

AnyFace = TypeVar("AnyFace", Detection, Face)

MAX_FACES = 50
"""Default limit on the faces that are kept in one picture."""


def search_image(image: NDArray[np.uint8], detector: FaceDetector, *, small_faces: bool = True) -> list[Face]:
    """Return the faces of a picture, (H, W, 3) BGR, from left to right, with face_id 0.

    Faces down to about 1/14 of the picture's shorter side are found in about 20 detection passes; without
    `small_faces` the picture is searched as a whole only.
    """
    tiles = [tile for level in tile_levels(*image.shape[1::-1]) for tile in level] if small_faces else []
    faces = find_faces(image, detector, tiles)
    return [aligned_face(image, face) for face in faces if face.score >= detector.thresholds.face_score]


def keep_surest(faces: Sequence[AnyFace], max_faces: int, face_score: float) -> tuple[list[AnyFace], int]:
    """Return the faces with the highest scores in their order, and how many more there are that are surely faces.

    Args:
        max_faces: largest number of faces that are kept.
        face_score: score from which a detection is surely a face.
    """
    by_score = sorted(range(len(faces)), key=lambda number: faces[number].score, reverse=True)
    certain = sum(face.score >= face_score for face in faces)
    return [faces[number] for number in sorted(by_score[:max_faces])], max(0, certain - max_faces)


def is_in_region(box: BoundingBox, region: Region | None) -> bool:
    """Return whether the centre of a box lies in a region; None: it does."""
    return region is None or bool(are_centres_in(region, np.array(box)))


def find_faces(
    image: NDArray[np.uint8],
    detector: FaceDetector,
    tiles: Sequence[BoundingBox],
    *,
    whole: Sequence[Detection] | None = None,
    near: Sequence[Detection] | None = None,
) -> list[Detection]:
    """Return the faces of a picture, and detections that may be faces, from left to right.

    The whole picture and the tiles are searched first. Where two or more sure faces of `near` are not found by that,
    they are searched together in mosaics. Candidates that are not reliable, and what is still missing of `near`, are
    then verified in a part of the picture around them.

    Args:
        image: (H, W, 3) BGR.
        tiles: squares of the picture, in pixels, that are searched for small faces.
        whole: the detections in the whole picture where it has been searched already.
        near: the detections in the previous frame of a video, perhaps none; the thresholds for videos then apply, which
            trade accuracy for speed. None: a single picture.
    """
    limits = detector.thresholds
    in_video = near is not None
    min_size, min_score = (
        (limits.video_reliable_size, limits.video_candidate_score)
        if in_video
        else (limits.reliable_size[0], limits.candidate_score)
    )
    detections = list(detector.detect(image) if whole is None else whole)
    for tile in tiles:
        # A tile may cut a face off: whatever its score, it is verified. Size 0 makes it unreliable.
        detections += [_replace_size(d, 0.0) for d in detect_in_part(image, tile, detector)]
    candidates = [d for d in non_max_suppression(detections, limits, is_same_box) if d.score >= min_score]
    faces = [d for d in candidates if is_reliable(d, limits, min_size)]

    def is_found(box: BoundingBox) -> bool:
        # A face with a low score may be part of a larger face, or a thing around a smaller one.
        return any(
            is_same_box(box, f.bbox) or (f.score >= limits.accept_score and is_same_face(box, f.bbox)) for f in faces
        )

    sure = [d for d in near or () if d.score >= limits.accept_score and not is_found(d.bbox)]
    boxes = sorted(d.bbox for d in non_max_suppression(sure, limits, is_same_face))
    faces += detect_in_mosaics(image, boxes, detector)
    for box in (d.bbox for d in [*candidates, *(near or ())]):
        if not is_found(box) and (verified := _verify(image, box, detector, accept_at_once=in_video)):
            faces.append(verified)
    faces = [f for f in non_max_suppression(faces, limits, is_same_face) if is_plausible(f.bbox, f.landmarks)]
    return sorted(faces, key=lambda face: face.bbox[0] + face.bbox[2] / 2)


def aligned_face(image: NDArray[np.uint8], detection: Detection) -> Face:
    """Return a detection as a face, with its aligned crop from the picture (H, W, 3) BGR."""
    return Face(detection.bbox, detection.landmarks, detection.score, align(image, detection.landmarks))


def _verify(
    image: NDArray[np.uint8], box: BoundingBox, detector: FaceDetector, *, accept_at_once: bool
) -> Detection | None:
    """Return the face at a box as the mean of the verification passes, or None where there is none.

    A thing that resembles a face seldom does so at two scales. With `accept_at_once`, one pass that reaches the
    accepted score is enough.
    """
    limits = detector.thresholds
    passes: list[Detection] = []
    for size in limits.verification_sizes:
        part = square_around(box, max(box[2:]) / size)
        found = [d for d in detect_in_part(image, part, detector) if is_same_face(d.bbox, box)]
        best = max(found, key=lambda d: d.score, default=None)
        if best is None or best.score < limits.rejection_score:
            return None
        passes.append(best)
        if accept_at_once and best.score >= limits.accept_score:
            break
    face = mean_detection(passes)
    return face if face.score >= limits.verified_score else None


def _replace_size(detection: Detection, size: float) -> Detection:
    return Detection(detection.bbox, detection.landmarks, detection.score, size)
