"""Detects faces in parts of a picture: in one part, or around several known faces in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.faces.detection import FaceDetector, is_reliable, is_same_face, square_around
from ferwatch.records import BoundingBox, Detection

CELL_SIDE = 128
"""Pixels. Side of a cell of a mosaic. Mosaics are as large as the pictures that MediaPipeDetector scales others to."""
MOSAIC_CELLS = tuple(BoundingBox(x, y, CELL_SIDE, CELL_SIDE) for y in (0, CELL_SIDE) for x in (0, CELL_SIDE))
"""The cells of a mosaic: two rows of two."""
FACE_IN_CELL = 0.65
"""Side of a known face divided by that of its cell: large, so that its landmarks are exact, but with room to move."""


def detect_in_part(image: NDArray[np.uint8], part: BoundingBox, detector: FaceDetector) -> list[Detection]:
    """Return the detections in a part of a picture, in pixels of the picture; beyond its edge the part is black."""
    part = _whole_pixels(part)
    pixels = _cut_out(image, part)
    return [] if pixels is None else [_moved(d, part.x, part.y, 1.0) for d in detector.detect(pixels)]


def detect_in_mosaics(
    image: NDArray[np.uint8], boxes: Sequence[BoundingBox], detector: FaceDetector
) -> list[Detection]:
    """Return the reliable detections at the boxes of known faces, in pixels of the picture; four boxes take one pass.

    The parts of the picture around the boxes are scaled into the cells of one square picture, the mosaic. A detection
    that crosses the border of a cell is discarded. Without a reliable detection in its cell, a box has none in the
    result; nor has the last one where it would be alone in a mosaic.
    """
    found: list[Detection] = []
    for start in range(0, len(boxes) - 1, len(MOSAIC_CELLS)):
        found += _detect_in_mosaic(image, boxes[start : start + len(MOSAIC_CELLS)], detector)
    return found


def _detect_in_mosaic(
    image: NDArray[np.uint8], boxes: Sequence[BoundingBox], detector: FaceDetector
) -> list[Detection]:
    """Return the reliable detections at up to four boxes from one pass, in pixels of the picture."""
    side = 2 * CELL_SIDE
    mosaic = np.zeros((side, side, 3), np.uint8)
    parts = [_whole_pixels(square_around(box, max(box[2:]) / FACE_IN_CELL)) for box in boxes]
    for part, (left, top, *_) in zip(parts, MOSAIC_CELLS, strict=False):
        if (pixels := _cut_out(image, part)) is not None:
            how = cv2.INTER_AREA if part.width > CELL_SIDE else cv2.INTER_LINEAR
            scaled = cv2.resize(pixels, (CELL_SIDE, CELL_SIDE), interpolation=how)
            mosaic[top : top + CELL_SIDE, left : left + CELL_SIDE] = scaled
    limits = detector.thresholds
    reliable = [d for d in detector.detect(mosaic) if is_reliable(d, limits, limits.video_reliable_size)]
    found: list[Detection] = []
    for box, part, cell in zip(boxes, parts, MOSAIC_CELLS, strict=False):
        scale = part.width / CELL_SIDE
        x, y = part.x - scale * cell.x, part.y - scale * cell.y
        moved = [_moved(d, x, y, scale) for d in reliable if _is_in(d.bbox, cell)]
        found += [d for d in moved if is_same_face(d.bbox, box)]
    return found


def _whole_pixels(part: BoundingBox) -> BoundingBox:
    return BoundingBox(*map(round, part))


def _cut_out(image: NDArray[np.uint8], part: BoundingBox) -> NDArray[Any] | None:
    """Return the pixels of a part of a picture, black beyond its edge; None where the part is empty or outside."""
    x, y, width, height = map(int, part)
    left, top, right, bottom = max(0, x), max(0, y), min(image.shape[1], x + width), min(image.shape[0], y + height)
    if left >= right or top >= bottom:
        return None
    pixels: NDArray[Any] = image[top:bottom, left:right]
    border = (top - y, y + height - bottom, left - x, x + width - right)
    return cv2.copyMakeBorder(pixels, *border, cv2.BORDER_CONSTANT) if any(border) else pixels


def _moved(detection: Detection, x: float, y: float, scale: float) -> Detection:
    """Return a detection enlarged by `scale` and then shifted by (x, y) pixels."""
    box = detection.bbox
    return Detection(
        BoundingBox(x + scale * box.x, y + scale * box.y, scale * box.width, scale * box.height),
        detection.landmarks * np.float32(scale) + np.array((x, y), dtype=np.float32),
        detection.score,
        detection.relative_size,
    )


def _is_in(box: BoundingBox, cell: BoundingBox) -> bool:
    """Return whether a box lies within a cell."""
    x, y = box.x - cell.x, box.y - cell.y
    return min(x, y) >= 0 and x + box.width <= cell.width and y + box.height <= cell.height
