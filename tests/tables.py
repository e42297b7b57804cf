"""Made-up tables for the tests: series of emotions as rows, frames and files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferwatch.records import EMOTIONS, BoundingBox, FaceResult, FrameResult
from ferwatch.timeline.table import FramesWriter, FrameTable


def facts_of_run(seconds: float = 10.0, fps: float = 10.0) -> dict[str, dict[str, object]]:
    """What run.json needs to hold so that the run's files can be made anew."""
    return {
        "settings": {"exports": [], "annotated video": False, "smoothing": 0.2},
        "video": {"file": "talk.mp4", "fps": fps, "width": 640, "height": 480},
        "sampling": {"start": 0.0, "end": None},
        "timeline": {"media": "", "duration": seconds, "smoothing": 0.2},
        "counts": {},
        "summary": {},
    }


def one_face(times: NDArray[np.float64], probabilities: NDArray[np.float64], face_id: int = 1) -> FrameTable:
    """A table in which one face is in every frame. It sways, as people do."""
    n = len(times)
    box = np.tile([10.0, 20.0, 100.0, 100.0], (n, 1))
    box[:, 0] += 5 * np.sin(np.arange(n) / 10)
    return FrameTable(
        frame=np.arange(n),
        timestamp=times,
        face_id=np.full(n, face_id),
        score=np.full(n, 0.9),
        bbox=box,
        probabilities=probabilities,
    )


def showing(emotions: list[str], confidence: float = 0.8) -> NDArray[np.float64]:
    """(n, 7) rows that show these emotions, the rest shared evenly."""
    rows = np.full((len(emotions), len(EMOTIONS)), (1 - confidence) / 6)
    rows[np.arange(len(emotions)), [EMOTIONS.index(e) for e in emotions]] = confidence
    return rows


def write_frames(path: Path, frames: Iterable[FrameResult]) -> Path:
    """A frames.csv of these frames."""
    with FramesWriter(path) as writer:
        for frame in frames:
            writer.write(frame)
    return writer.partial.replace(path)


def story_frames() -> list[FrameResult]:
    """Three faces over 20 s at irregular times, one with a gap; a second without any face."""
    rng = np.random.default_rng(5)
    told = {1: ["happy", "neutral", "sad"], 2: ["neutral", "surprise"], 3: ["fear", "angry", "disgust", "happy"]}
    results = []
    for index, timestamp in enumerate(np.arange(200) / 10 + rng.uniform(0, 0.08, 200).round(3)):
        faces = []
        for face_id, story in told.items():
            gone = timestamp > 19 or (face_id == 2 and 6 < timestamp < 9) or (face_id == 3 and rng.random() < 0.1)
            if not gone:
                row = rng.dirichlet(np.ones(7)) * 0.3
                row[EMOTIONS.index(story[int(timestamp / 20 * len(story))])] += 0.7
                box = BoundingBox(10.0 * face_id, 20.5, 99.9, 101.0)
                faces.append(FaceResult(face_id, 0.9, box, tuple(row.tolist())))
        results.append(FrameResult(3 * index, float(timestamp), tuple(faces)))
    return results
