"""Run folders made from a list of episodes, for tests: what shows is known, and no video has to be analysed."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from ferwatch.records import EMOTIONS, BoundingBox, FaceResult, FrameResult
from ferwatch.timeline.schema import COLUMNS, rows_of

FPS = 10
STRENGTH = 0.82
"""The probability of what shows; the other six share the rest."""


def make_run(folder: Path, video: str, episodes: Sequence[tuple[int, str, float, float]], end: float = 0.0) -> Path:
    """Writes frames.csv, episodes.csv and run.json of a run in which faces show these episodes, and returns its folder.

    episodes: face_id, emotion, start, end (seconds). end: sampled frames without a face follow up to there.
    """
    folder.mkdir(parents=True)
    last = max([end, *(e[3] for e in episodes)])
    with open(folder / "frames.csv", "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        for number in range(round(last * FPS)):
            at = number / FPS
            showing = [(face, emotion) for face, emotion, start, stop in episodes if start <= at < stop]
            faces = tuple(
                FaceResult(face, 0.9, BoundingBox(10, 10, 40, 40), _shows(emotion)) for face, emotion in showing
            )
            out.writerows(rows_of(FrameResult(3 * number, at, faces)))
    with open(folder / "episodes.csv", "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        names = ("mean_confidence", "peak_time", "peak_confidence")
        out.writerow(("face_id", "emotion", "start", "end", "duration", *names))
        for face, emotion, start, stop in sorted(episodes):
            times = (f"{start:.3f}", f"{stop:.3f}", f"{stop - start:.3f}")
            out.writerow((face, emotion, *times, f"{STRENGTH:.4f}", f"{(start + stop) / 2:.3f}", f"{STRENGTH:.4f}"))
    facts = {
        "ferwatch": "0.1.0",
        "settings": {"blurred faces": False},
        "model": {"name": "cnn", "weights_sha256": "0" * 64, "temperature": 1.0},
        "video": {"file": video, "fps": 30.0, "duration": last, "width": 160, "height": 96},
        "sampling": {"fps": FPS, "every": 1, "start": 0.0, "end": None},
        "timeline": {"media": f"../{video}", "duration": last, "smoothing": 0.2},
    }
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def _shows(emotion: str) -> tuple[float, ...]:
    rest = (1 - STRENGTH) / (len(EMOTIONS) - 1)
    return tuple(STRENGTH if name == emotion else rest for name in EMOTIONS)
