"""Draws box, label and bar chart of each face on frames, and blurs faces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ferwatch.records import EMOTIONS, BoundingBox, FaceResult
from ferwatch.render.palette import DARK_INK, PALETTE, ink_on

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
ChartPlaces = dict[int, int]
"""face_id -> place of its chart in the latest frame: 0 right of the face, 1 left of it, 2 below, 3 above."""

MIN_CHART_FACE = 56
"""Smallest height of a face's box, in pixels, that gets a chart; smaller ones could not be read."""
CHART_ROWS_PER_FACE = 9.0
"""Number of chart rows that would fit into the height of the face's box; a chart has seven."""
MIN_NAMED_ROW = 10
"""Smallest height of a row, in pixels, that shows the emotion's name; lower rows have bars only."""
BLUR_BLOCKS = 5
"""Number of blocks along each side of a blurred face."""
INK: Colour = (20, 20, 20)
"""Colour of the background of charts and of the edge of boxes, BGR."""


def bgr(emotion: str) -> Colour:
    """Return the palette's colour of an emotion in OpenCV's order: blue, green, red."""
    red, green, blue = bytes.fromhex(PALETTE[emotion][1:])
    return blue, green, red


STILL = "still"
"""Label of a face that never moves, such as a poster's; it has no chart."""
COLOURS = {**{label: bgr(label) for label in PALETTE}, STILL: bgr("uncertain")}
MAX_NAME_LENGTH = 24
"""Largest number of characters of a name that are shown."""
EMOTION_COLOURS = tuple(COLOURS[emotion] for emotion in EMOTIONS)


def draw(
    image: Picture,
    faces: Sequence[FaceResult],
    places: ChartPlaces | None = None,
    *,
    labels: Mapping[int, str] | None = None,
    names: Mapping[int, str] | None = None,
    charts: bool = True,
) -> Picture:
    """Draw each face's box, label ("1 happy 93%") and chart of its seven probabilities into `image`, and return it.

    Text and lines scale with the picture's height, charts with their face. A chart never covers a face, a label or
    another chart: where there is no room for it beside its face, it is left out, and small faces have none.

    Args:
        image: (H, W, 3) BGR.
        faces: the faces to draw.
        places: passed again with the next frame, it keeps each chart where it was for as long as there is room.
        labels: face_id -> one of the timeline's labels, or STILL, to be shown instead of the face's most probable
            emotion.
        names: face_id -> name to be shown instead of the face's number. A name with characters that the fonts lack,
            such as Chinese ones, is not shown.
        charts: whether to draw charts.
    """
    height, width = image.shape[:2]
    line = max(1, round(height / 200))
    shown = {face.face_id: (labels or {}).get(face.face_id, face.emotion) for face in faces}
    patches = {}
    for face in faces:
        name = (names or {}).get(face.face_id, "")
        who = name if name and _font_for(name, 16) is not None else str(face.face_id)
        words, box = _words_of(face, who, shown[face.face_id]), _pixels(face.bbox)
        patch = _label(words, max(11, round(height / 28)), COLOURS[shown[face.face_id]])
        above = box[1] - line - patch.shape[0]
        y = above if above >= 0 else max(box[1], 0)
        patches[face.face_id] = patch, _within(box[0] - line, patch.shape[1], width), y
    if charts:
        taken = [BoundingBox(x, y, patch.shape[1], patch.shape[0]) for patch, x, y in patches.values()]
        taken += [_widened(face.bbox, line) for face in faces]
        _draw_charts(
            image, [face for face in faces if shown[face.face_id] != STILL], taken, {} if places is None else places
        )
    for face in faces:
        left, top, right, bottom = _pixels(face.bbox)
        _outline(image, left - line, top - line, right + line, bottom + line, line, INK)
        _outline(image, left, top, right, bottom, line, COLOURS[shown[face.face_id]])
    for patch, x, y in patches.values():
        _paste(image, patch, x, y)
    return image


def _words_of(face: FaceResult, who: str, label: str) -> str:
    """Return the words beside a face: its name or number, its label, and the label's probability in this frame.

    The probability is left out where another emotion is more probable: the label is then that of the face's episode.
    """
    who = who if len(who) <= MAX_NAME_LENGTH else f"{who[: MAX_NAME_LENGTH - 1]}…"
    if label != face.emotion:
        return f"{who} {label}"
    return f"{who} {label} {face.probabilities[EMOTIONS.index(label)]:.0%}"


def _font_for(text: str, size: int) -> Font | None:
    """Return a font that has every character of a text: Pillow's, or DejaVu Sans; None where both lack one."""
    return next((font for font in _fonts(size) if _has_glyphs(font, text)), None)


@lru_cache(maxsize=64)
def _fonts(size: int) -> tuple[Font, Font]:
    """Return Pillow's font, which has no accents, and matplotlib's, which has Latin, Greek and Cyrillic letters."""
    import matplotlib

    dejavu = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.load_default(size), ImageFont.truetype(str(dejavu), size)


@lru_cache(maxsize=1024)
def _has_glyphs(font: Font, text: str) -> bool:
    missing = bytes(font.getmask("\uffff"))
    return all(character.isspace() or bytes(font.getmask(character)) != missing for character in text)


