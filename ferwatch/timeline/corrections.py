"""Corrections of faces that a user makes after a run: names, merged and ignored faces, a region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ferwatch.errors import DataError
from ferwatch.records import Region, are_centres_in
from ferwatch.timeline.table import FrameTable


@dataclass(frozen=True)
class Corrections:
    """Corrections that a user makes to the faces of a run. run.json keeps them under "faces"."""

    names: Mapping[int, str] = field(default_factory=dict)
    """face_id -> display name; "" removes the name."""
    merge: Mapping[int, int] = field(default_factory=dict)
    """face_id -> face_id of the same person, into which the face is merged."""
    ignore: tuple[int, ...] = ()
    """face_ids of the faces that are left out."""
    keep: tuple[int, ...] = ()
    """face_ids of the faces that count even if they never move."""
    region: Region | None = None
    """Rectangle that holds the centre of every face that is kept; None: all are kept."""

    def apply(self, table: FrameTable, earlier: Corrections | None = None) -> FrameTable:
        """Return a table of measured rows with the earlier corrections and these.

        Faces are merged and left out; a frame that loses all its faces keeps a row without one. Raises DataError where
        a face is not there after the earlier corrections, or faces to be merged are seen together.
        """
        earlier = earlier or Corrections()
        self._check(table, earlier)
        return earlier.followed_by(self)._applied(table)

    def followed_by(self, later: Corrections) -> Corrections:
        """Return both corrections as one; a later name, merge or region replaces the earlier one."""
        return Corrections(
            names={face: name for face, name in {**self.names, **later.names}.items() if name},
            merge={**self.merge, **later.merge},
            ignore=tuple(sorted({*self.ignore, *later.ignore})),
            keep=tuple(sorted({*self.keep, *later.keep})),
            region=later.region or self.region,
        )

    def _applied(self, table: FrameTable) -> FrameTable:
        if self.region is not None:
            table = _without(table, table.success & ~are_centres_in(self.region, table.bbox))
        face_id = table.face_id.copy()
        for old in self.merge:
            face_id[table.face_id == old] = self._merged(old)
        for old in reversed(self.merge):  # the latest first
            others = (face_id == self._merged(old)) & (table.face_id != old)
            together = np.intersect1d(table.frame[table.face_id == old], table.frame[others])
            if len(together):
                first = np.flatnonzero(others & (table.frame == together[0]))[0]
                raise DataError(
                    f"faces {old} and {table.face_id[first]} are both seen at {table.timestamp[first]:.3f} s: they "
                    "cannot be one person"
                )
        return _without(replace(table, face_id=face_id), np.isin(face_id, self.ignore))

    def _merged(self, face_id: int) -> int:
        seen = {face_id}
        while face_id in self.merge:
            face_id = self.merge[face_id]
            if face_id in seen:
                raise DataError(f"--merge goes round in a circle: face {face_id} would become itself")
            seen.add(face_id)
        return face_id

    def _check(self, table: FrameTable, earlier: Corrections) -> None:
        """Raise DataError where a face is not there; what the earlier corrections say already may be said again."""
        faces = replace(earlier, region=None if self.region else earlier.region)._applied(table).face_ids
        merge = {old: new for old, new in self.merge.items() if earlier.merge.get(old) != new}
        named = (
            *(face for face, name in self.names.items() if earlier.names.get(face) != name),
            *(old for old in merge if old not in earlier.merge),
            *merge.values(),
            *(face for face in self.ignore if face not in earlier.ignore),
            *(face for face in self.keep if face not in earlier.keep),
        )
        for face_id in named:
            if face_id not in faces:
                known = ", ".join(map(str, faces)) or "none"
                raise DataError(f"there is no face {face_id}; the faces are: {known}")


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
            keep=tuple(int(face) for face in kept.get("keep", ())),
            region=tuple(float(side) for side in kept["region"]) if kept.get("region") else None,  # type: ignore[arg-type]
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f'"faces" in run.json cannot be read: {error}') from None


def facts_of(corrections: Corrections) -> dict[str, Any]:
    """Return the plain values that run.json keeps of corrections."""
    return {
        "names": {str(face): name for face, name in sorted(corrections.names.items()) if name},
        "merge": {str(face): other for face, other in sorted(corrections.merge.items())},
        "ignore": sorted(corrections.ignore),
        "keep": sorted(corrections.keep),
        "region": corrections.region,
    }
