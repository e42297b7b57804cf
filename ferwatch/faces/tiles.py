"""Tiles of a picture, and MotionTiles: which of them have changed since they were searched."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.records import BoundingBox

MIN_TILE_SIDE = 64
"""Pixels. A face found in a smaller tile is too small to show an expression."""
MIN_LARGE_PICTURE_SIDE = 960
"""Pixels. Pictures whose shorter side has at least this many are also searched in quarter-size tiles."""
MIN_BRIGHTNESS_CHANGE = 12
"""Difference in mean brightness (0 to 255) above which a grid cell counts as changed."""
NEW_SCENE_FRACTION = 0.5
"""Fraction of the grid cells that change at once when a new scene begins."""
GRID_ROWS, GRID_COLUMNS = 9, 16
"""The grid of cells in which brightness is compared."""


def tile_levels(width: int, height: int) -> list[list[BoundingBox]]:
    """Return overlapping squares that cover a picture, in pixels, one list for each size, largest first.

    Their sides are the picture's shorter side, half of it and, for large pictures, a quarter of it.
    """
    shorter = min(width, height)
    sides = [shorter, shorter / 2, shorter / 4] if shorter >= MIN_LARGE_PICTURE_SIDE else [shorter, shorter / 2]
    return [
        [BoundingBox(x, y, side, side) for y in _starts(height, side) for x in _starts(width, side)]
        for side in sides
        if side >= MIN_TILE_SIDE
    ]


def _starts(length: int, side: float) -> list[float]:
    """Return where tiles begin along one axis, so that neighbours overlap by at least a third."""
    starts: list[float] = np.linspace(0, length - side, 1 + ceil((length - side) / (side * 2 / 3))).tolist()
    return starts


class MotionTiles:
    """Tracks which tiles of a video's picture have changed since they were last searched; in a new scene all have.

    For each picture, in order, call update(); search what tiles() returns, and report it to mark_searched().
    """

    def __init__(self) -> None:
        self._size = (0, 0)
        self._brightness = np.zeros((GRID_ROWS, GRID_COLUMNS), np.int16)

    def update(self, image: NDArray[Any]) -> bool:
        """Take the next picture, (H, W, 3); return whether a new scene begins with it."""
        height, width = image.shape[:2]
        before, self._brightness = self._brightness, cell_brightness(image).astype(np.int16)
        is_new_scene = (width, height) != self._size or is_scene_change(before, self._brightness)
        if (width, height) != self._size:
            self._size, self._levels = (width, height), tile_levels(width, height)
        if is_new_scene:
            never = np.full((GRID_ROWS, GRID_COLUMNS), -255, np.int16)
            self._searched = [never.copy() for _ in self._levels]
        return is_new_scene

    def all_tiles(self) -> list[BoundingBox]:
        """Return every tile of the current picture."""
        return [tile for level in self._levels for tile in level]

    def tiles(self, known: Iterable[BoundingBox] = (), max_per_level: int | None = None) -> list[BoundingBox]:
        """Return tiles that cover the changed grid cells, those with the most change first.

        Args:
            known: boxes of faces that are searched anyway; change in and around them does not count.
            max_per_level: largest number of tiles of each size; None: as many as needed.
        """
        counts = np.ones((GRID_ROWS, GRID_COLUMNS), bool)
        for x, y, width, height in known:
            counts[self._cells(BoundingBox(x - width / 2, y - height / 2, 2 * width, 2 * height))] = False
        tiles = []
        for level, searched in zip(self._levels, self._searched, strict=True):
            change = np.abs(self._brightness - searched) * counts
            change[change <= MIN_BRIGHTNESS_CHANGE] = 0
            for _ in level[:max_per_level]:
                amounts = [change[self._cells(tile)].sum() for tile in level]
                largest = int(np.argmax(amounts))
                if not amounts[largest]:
                    break
                tiles.append(level[largest])
                change[self._cells(level[largest])] = 0
        return tiles

    def mark_searched(self, tiles: Iterable[BoundingBox]) -> None:
        """Record that tiles of the current picture have been searched."""
        for tile in tiles:
            for level, searched in zip(self._levels, self._searched, strict=True):
                if level[0][2] == tile[2]:
                    searched[self._cells(tile)] = self._brightness[self._cells(tile)]

    def _cells(self, box: BoundingBox) -> tuple[slice, slice]:
        """Return the rows and columns of the grid that a box in pixels touches."""
        width, height = self._size
        x, y, w, h = box
        rows = slice(max(0, floor(y / height * GRID_ROWS)), max(0, ceil((y + h) / height * GRID_ROWS)))
        return rows, slice(max(0, floor(x / width * GRID_COLUMNS)), max(0, ceil((x + w) / width * GRID_COLUMNS)))


def is_scene_change(before: NDArray[np.integer] | None, after: NDArray[np.integer] | None) -> bool:
    """Return whether most cells change between two frames, given as (9, 16) cell brightness; False if one is None.

    A fast pan counts as one too.
    """
    if before is None or after is None:
        return False
    changed = np.abs(after.astype(np.int16) - before) > MIN_BRIGHTNESS_CHANGE
    return bool(np.mean(changed) > NEW_SCENE_FRACTION)


def cell_brightness(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the mean brightness, 0 to 255, of each grid cell of a picture (H, W, 3), as (9, 16)."""
    step = max(1, min(image.shape[:2]) // 72)
    small = cv2.resize(image[::step, ::step], (GRID_COLUMNS, GRID_ROWS), interpolation=cv2.INTER_AREA)
    gray: NDArray[Any] = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    return gray
