"""The pair comparison: two faces, their probabilities, and whether what changed is more than the model's own jitter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

from ferwatch.errors import FerwatchError
from ferwatch.faces.align import align, similarity
from ferwatch.faces.search import FaceFinder
from ferwatch.pipeline.snapshot import Moment
from ferwatch.records import EMOTIONS, Face, FaceResult, FrameResult
from ferwatch.video.sampling import ROUNDING

Classify = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""(N, 48, 48) crops -> (N, 7) probabilities."""

SIGNIFICANT = 3.0
"""A change counts as more than jitter from this many standard deviations, and from one percentage point, on."""


@dataclass(frozen=True)
class Side:
    """One of the two faces that are compared."""

    moment: Moment
    face: Face
    crops: NDArray[np.uint8]
    """(K, 48, 48): the face again in the frames around it, or a little shifted."""
    jitter_from: str
    """What the crops are: "neighbouring frames" or "crops shifted by a pixel"."""


@dataclass(frozen=True)
class Comparison:
    """What one model says of two faces."""

    model: str
    left: Side
    right: Side
    before: NDArray[np.float64]
    """(7,) probabilities of the left face."""
    after: NDArray[np.float64]
    """(7,) of the right face."""
    jitter: NDArray[np.float64]
    """(2, 7): standard deviation of each probability over the crops of the left and of the right face."""

    @property
    def change(self) -> NDArray[np.float64]:
        """(7,)"""
        return self.after - self.before

    @property
    def beyond_jitter(self) -> NDArray[np.bool_]:
        """(7,): whether a class's change is more than the jitter of both faces together."""
        deviation = np.sqrt((self.jitter**2).sum(axis=0))
        return (np.abs(self.change) > SIGNIFICANT * deviation) & (np.abs(self.change) >= 0.01)

    @property
    def divergence(self) -> float:
        """Jensen-Shannon divergence in bits: 0, the same, to 1, nothing in common."""
        return divergence(self.before, self.after)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values for JSON; probabilities in the order of EMOTIONS, by name."""
        return {
            "model": self.model,
            "left": _side_as_dict(self.left, self.before, self.jitter[0]),
            "right": _side_as_dict(self.right, self.after, self.jitter[1]),
            "change": _by_name(self.change),
            "beyond_jitter": [e for e, beyond in zip(EMOTIONS, self.beyond_jitter, strict=True) if beyond],
            "jensen_shannon_bits": round(self.divergence, 6),
        }


def divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Jensen-Shannon divergence of two distributions in bits (Lin 1991, https://doi.org/10.1109/18.61115)."""
    return float(jensenshannon(p, q, base=2)) ** 2


def faces_to_compare(moments: list[Moment], face_id: int | None = None) -> list[tuple[tuple[Moment, Face], ...]]:
    """The pairs of faces: of one moment, neighbours from left to right; of two, those with the same face_id.

    Raises FerwatchError where there is no such pair.
    """
    if len(moments) == 1:
        (only,) = moments
        if len(only.faces) < 2:
            count = "one face" if only.faces else "no face"
            raise FerwatchError(f"{only.name}: {count} was found, and a comparison needs two; give a second image")
        ordered = sorted(only.faces, key=lambda face: face.bbox[0] + face.bbox[2] / 2)
        return [((only, a), (only, b)) for a, b in pairwise(ordered)]
    for moment in moments:
        if not moment.faces:
            raise FerwatchError(f"{moment.name}: no face was found")
    if face_id is not None:
        return [tuple((moment, moment.face(face_id)) for moment in moments)]
    common = sorted(set.intersection(*({face.face_id for face in moment.faces} for moment in moments)))
    if not common:
        shown = "; ".join(f"{m.name}: face {', '.join(str(f.face_id) for f in m.faces)}" for m in moments)
        raise FerwatchError(f"nobody is in both ({shown})")
    return [tuple((moment, moment.face(number)) for moment in moments) for number in common]


