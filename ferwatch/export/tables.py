"""Rows and episodes as tables: frames.csv while a run goes on, episodes.csv, JSON and Parquet afterwards."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import OutputError
from ferwatch.records import EMOTIONS
from ferwatch.timeline.model import Timeline
from ferwatch.timeline.table import COLUMNS
from ferwatch.utils.version import __version__

EPISODE_COLUMNS = (
    *("face_id", "emotion", "start", "end", "duration", "mean_confidence", "peak_time", "peak_confidence"),
)


def write_episodes_csv(path: Path, timeline: Timeline) -> None:
    """Writes one line per episode, by face and start."""
    with open(path, "w", encoding="utf-8", newline="") as f:
        lines = csv.writer(f, lineterminator="\n")
        lines.writerow(EPISODE_COLUMNS)
        for e in timeline.episodes:
            times = (f"{t:.3f}" for t in (e.start, e.end, e.duration))
            peak = (f"{e.mean_confidence:.4f}", f"{e.peak_time:.3f}", f"{e.peak_confidence:.4f}")
            lines.writerow([e.face_id, e.emotion, *times, *peak])


def write_json(path: Path, timeline: Timeline) -> None:
    """Writes all of the run: summary, episodes, and one line per sampled frame."""
    head = {
        "ferwatch": __version__,
        "video": {"file": timeline.video, "duration": timeline.duration, "fps": timeline.fps},
        "emotions": EMOTIONS,
        "summary": asdict(timeline.summary),
        "names": timeline.names,
        "episodes": [
            {"episode": number, **asdict(e), "duration": e.duration}
            for number, e in enumerate(timeline.episodes, start=1)
        ],
    }
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        # The frames of a long video are too many to hold as objects, so the list is written item by item.
        f.write(json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}"))
        f.write(',\n "frames": [')
        for i, frame in enumerate(_frames(timeline)):
            f.write(",\n  " if i else "\n  ")
            json.dump(frame, f)
        f.write("\n ]\n}\n")


def _frames(timeline: Timeline) -> Iterator[dict[str, Any]]:
    table = timeline.table
    starts = np.unique(table.frame, return_index=True)[1].tolist()
    for start, end in zip(starts, [*starts[1:], len(table)], strict=True):
        yield {
            "frame": int(table.frame[start]),
            "timestamp": float(table.timestamp[start]),
            "faces": [
                {
                    "face_id": int(table.face_id[row]),
                    "detection_score": float(table.score[row]),
                    "box": table.bbox[row].tolist(),
                    "probabilities": table.probabilities[row].tolist(),
                    "smoothed": timeline.smoothed[row].round(4).tolist(),
                }
                for row in range(start, end)
                if table.face_id[row]
            ],
        }


def write_parquet(path: Path, timeline: Timeline) -> None:
    """Writes the rows of frames.csv, each with its smoothed probabilities and its episode.

    Raises OutputError where pyarrow is not installed or does not load.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as cause:
        raise OutputError(f"--export parquet needs pyarrow ({cause}): pip install 'ferwatch[parquet]'") from None
    table = timeline.table
    none = table.face_id == 0
    episode = _episode_of_rows(timeline)
    outside = episode == 0
    top = np.where(none, 0, np.nan_to_num(table.probabilities).argmax(axis=1))
    columns: dict[str, Any] = {
        "frame": pa.array(table.frame),
        "timestamp": pa.array(table.timestamp),
        "face_id": pa.array(table.face_id, mask=none),
        "success": pa.array(~none),
        "detection_score": pa.array(table.score, mask=none),
        **{name: pa.array(table.bbox[:, i], mask=none) for i, name in enumerate(COLUMNS[5:9])},
        "emotion": pa.array(np.array(EMOTIONS)[top], mask=none),
        "confidence": pa.array(table.probabilities.max(axis=1), mask=none),
        **{name: pa.array(table.probabilities[:, i], mask=none) for i, name in enumerate(EMOTIONS)},
        **{f"smoothed_{name}": pa.array(timeline.smoothed[:, i], mask=none) for i, name in enumerate(EMOTIONS)},
        "episode": pa.array(episode, mask=outside),
    }
    numbers = [0, *range(1, len(timeline.episodes) + 1)]
    for name, values in (
        ("episode_emotion", ["", *(e.emotion for e in timeline.episodes)]),
        ("episode_start", [0.0, *(e.start for e in timeline.episodes)]),
        ("episode_end", [0.0, *(e.end for e in timeline.episodes)]),
    ):
        columns[name] = pa.array(np.array(values)[np.array(numbers)[episode]], mask=outside)
    pq.write_table(pa.table(columns), path)


def _episode_of_rows(timeline: Timeline) -> NDArray[np.int64]:
    """(R,) the number of the episode that each row belongs to, from 1; 0 for none."""
    table = timeline.table
    episode_of = np.zeros(len(table), dtype=np.int64)
    for face_id in table.face_ids:
        rows = np.flatnonzero(table.face_id == face_id)
        times = table.timestamp[rows]
        for number, episode in enumerate(timeline.episodes, start=1):
            if episode.face_id == face_id:
                first, last = np.searchsorted(times, (episode.start, episode.end))
                episode_of[rows[first:last]] = number
    return episode_of
