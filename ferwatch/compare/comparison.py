"""Compares the probabilities of two faces, and tells which changes exceed the model's own jitter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import FerwatchError
from ferwatch.evaluation.metrics import jensen_shannon
from ferwatch.faces.align import align, similarity_transform
from ferwatch.faces.detection import FaceDetector
from ferwatch.faces.search import search_image
from ferwatch.pipeline.snapshot import Snapshot
from ferwatch.records import EMOTIONS, Face, FaceResult, FrameResult
from ferwatch.video.sampling import ROUNDING

Classify = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""Maps (N, 48, 48) uint8 gray crops to (N, 7) probabilities."""

MIN_CHANGE_DEVIATIONS = 3.0
"""Number of standard deviations of the jitter that a change has to exceed to be marked."""
MIN_CHANGE = 0.01
"""Smallest change of a probability that is marked: one percentage point."""


@dataclass(frozen=True)
class Side:
    """One of the two faces that are compared."""

    snapshot: Snapshot
    """Picture that shows the face."""
    face: Face
    crops: NDArray[np.uint8]
    """(K, 48, 48) gray crops of the same face from nearby frames, or shifted by up to a pixel."""
    jitter_source: str
    """Where `crops` come from: "neighbouring frames" or "crops shifted by a pixel"."""


@dataclass(frozen=True)
class Comparison:
    """The answers of one model for two faces."""

    model: str
    left: Side
    right: Side
    before: NDArray[np.float64]
    """(7,) probabilities of the left face."""
    after: NDArray[np.float64]
    """(7,) probabilities of the right face."""
    jitter: NDArray[np.float64]
    """(2, 7) standard deviation of each probability over the crops of the left face and of the right face."""

    @property
    def change(self) -> NDArray[np.float64]:
        """(7,) differences of the probabilities, right face minus left face."""
        return self.after - self.before

    @property
    def beyond_jitter(self) -> NDArray[np.bool_]:
        """(7,) flags: whether each class's change exceeds the combined jitter of both faces."""
        deviation = np.sqrt((self.jitter**2).sum(axis=0))
        return (np.abs(self.change) > MIN_CHANGE_DEVIATIONS * deviation) & (np.abs(self.change) >= MIN_CHANGE)

    @property
    def divergence(self) -> float:
        """Jensen-Shannon divergence in bits, from 0 (identical) to 1 (disjoint)."""
        return float(jensen_shannon(self.before, self.after))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; probabilities by emotion, in the order of EMOTIONS."""
        return {
            "model": self.model,
            "left": _side_as_dict(self.left, self.before, self.jitter[0]),
            "right": _side_as_dict(self.right, self.after, self.jitter[1]),
            "change": _by_name(self.change),
            "beyond_jitter": [e for e, beyond in zip(EMOTIONS, self.beyond_jitter, strict=True) if beyond],
            "jensen_shannon_bits": round(self.divergence, 6),
        }


def faces_to_compare(snapshots: list[Snapshot], face_id: int | None = None) -> list[tuple[tuple[Snapshot, Face], ...]]:
    """Return the pairs of faces to compare.

    One snapshot gives each face with the next to its right; two snapshots give the faces that are in both, by id.

    Args:
        snapshots: one or two.
        face_id: compare only this face of two snapshots.

    Raises FerwatchError where there is no such pair.
    """
    if len(snapshots) == 1:
        (only,) = snapshots
        if len(only.faces) < 2:
            count = "one face" if only.faces else "no face"
            raise FerwatchError(f"{only.name}: {count} was found, and a comparison needs two; give a second image")
        ordered = sorted(only.faces, key=lambda face: face.bbox.x + face.bbox.width / 2)
        return [((only, a), (only, b)) for a, b in pairwise(ordered)]
    for snapshot in snapshots:
        if not snapshot.faces:
            raise FerwatchError(f"{snapshot.name}: no face was found")
    if face_id is not None:
        return [tuple((snapshot, snapshot.face(face_id)) for snapshot in snapshots)]
    common = sorted(set.intersection(*({face.face_id for face in snapshot.faces} for snapshot in snapshots)))
    if not common:
        shown = "; ".join(f"{s.name}: face {', '.join(str(f.face_id) for f in s.faces)}" for s in snapshots)
        raise FerwatchError(f"nobody is in both ({shown})")
    return [tuple((snapshot, snapshot.face(number)) for snapshot in snapshots) for number in common]


def sample_jitter(snapshot: Snapshot, face: Face, detector: FaceDetector) -> Side:
    """Return a face with the crops from which the model's jitter is measured.

    The crops are those of the same face in neighbouring frames. An image has none, and neither has a video whose
    frames are far apart: there the crop is shifted by one of its pixels in each of eight directions.
    """
    crops = [
        near.crop for frame in snapshot.neighbours if (near := _same_face(face, search_image(frame.image, detector)))
    ]
    if len(crops) >= 2:
        return Side(snapshot, face, np.stack([face.crop, *crops]), "neighbouring frames")
    crop_pixel = np.float32(1 / np.hypot(*similarity_transform(face.landmarks)[:, 0]))  # in pixels of the picture
    shifts = [np.array((x, y), np.float32) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    shifted = [align(snapshot.image, face.landmarks + shift * crop_pixel) for shift in shifts]
    return Side(snapshot, face, np.stack(shifted), "crops shifted by a pixel")


def compare(left: Side, right: Side, model: str, classify: Classify) -> Comparison:
    """Return one model's answers for two faces, with the jitter of each."""
    before, after = classify(np.stack([left.face.crop, right.face.crop]))
    jitter = np.stack([classify(side.crops).std(axis=0, ddof=1) for side in (left, right)])
    return Comparison(model, left, right, before, after, jitter)


