"""Rows and episodes as tables: episodes.csv, JSON and Parquet."""

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
from ferwatch.timeline.table import SCHEMA
from ferwatch.utils.version import __version__

EPISODE_COLUMNS = (
    *("face_id", "emotion", "start", "end", "duration", "mean_confidence", "peak_time", "peak_confidence"),
)


def write_episodes_csv(path: Path, timeline: Timeline) -> None:
    """Write one line per episode, by face and start."""
    with open(path, "w", encoding="utf-8", newline="") as f:
        lines = csv.writer(f, lineterminator="\n")
        lines.writerow(EPISODE_COLUMNS)
        for e in timeline.episodes:
            times = (f"{t:.3f}" for t in (e.start, e.end, e.duration))
            peak = (f"{e.mean_confidence:.4f}", f"{e.peak_time:.3f}", f"{e.peak_confidence:.4f}")
            lines.writerow([e.face_id, e.emotion, *times, *peak])


def write_json(path: Path, timeline: Timeline) -> None:
    """Write all of the run: summary, episodes, and one line per sampled frame."""
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


# Boxes and probabilities are lists in JSON; what follows from the probabilities is left out.
_JSON_OF_FACE = {
    {"bbox": "box"}.get(column.field, column.name if column.position is None else column.field): column.field
    for column in SCHEMA
    if column.is_stored and not column.per_frame
}


def _frames(timeline: Timeline) -> Iterator[dict[str, Any]]:
    table = timeline.table
    starts = np.unique(table.frame, return_index=True)[1].tolist()
    for start, end in zip(starts, [*starts[1:], len(table)], strict=True):
        yield {
            **{column.name: column.values(table)[start].item() for column in SCHEMA if column.per_frame},
            "faces": [
                {
                    **{key: getattr(table, name)[row].tolist() for key, name in _JSON_OF_FACE.items()},
                    "smoothed": timeline.smoothed[row].round(4).tolist(),
                }
                for row in range(start, end)
                if table.face_id[row]
            ],
        }


def write_parquet(path: Path, timeline: Timeline) -> None:
    """Write the rows of frames.csv, each with its smoothed probabilities and its episode.

    Raises OutputError where pyarrow is not installed or does not load.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise OutputError(f"--export parquet needs pyarrow ({error}): pip install 'ferwatch[parquet]'") from None
    table = timeline.table
    none = ~table.success
    episode = _episode_of_rows(timeline)
    outside = episode == 0
    columns: dict[str, Any] = {
        **{column.name: pa.array(column.values(table), mask=none & column.is_null_without_face) for column in SCHEMA},
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
