"""A photograph of a face, drawn with other expressions.

An expression is a set of places for MediaPipe's face landmarks. A thin-plate spline through them warps the photograph,
once for the skin above the parting of the lips and once for the skin below it, so that a mouth can close over the
teeth of a photographed smile and open again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import mediapipe as mp
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator, RBFInterpolator

Array = NDArray[np.float64]

# MediaPipe's landmark numbers, from left to right in the picture; the outer corners belong to both lips.
UPPER_OUTER = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291]
UPPER_INNER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]
LOWER_INNER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]
LOWER_OUTER = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291]
LIPS = sorted({*UPPER_OUTER, *UPPER_INNER, *LOWER_INNER, *LOWER_OUTER})
RIGHT_BROW = [70, 63, 105, 66, 107, 46, 53, 52, 65, 55]  # temple to nose, the upper edge and then the lower one
LEFT_BROW = [300, 293, 334, 296, 336, 276, 283, 282, 295, 285]
UPPER_LIDS = [246, 161, 160, 159, 158, 157, 173, 398, 384, 385, 386, 387, 388, 466]
LOWER_LIDS = [7, 163, 144, 145, 153, 154, 155, 382, 381, 380, 374, 373, 390, 249]
EYE_CORNERS = [33, 133, 362, 263]
NOSE = [168, 6, 197, 195, 5, 4, 1, 129, 358, 98, 327, 2]
CHEEKS = [50, 205, 425, 280]
JAW = [58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288]
SKULL = [132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361]
FOLDS = [[203, 206, 216, 57], [423, 426, 436, 287]]  # from the nose to the corners of the mouth
IRISES = [468, 473]
BESIDES_LIPS = [61, 291, *RIGHT_BROW, *LEFT_BROW, *UPPER_LIDS, *LOWER_LIDS, *EYE_CORNERS, *NOSE, *CHEEKS, *JAW, *SKULL]


def smoothstep(x: Array | float) -> Array:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


@dataclass(frozen=True)
class Expression:
    """One expression of one face: where its landmarks are, and how deep the folds of a smile are cut (0 to 1)."""

    points: Array
    """(478, 2) pixels of the photograph."""
    folds: float

    def towards(self, other: Expression, share: float) -> Expression:
        """The expression on the way to `other`, from 0 (this one) to 1."""
        points = self.points + share * (other.points - self.points)
        return Expression(points, self.folds + share * (other.folds - self.folds))


class Portrait:
    """A photograph of one face that can be drawn with other expressions.

    Points are (x, y) in pixels of the photograph. Moves are (right, down) in units of the distance between the irises.
    """

    def __init__(self, photograph: NDArray[np.uint8]) -> None:
        with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
            landmarks = mesh.process(cv2.cvtColor(photograph, cv2.COLOR_BGR2RGB)).multi_face_landmarks[0].landmark
        height, width = photograph.shape[:2]
        self.points = np.array([(p.x * width, p.y * height) for p in landmarks])
        self.depth = np.array([p.z * width for p in landmarks])
        right = self.points[IRISES[1]] - self.points[IRISES[0]]
        self.unit = float(np.hypot(*right))
        self.axes = np.array([right, (-right[1], right[0])]) / self.unit
        self.mouth = self.points[[61, 291]].mean(0)
        outline = self.points[JAW + SKULL]
        self.centre, self.size = (outline.min(0) + outline.max(0)) / 2, np.ptp(outline, axis=0)
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        self.ring = np.stack([np.cos(turn), np.sin(turn)], axis=1) * self.size
        self.skin = photograph.astype(np.float32)
        self.smooth_skin = self._without_folds()
        self.lid_skin = cv2.GaussianBlur(self.skin, (0, 0), 0.03 * self.unit)
        self.inside = self._inside_of_the_mouth()

    def place(self, points: Array) -> Array:
        """(n, 2) where points are, in units, from the middle of the photographed mouth."""
        return (points - self.mouth) @ self.axes.T / self.unit

    def points_at(self, place: Array) -> Array:
        """The inverse of `place`."""
        return place @ self.axes * self.unit + self.mouth

    def draw(self, expression: Expression, closed: float, shift: Array, turn: Array, xy: Array) -> Array:
        """(h, w, 3): what shows at the points `xy` (h, w, 2), the eyes `closed` from 0 to 1, the head moved by `shift`
        units and turned by `turn`, both (2,)."""
        # What is nearer to the camera moves further when the head turns.
        target = expression.points + shift * self.unit + self.depth[:, None] * turn
        x, y = xy[..., 0], xy[..., 1]
        left, right = target[[78, 308], 0]
        top, bottom = (PchipInterpolator(*target[lip].T)(np.clip(x, left, right)) for lip in (UPPER_INNER, LOWER_INNER))
        beyond = np.maximum(0, np.maximum(left - x, x - right)) / self.unit
        middle, gap = (top + bottom) / 2, (bottom - top) / self.unit
        below = smoothstep(0.5 + (y - middle) / self.unit / (0.02 + 1.5 * beyond))[..., None]
        source = self._source(target, shift, UPPER_OUTER + UPPER_INNER, xy) * (1 - below)
        source += self._source(target, shift, LOWER_OUTER + LOWER_INNER, xy) * below
        face = _sample(self.smooth_skin, source)
        face = face + (_sample(self.skin, source) - face) * expression.folds
        if closed:
            face = self._close_lids(face, source, closed)
        opening = np.clip(np.minimum(y - top, bottom - y) / self.unit / 0.015, 0, 1)[..., None]
        face += (_sample(self.inside, xy - shift * self.unit) - face) * opening
        # Closed lips part in a fine dark line; it fades where they open and towards the corners.
        line = np.exp(-0.5 * ((y - middle) / self.unit / 0.016) ** 2)
        line *= np.clip(1 - beyond / 0.03, 0, 1) * np.clip(1 - gap / 0.06, 0, 1)
        return face * (1 - line[..., None] * (0.45, 0.45, 0.35))

    def _source(self, target: Array, shift: Array, lip: list[int], xy: Array) -> Array:
        """(h, w, 2): the points of the photograph that show at `xy` when the landmarks are at `target`."""
        which = sorted({*BESIDES_LIPS, *lip})
        # Hair moves with the head, collar and background stay.
        near, far = self.centre + self.ring * 0.85, self.centre + self.ring * 1.2
        follows = smoothstep(0.8 - self.ring[:, 1:] / self.size[1])
        moved = np.concatenate([target[which], near + shift * self.unit * follows, far])
        spline = RBFInterpolator(moved, np.concatenate([self.points[which], near, far]) - moved)
        step, low = 0.06 * self.unit, self.centre - self.size * 1.25
        columns, rows = np.ceil(self.size * 2.5 / step).astype(int)
        nodes = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) * step + low
        back = spline(nodes.reshape(-1, 2)).reshape(nodes.shape)
        back *= smoothstep((1.2 - np.linalg.norm((nodes - self.centre) / self.size, axis=-1)) / 0.3)[..., None]
        at = ((xy - low) / step).astype(np.float32)
        return xy + cv2.remap(back.astype(np.float32), at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)

    def _close_lids(self, face: Array, source: Array, closed: float) -> Array:
        """Paints the lids in the colour of the skin above the eyes, and the line of the lashes along their edge."""
        x, y = source[..., 0], source[..., 1]
        for corners, lids in ((EYE_CORNERS[:2], slice(0, 7)), (EYE_CORNERS[2:], slice(7, 14))):
            top, bottom = (
                np.interp(x, *self.points[[corners[0], *lid[lids], corners[1]]].T) for lid in (UPPER_LIDS, LOWER_LIDS)
            )
            left, right = self.points[corners, 0]
            inside = smoothstep(np.minimum(x - left, right - x) / self.unit / 0.04)
            edge = top + closed * (bottom - top)
            height = (bottom - top) / self.unit
            lid = smoothstep((y - top) / self.unit / 0.05 + np.minimum(1.8, 12 * height))
            lid *= smoothstep(0.5 + (edge - y) / self.unit / 0.02)
            lashes = 0.65 * np.exp(-0.5 * ((y - edge) / self.unit / 0.018) ** 2)
            alpha = (inside * min(1, 3 * closed))[..., None]
            colour = _sample(self.lid_skin, np.stack([x, top - 0.12 * self.unit], axis=-1)) * 0.92
            face = face + alpha * lid[..., None] * (colour - face)
            face = face * (1 - alpha * lashes[..., None] * (1, 1, 0.85))
        return face

    def _without_folds(self) -> Array:
        """The photograph with the folds that a smile cuts smoothed away."""
        mask = np.zeros(self.skin.shape[:2], np.uint8)
        for fold in FOLDS:
            cv2.polylines(mask, [np.round(self.points[fold]).astype(int)], False, 255, round(0.35 * self.unit))
        mask = cv2.GaussianBlur(mask / 255, (0, 0), 0.1 * self.unit)[..., None]
        smooth = cv2.GaussianBlur(self.skin, (0, 0), 0.25 * self.unit)
        return (self.skin * (1 - mask) + smooth * mask).astype(np.float32)

    def _inside_of_the_mouth(self) -> Array:
        """The photographed teeth, and around them the dark of a mouth with the tongue below."""
        height, width = self.skin.shape[:2]
        down = self.place(np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1))[..., 1:]
        dark = np.array([26.0, 20, 42]) + np.array([36.0, 38, 76]) * smoothstep((down - 0.3) / 0.25)
        mask = np.zeros((height, width), np.uint8)
        lower_edge = self.points[LOWER_INNER[::-1]] - (0, 0.01 * self.unit)
        outline = np.concatenate([self.points[UPPER_INNER], lower_edge])
        cv2.fillPoly(mask, [np.round(outline * 16).astype(int)], 255, cv2.LINE_AA, shift=4)
        mask = cv2.GaussianBlur(mask / 255, (0, 0), 0.015 * self.unit)[..., None]
        return (dark * (1 - mask) + self.skin * mask).astype(np.float32)


def _sample(picture: Array, points: Array) -> Array:
    return cv2.remap(picture, points.astype(np.float32), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


class Face:
    """Builds one expression of a portrait out of moves from the photographed one."""

    def __init__(self, portrait: Portrait) -> None:
        self.portrait, self.points = portrait, portrait.points.copy()

    def move(self, which: list[int], right: Array | float, down: Array | float) -> Face:
        move = np.stack(np.broadcast_arrays(right, down, np.zeros(len(which)))[:2], axis=-1)
        self.points[which] += move @ self.portrait.axes * self.portrait.unit
        return self

    def mouth(self, width: float, line: float, corners: float, lips: Sequence[float], gape: Sequence[float]) -> Face:
        """Sets the mouth: `width` against the photograph's; `line`, how far down the lips meet, and `corners`, how much
        further down their ends hang; the thickness of upper and lower lip; how far each has left the line."""
        place = self.portrait.place(self.portrait.points)
        for sign, inner, outer, lip, away in (
            (-1, UPPER_INNER, UPPER_OUTER, lips[0], gape[0]),
            (1, LOWER_INNER, LOWER_OUTER, lips[1], gape[1]),
        ):
            for curve, thickness in ((inner, 0.0), (outer, lip)):
                across = np.clip(place[curve, 0] / place[291, 0], -1, 1)
                open_ = away * np.sqrt(np.clip(1 - (across * place[291, 0] / place[308, 0]) ** 2, 0, 1))
                down = line + corners * across**2 + sign * (open_ + thickness * (1 - np.abs(across) ** 2.2))
                self.points[curve] = self.portrait.points_at(np.stack([place[curve, 0] * width, down], axis=1))
        return self

    def brows(self, inner: tuple[float, float], outer: tuple[float, float]) -> Face:
        """Moves the ends of both brows, mirrored: (towards the nose, down)."""
        towards_nose = np.tile(np.linspace(0, 1, 5), 2)
        right, down = (outer[i] + (inner[i] - outer[i]) * towards_nose for i in (0, 1))
        return self.move(RIGHT_BROW, right, down).move(LEFT_BROW, -right, down)

    def lids(self, upper: float, lower: float) -> Face:
        """Moves the lids down, their middles most."""
        arch = np.tile(1 - np.linspace(-1, 1, 9)[1:-1] ** 2, 2)
        return self.move(UPPER_LIDS, 0, upper * arch).move(LOWER_LIDS, 0, lower * arch)

    def jaw(self, down: float) -> Face:
        return self.move(JAW, 0, down * (1 - np.linspace(-1, 1, len(JAW)) ** 2))

    def with_folds(self, folds: float) -> Expression:
        return Expression(self.points, folds)