@dataclass(frozen=True)
class Change:
    """Results of one face at two times of a video."""

    face_id: int
    start: float
    """Time of `before` in seconds."""
    end: float
    """Time of `after` in seconds."""
    before: FaceResult
    after: FaceResult

    @property
    def divergence(self) -> float:
        """Jensen-Shannon divergence in bits."""
        return float(jensen_shannon(np.array(self.before.probabilities), np.array(self.after.probabilities)))


def largest_changes(results: Iterable[FrameResult], interval: float) -> list[Change]:
    """Return how each face changes from one time to the next through a video, the largest divergence first.

    Args:
        results: the sampled frames in order.
        interval: seconds between two times; each is represented by the first sample at or after it.

    A face that is missing at one of two times has no change between them.
    """
    changes: list[Change] = []
    earlier: FrameResult | None = None
    next_time = 0.0
    for result in results:
        if result.timestamp + ROUNDING < next_time:
            continue
        next_time = (result.timestamp + ROUNDING) // interval * interval + interval
        if earlier:
            earlier_faces = {face.face_id: face for face in earlier.faces}
            changes += [
                Change(face.face_id, earlier.timestamp, result.timestamp, earlier_faces[face.face_id], face)
                for face in result.faces
                if face.face_id in earlier_faces
            ]
        earlier = result
    return sorted(changes, key=lambda change: -change.divergence)


def _same_face(face: Face, candidates: list[Face]) -> Face | None:
    """Return the candidate nearest to a face, or None where all are more than half its width away."""

    def distance(other: Face) -> float:
        return float(np.hypot(*(np.mean(other.landmarks - face.landmarks, axis=0))))

    nearest = min(candidates, key=distance, default=None)
    return nearest if nearest and distance(nearest) < face.bbox.width / 2 else None


def _side_as_dict(side: Side, probabilities: NDArray[np.float64], jitter: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "source": side.snapshot.name,
        "timestamp": None if side.snapshot.timestamp is None else round(side.snapshot.timestamp, 3),
        "face_id": side.face.face_id,
        "box": [round(v, 1) for v in side.face.bbox],
        "detection_score": round(side.face.score, 3),
        "emotion": EMOTIONS[int(probabilities.argmax())],
        "probabilities": _by_name(probabilities),
        "jitter": _by_name(jitter),
        "jitter_from": f"{len(side.crops)} {side.jitter_source}",
    }


def _by_name(values: NDArray[np.float64]) -> dict[str, float]:
    return {emotion: round(float(value), 6) for emotion, value in zip(EMOTIONS, values, strict=True)}


def table(comparisons: list[Comparison]) -> str:
    """Return one pair as text, models side by side: each class before and after in percent, its change in points."""
    first = comparisons[0]
    pair = f"{_title(first.left)}  ->  {_title(first.right)}"
    cells = [["", *(c.model for c in comparisons)]]
    for i, emotion in enumerate(EMOTIONS):
        cells.append([emotion])
        for c in comparisons:
            mark = " *" if c.beyond_jitter[i] else "  "
            cells[-1].append(f"{c.before[i]:6.1%} -> {c.after[i]:6.1%} {100 * c.change[i]:+6.1f}{mark}")
    tops = [(EMOTIONS[int(c.before.argmax())], EMOTIONS[int(c.after.argmax())]) for c in comparisons]
    cells.append(["top label", *(f"{before} -> {after}" for before, after in tops)])
    cells.append(["divergence", *(f"{c.divergence:.3f} bit" for c in comparisons)])
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = ["  ".join(f"{v:<{w}}" for v, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    crops = sorted({f"{len(s.crops)} {s.jitter_source}" for s in (first.left, first.right)})
    note = (
        f"* more than {MIN_CHANGE_DEVIATIONS:g} standard deviations of the model's own jitter ({' and '.join(crops)})"
    )
    return "\n".join([pair, "", *lines, "", note])


def _title(side: Side) -> str:
    return f"{side.snapshot.name}, face {side.face.face_id}"
