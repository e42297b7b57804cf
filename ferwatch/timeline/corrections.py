"""Corrections of faces that a user makes after a run: names, merged and ignored faces, a region."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ferwatch.errors import DataError
from ferwatch.timeline.table import FrameTable

Region = tuple[float, float, float, float]
"""x, y, width and height in pixels."""


@dataclass(frozen=True)
class Corrections:
    """Corrections that a user makes to the faces of a run. run.json keeps them under "faces"."""

    names: Mapping[int, str] = field(default_factory=dict)
    """face_id -> display name; "" removes the name."""
    merge: Mapping[int, int] = field(default_factory=dict)
    """face_id -> face_id of the same person, into which the face is merged."""
    ignore: tuple[int, ...] = ()
    """face_ids of the faces that are left out."""
    region: Region | None = None
    """Rectangle that holds the centre of every face that is kept; None: all are kept."""

    def apply(self, table: FrameTable) -> FrameTable:
        """Return the table with faces merged and left out; a frame that loses all its faces keeps a row without one.

        Raises DataError where a face is not in the table, or two faces to be merged are seen together.
        """
        self._check(table)
        face_id = table.face_id.copy()
        for old in self.merge:
            face_id[table.face_id == old] = self._merged(old)
        out = np.isin(face_id, self.ignore)
        if self.region is not None:
            x, y, width, height = self.region
            centre_x, centre_y = table.bbox[:, 0] + table.bbox[:, 2] / 2, table.bbox[:, 1] + table.bbox[:, 3] / 2
            inside = (x <= centre_x) & (centre_x < x + width) & (y <= centre_y) & (centre_y < y + height)
            out |= table.success & ~inside
        return _without(replace(table, face_id=face_id), out)

    def _merged(self, face_id: int) -> int:
        seen = {face_id}
        while face_id in self.merge:
            face_id = self.merge[face_id]
            if face_id in seen:
                raise DataError(f"--merge goes round in a circle: face {face_id} would become itself")
            seen.add(face_id)
        return face_id

    def _check(self, table: FrameTable) -> None:
        for face_id in (*self.names, *self.merge, *self.merge.values(), *self.ignore):
            if face_id not in table.face_ids:
                known = ", ".join(map(str, table.face_ids)) or "none"
                raise DataError(f"there is no face {face_id}; the faces are: {known}")
        for old in self.merge:
            new = self._merged(old)
            together = np.intersect1d(table.frame[table.face_id == old], table.frame[table.face_id == new])
            if len(together):
                time = table.timestamp[table.frame == together[0]][0]
                raise DataError(f"faces {old} and {new} are both seen at {time:.3f} s: they cannot be one person")


def _without(table: FrameTable, out: np.ndarray) -> FrameTable:
    """Return the table without the faces of the rows marked in `out` (R,), sorted by frame and face."""
    blank = {name: np.where(out, np.nan, getattr(table, name)) for name in ("score",)}
    for name in ("bbox", "probabilities"):
        blank[name] = np.where(out[:, None], np.nan, getattr(table, name))
    table = replace(table, face_id=np.where(out, 0, table.face_id), **blank)
    table = table.select(np.lexsort((table.face_id, table.frame)))
    # Rows without a face sort first within a frame: only the last one stays, and only if no face follows.
    followed = np.append(table.frame[1:] == table.frame[:-1], False) if len(table) else np.zeros(0, bool)
    return table.select(table.success | ~followed)


def read_corrections(facts: Mapping[str, Any]) -> Corrections:
    """Return the corrections that run.json keeps, empty where there are none. Raises DataError if damaged."""
    kept = facts.get("faces") or {}
    try:
        return Corrections(
            names={int(face): str(name) for face, name in kept.get("names", {}).items()},
            merge={int(face): int(other) for face, other in kept.get("merge", {}).items()},
            ignore=tuple(int(face) for face in kept.get("ignore", ())),
            region=tuple(float(side) for side in kept["region"]) if kept.get("region") else None,  # type: ignore[arg-type]
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f'"faces" in run.json cannot be read: {error}') from None


def facts_of(corrections: Iterable[Corrections]) -> dict[str, Any]:
    """Return the plain values that run.json keeps of successive corrections; a later name or region wins."""
    names: dict[int, str] = {}
    merge: dict[int, int] = {}
    ignore: set[int] = set()
    region: Region | None = None
    for each in corrections:
        names |= each.names
        merge |= each.merge
        ignore |= set(each.ignore)
        region = each.region or region
    return {
        "names": {str(face): name for face, name in sorted(names.items()) if name},
        "merge": {str(face): other for face, other in sorted(merge.items())},
        "ignore": sorted(ignore),
        "region": region,
    }
