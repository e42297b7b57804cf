"""Tiles of a picture, and which of them a video has changed since they were looked at."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.records import BoundingBox

SMALLEST_TILE = 64
"""Pixels; a face in a smaller one shows no expression."""
CHANGE = 12
"""How much brighter or darker of 255 a part of the picture has to be for another."""
ROWS, COLUMNS = 9, 16
"""A picture's parts."""


def tile_levels(width: int, height: int) -> list[list[BoundingBox]]:
    """Overlapping squares that cover a picture: of its shorter side, of half of it, and of a quarter in a large one."""
    shorter = min(width, height)
    sides = [shorter, shorter / 2, shorter / 4] if shorter >= 960 else [shorter, shorter / 2]
    return [
        [BoundingBox(x, y, side, side) for y in _starts(height, side) for x in _starts(width, side)]
        for side in sides
        if side >= SMALLEST_TILE
    ]


def _starts(length: int, side: float) -> list[float]:
    """Where tiles begin so that neighbours share at least a third."""
    starts: list[float] = np.linspace(0, length - side, 1 + ceil((length - side) / (side * 2 / 3))).tolist()
    return starts


class Changes:
    """What has changed in a video since it was last looked at, tile by tile. A new scene has changed everywhere.

    Follow it with see() for each picture, in order; ask tiles() where to look, and tell looked_at() what was looked at.
    """

    def __init__(self) -> None:
        self._size = (0, 0)
        self._picture = np.zeros((ROWS, COLUMNS), np.int16)

    def see(self, image: NDArray[Any]) -> bool:
        """Takes in the next picture (H, W, 3); returns whether it begins a new scene: most of it is another."""
        height, width = image.shape[:2]
        before, self._picture = self._picture, _parts(image)
        new = (width, height) != self._size or bool(np.mean(np.abs(self._picture - before) > CHANGE) > 0.5)
        if (width, height) != self._size:
            self._size, self._levels = (width, height), tile_levels(width, height)
        if new:
            self._looked = [np.full((ROWS, COLUMNS), -255, np.int16) for _ in self._levels]
        return new

    def all_tiles(self) -> list[BoundingBox]:
        return [tile for level in self._levels for tile in level]

    def tiles(self, known: Iterable[BoundingBox] = (), at_most: int | None = None) -> list[BoundingBox]:
        """Tiles that cover what has changed, of each size at most so many, most change first.

        Around `known` boxes things may move.
        """
        apart = np.ones((ROWS, COLUMNS), bool)
        for x, y, width, height in known:
            apart[self._parts_of(BoundingBox(x - width / 2, y - height / 2, 2 * width, 2 * height))] = False
        tiles = []
        for level, looked in zip(self._levels, self._looked, strict=True):
            change = np.abs(self._picture - looked) * apart
            change[change <= CHANGE] = 0
            for _ in level[:at_most]:
                amounts = [change[self._parts_of(tile)].sum() for tile in level]
                most = int(np.argmax(amounts))
                if not amounts[most]:
                    break
                tiles.append(level[most])
                change[self._parts_of(level[most])] = 0
        return tiles

    def looked_at(self, tiles: Iterable[BoundingBox]) -> None:
        for tile in tiles:
            for level, looked in zip(self._levels, self._looked, strict=True):
                if level[0][2] == tile[2]:
                    looked[self._parts_of(tile)] = self._picture[self._parts_of(tile)]

    def _parts_of(self, box: BoundingBox) -> tuple[slice, slice]:
        width, height = self._size
        x, y, w, h = box
        rows = slice(max(0, floor(y / height * ROWS)), max(0, ceil((y + h) / height * ROWS)))
        return rows, slice(max(0, floor(x / width * COLUMNS)), max(0, ceil((x + w) / width * COLUMNS)))


def _parts(image: NDArray[Any]) -> NDArray[np.int16]:
    """(9, 16) brightness of the parts of a picture (H, W, 3)."""
    step = max(1, min(image.shape[:2]) // 72)
    small = cv2.resize(image[::step, ::step], (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.int16)