def _draw_charts(image: Picture, faces: Sequence[FaceResult], taken: list[BoundingBox], places: ChartPlaces) -> None:
    """Draw a chart beside each face that is large enough, clear of all boxes in `taken`, the largest face first."""
    height, width = image.shape[:2]
    gap = 2 * max(1, round(height / 200)) + 1
    taken = list(taken)
    for face in sorted(faces, key=lambda face: -face.bbox[3]):
        if face.bbox[3] < MIN_CHART_FACE:
            continue
        row = max(7, round(min(face.bbox[3], height / 3) / CHART_ROWS_PER_FACE))
        chart = _chart(face.probabilities, row, named=row >= MIN_NAMED_ROW)
        high, wide = chart.shape[:2]
        left, top, right, bottom = _pixels(face.bbox)
        corners = (
            (right + gap, _within(top, high, height)),
            (left - gap - wide, _within(top, high, height)),
            (_within(left, wide, width), bottom + gap),
            (_within(left, wide, width), top - gap - high),
        )
        free = [
            0 <= x <= width - wide
            and 0 <= y <= height - high
            and not any(_overlap(BoundingBox(x, y, wide, high), other) for other in taken)
            for x, y in corners
        ]
        if not any(free):
            continue
        place = places.get(face.face_id, 0)
        if not free[place]:
            place = free.index(True)
        places[face.face_id] = place
        x, y = corners[place]
        _paste(image, chart, x, y)
        taken.append(BoundingBox(x, y, wide, high))


def _pixels(box: BoundingBox) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a box, rounded to pixels."""
    return round(box[0]), round(box[1]), round(box[0] + box[2]), round(box[1] + box[3])


def _widened(box: BoundingBox, margin: float) -> BoundingBox:
    return BoundingBox(box[0] - margin, box[1] - margin, box[2] + 2 * margin, box[3] + 2 * margin)


def blur(image: Picture, boxes: Iterable[BoundingBox]) -> Picture:
    """Make the faces in `boxes` unrecognisable, in place, and return the image.

    Of each box, enlarged to hold the head, only the means of 5 x 5 blocks are kept, so the blur cannot be undone.
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


def _overlap(a: BoundingBox, b: BoundingBox) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def _within(start: int, length: int, limit: int) -> int:
    """Return the start nearest to `start` for which start..start + length lies in 0..limit."""
    return max(0, min(start, limit - length))


def _outline(image: Picture, left: int, top: int, right: int, bottom: int, line: int, colour: Colour) -> None:
    """Draw the outline of a rectangle, `line` pixels thick, inside these bounds.

    Four filled rectangles are faster than cv2's lines.
    """
    _fill(image, left, top, right, top + line, colour)
    _fill(image, left, bottom - line, right, bottom, colour)
    _fill(image, left, top, left + line, bottom, colour)
    _fill(image, right - line, top, right, bottom, colour)


def _fill(image: Picture, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
    """Fill the part of a rectangle that lies inside the image; right and bottom are exclusive."""
    if left < right and top < bottom:
        cv2.rectangle(image, (left, top), (right - 1, bottom - 1), colour, cv2.FILLED)


def _paste(image: Picture, patch: Picture, x: int, y: int) -> None:
    area = image[y : y + patch.shape[0], x : x + patch.shape[1]]
    area[:] = patch[: area.shape[0], : area.shape[1]]


@lru_cache(maxsize=4096)
def _label(words: str, size: int, colour: Colour) -> Picture:
    """Return a picture of words in black or white, whichever is easier to read, on `colour`."""
    blue, green, red = colour
    is_light = ink_on(f"#{red:02X}{green:02X}{blue:02X}") == DARK_INK
    ink: Colour = (0, 0, 0) if is_light else (255, 255, 255)
    return _words([words], size, round(size * 1.35), ink, colour)


@lru_cache(maxsize=16)
def _chart_ground(row: int, named: bool) -> Picture:
    """Return a chart without bars: rows of `row` pixels, with or without the names of the emotions."""
    pad = max(2, row // 4)
    bar = row * 4
    names = _words(EMOTIONS, row, row, (235, 235, 235), INK) if named else np.empty((7 * row, 0, 3), np.uint8)
    ground = np.full((7 * row + 2 * pad, names.shape[1] + bar + 2 * pad, 3), INK, np.uint8)
    ground[pad : pad + 7 * row, pad : pad + names.shape[1]] = names
    ground[pad : pad + 7 * row, -pad - bar : -pad] = 48
    return ground


def _chart(probabilities: Sequence[float], row: int, named: bool) -> Picture:
    """Return a chart of seven horizontal bars in the palette's colours; a full bar is a probability of 1."""
    chart = _chart_ground(row, named).copy()
    pad = max(2, row // 4)
    bar = row * 4
    thick = max(2, round(row * 0.7))
    start = chart.shape[1] - pad - bar
    for i, (probability, colour) in enumerate(zip(probabilities, EMOTION_COLOURS, strict=True)):
        top = pad + i * row + (row - thick) // 2
        _fill(chart, start, top, start + round(bar * probability), top + thick, colour)
    return chart


def _words(lines: Sequence[str], size: int, row: int, ink: Colour, ground: Colour) -> Picture:
    """Return a picture of lines of text, one every `row` pixels, in `ink` on `ground` (BGR)."""
    font = _font_for("".join(lines), size) or ImageFont.load_default(size)
    pad = max(2, size // 4)
    width = max(round(font.getlength(line)) for line in lines) + 2 * pad
    picture = Image.new("RGB", (width, row * len(lines)), ground)
    pen = ImageDraw.Draw(picture)
    for i, line in enumerate(lines):
        pen.text((pad, (i + 0.5) * row), line, fill=ink, font=font, anchor="lm")
    # The colours were given in BGR order, so no conversion is needed.
    return np.asarray(picture)