def look_around(moment: Moment, face: Face, finder: FaceFinder) -> Side:
    """The face again, from which the model's jitter is measured: in the frames around it; in an image, or where the
    video has no frames close by, from the same picture with the crop shifted by one of its pixels in eight directions.
    """
    crops = [near.crop for frame in moment.neighbours if (near := _nearest(face, finder.find(frame.image)))]
    if len(crops) >= 2:
        return Side(moment, face, np.stack([face.crop, *crops]), "neighbouring frames")
    pixel = 1 / np.hypot(*similarity(face.landmarks)[:, 0])  # of the crop, in pixels of the picture
    steps = [(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    shifted = [align(moment.image, face.landmarks + np.array(step, np.float32) * np.float32(pixel)) for step in steps]
    return Side(moment, face, np.stack(shifted), "crops shifted by a pixel")


def compare(left: Side, right: Side, model: str, classify: Classify) -> Comparison:
    """What a model says of two faces."""
    faces = classify(np.stack([left.face.crop, right.face.crop]))
    jitter = np.stack([classify(side.crops).std(axis=0, ddof=1) for side in (left, right)])
    return Comparison(model, left, right, faces[0], faces[1], jitter)


@dataclass(frozen=True)
class Change:
    """The same face at two moments of a video."""

    face_id: int
    start: float
    """Seconds."""
    end: float
    before: FaceResult
    after: FaceResult

    @property
    def divergence(self) -> float:
        """Jensen-Shannon divergence in bits."""
        return divergence(np.array(self.before.probabilities), np.array(self.after.probabilities))


def changes(results: Iterable[FrameResult], every: float) -> list[Change]:
    """What changes in a video from one moment to the next, `every` seconds apart, in each face; the largest first.

    A moment is the first sample from its time on. A face that is missing in one of two moments has no change there.
    """
    found: list[Change] = []
    earlier: FrameResult | None = None
    due = 0.0
    for result in results:
        if result.timestamp + ROUNDING < due:
            continue
        due = (result.timestamp + ROUNDING) // every * every + every
        if earlier:
            known = {face.face_id: face for face in earlier.faces}
            found += [
                Change(face.face_id, earlier.timestamp, result.timestamp, known[face.face_id], face)
                for face in result.faces
                if face.face_id in known
            ]
        earlier = result
    return sorted(found, key=lambda change: -change.divergence)


def _nearest(face: Face, found: list[Face]) -> Face | None:
    """The face of a neighbouring frame in the same place."""

    def distance(other: Face) -> float:
        return float(np.hypot(*(np.mean(other.landmarks - face.landmarks, axis=0))))

    best = min(found, key=distance, default=None)
    return best if best and distance(best) < face.bbox[2] / 2 else None


def _side_as_dict(side: Side, probabilities: NDArray[np.float64], jitter: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "source": side.moment.name,
        "timestamp": None if side.moment.time is None else round(side.moment.time, 3),
        "face_id": side.face.face_id,
        "box": [round(v, 1) for v in side.face.bbox],
        "detection_score": round(side.face.score, 3),
        "emotion": EMOTIONS[int(probabilities.argmax())],
        "probabilities": _by_name(probabilities),
        "jitter": _by_name(jitter),
        "jitter_from": f"{len(side.crops)} {side.jitter_from}",
    }


def _by_name(values: NDArray[np.float64]) -> dict[str, float]:
    return {emotion: round(float(value), 6) for emotion, value in zip(EMOTIONS, values, strict=True)}


def table(comparisons: list[Comparison]) -> str:
    """One pair as text, the models side by side: before, after and change of every class, in percent and points."""
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
    crops = sorted({f"{len(s.crops)} {s.jitter_from}" for s in (first.left, first.right)})
    note = f"* more than {SIGNIFICANT:g} standard deviations of the model's own jitter ({' and '.join(crops)})"
    return "\n".join([pair, "", *lines, "", note])


def _title(side: Side) -> str:
    return f"{side.moment.name}, face {side.face.face_id}"
