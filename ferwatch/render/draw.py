"""Drawing on frames: box, label and bar chart of each face, and the blur that hides it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ferwatch.records import EMOTIONS, BoundingBox, FaceResult
from ferwatch.render.palette import PALETTE

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
Sides = dict[int, int]
"""face_id -> the place its chart last stood at: 0 right of the box, 1 left of it, 2 below, 3 inside."""

CROWD = 6
"""With more faces than this in a frame, charts are smaller and without names."""
BLUR_BLOCKS = 5
INK: Colour = (20, 20, 20)


def bgr(emotion: str) -> Colour:
    """The palette's colour in OpenCV's order."""
    red, green, blue = bytes.fromhex(PALETTE[emotion][1:])
    return blue, green, red


COLOURS = tuple(bgr(emotion) for emotion in EMOTIONS)


def draw(image: Picture, faces: Sequence[FaceResult], sides: Sides | None = None) -> Picture:
    """Draws each face's box, "1 happy 93%" and its seven probabilities into `image` (H, W, 3 BGR), and returns it.

    Text and lines scale with the frame's height. A `sides` that is passed again with the next frame keeps each chart
    where it was for as long as there is room, so that it does not jump.
    """
    height, width = image.shape[:2]
    text = max(11, round(height / 28))
    line = max(1, round(height / 200))
    crowded = len(faces) > CROWD
    sides = {} if sides is None else sides
    charts: list[BoundingBox] = []
    for face in faces:
        colour = COLOURS[EMOTIONS.index(face.emotion)]
        left, top = round(face.bbox[0]), round(face.bbox[1])
        right, bottom = round(face.bbox[0] + face.bbox[2]), round(face.bbox[1] + face.bbox[3])
        _outline(image, left - line, top - line, right + line, bottom + line, line, INK)
        _outline(image, left, top, right, bottom, line, colour)

        label = _label(f"{face.face_id} {face.emotion} {face.confidence:.0%}", text, colour)
        above = top - line - label.shape[0]
        _paste(image, label, _within(left - line, label.shape[1], width), above if above >= 0 else max(top, 0))

        chart = _chart(
            face.probabilities,
            max(7, round(height / 52)) if crowded else max(10, round(height / 32)),
            named=not crowded,
        )
        high, wide = chart.shape[:2]
        if high <= height and wide <= width:
            gap = 3 * line
            # Inside, it stands at the foot of the box, below the eyes.
            inside = (_within(right - gap - wide, wide, width), _within(bottom - gap - high, high, height))
            places = (
                (right + gap, _within(top, high, height)),
                (left - gap - wide, _within(top, high, height)),
                (_within(left, wide, width), bottom + gap),
                inside,
            )
            others = [*charts, *(other.bbox for other in faces if other is not face)]
            free = [
                0 <= x <= width - wide
                and 0 <= y <= height - high
                and not any(_meet(BoundingBox(x, y, wide, high), other) for other in others)
                for x, y in places[:-1]
            ] + [True]
            side = sides.get(face.face_id, 0)
            if side == len(places) - 1 or not free[side]:
                side = free.index(True)
            sides[face.face_id] = side
            x, y = places[side]
            _paste(image, chart, x, y)
            charts.append(BoundingBox(x, y, wide, high))
    return image


def blur(image: Picture, boxes: Iterable[BoundingBox]) -> Picture:
    """Makes the faces in `boxes` unrecognisable, in place, and returns the image.

    The box, enlarged to hold the head, keeps no more than the means of 5 x 5 blocks, which nothing can undo.
    """
    height, width = image.shape[:2]
    for x, y, w, h in boxes:
        # The detector's box ends at the eyebrows; hair and ears tell people apart too.
        left, right = max(round(x - 0.35 * w), 0), min(round(x + 1.35 * w), width)
        top, bottom = max(round(y - 0.6 * h), 0), min(round(y + 1.3 * h), height)
        if left < right and top < bottom:
            area = image[top:bottom, left:right]
            blocks = cv2.resize(area, (BLUR_BLOCKS, BLUR_BLOCKS), interpolation=cv2.INTER_AREA)
            cv2.resize(blocks, (right - left, bottom - top), dst=area, interpolation=cv2.INTER_LINEAR)
    return image


def _meet(a: BoundingBox, b: BoundingBox) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def _within(start: int, length: int, limit: int) -> int:
    """The start nearest to `start` for which start..start + length lies in 0..limit."""
    return max(0, min(start, limit - length))


def _outline(image: Picture, left: int, top: int, right: int, bottom: int, line: int, colour: Colour) -> None:
    """A rectangle, `line` pixels thick inside these bounds. Four filled ones cost a tenth of cv2's thick lines."""
    _fill(image, left, top, right, top + line, colour)
    _fill(image, left, bottom - line, right, bottom, colour)
    _fill(image, left, top, left + line, bottom, colour)
    _fill(image, right - line, top, right, bottom, colour)


def _fill(image: Picture, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
    """Fills what lies inside the image; right and bottom are exclusive."""
    if left < right and top < bottom:
        cv2.rectangle(image, (left, top), (right - 1, bottom - 1), colour, cv2.FILLED)


def _paste(image: Picture, patch: Picture, x: int, y: int) -> None:
    area = image[y : y + patch.shape[0], x : x + patch.shape[1]]
    area[:] = patch[: area.shape[0], : area.shape[1]]


@lru_cache(maxsize=4096)
def _label(words: str, size: int, colour: Colour) -> Picture:
    """Words in black or white, whichever reads better, on `colour`."""
    luminance = np.dot(colour, (0.114, 0.587, 0.299))
    ink: Colour = (0, 0, 0) if luminance > 110 else (255, 255, 255)
    return _words([words], size, round(size * 1.35), ink, colour)


@lru_cache(maxsize=16)
def _chart_ground(row: int, named: bool) -> Picture:
    """The chart before its bars: the names of the emotions, or no more than room."""
    pad = max(2, row // 4)
    bar = row * 4
    names = _words(EMOTIONS, row, row, (235, 235, 235), INK) if named else np.empty((7 * row, 0, 3), np.uint8)
    ground = np.full((7 * row + 2 * pad, names.shape[1] + bar + 2 * pad, 3), INK, np.uint8)
    ground[pad : pad + 7 * row, pad : pad + names.shape[1]] = names
    ground[pad : pad + 7 * row, -pad - bar : -pad] = 48
    return ground


def _chart(probabilities: Sequence[float], row: int, named: bool) -> Picture:
    """Seven horizontal bars in the palette's colours; a full bar is a probability of 1."""
    chart = _chart_ground(row, named).copy()
    pad = max(2, row // 4)
    bar = row * 4
    thick = max(2, round(row * 0.7))
    start = chart.shape[1] - pad - bar
    for i, (probability, colour) in enumerate(zip(probabilities, COLOURS, strict=True)):
        top = pad + i * row + (row - thick) // 2
        _fill(chart, start, top, start + round(bar * probability), top + thick, colour)
    return chart


def _words(lines: Sequence[str], size: int, row: int, ink: Colour, ground: Colour) -> Picture:
    """Lines of text, one every `row` pixels, on a ground."""
    font = ImageFont.load_default(size)
    pad = max(2, size // 4)
    width = max(round(font.getlength(line)) for line in lines) + 2 * pad
    picture = Image.new("RGB", (width, row * len(lines)), ground)
    pen = ImageDraw.Draw(picture)
    for i, line in enumerate(lines):
        pen.text((pad, (i + 0.5) * row), line, fill=ink, font=font, anchor="lm")
    # Filled in BGR order from the start, so that nothing is left to convert.
    return np.asarray(picture)
