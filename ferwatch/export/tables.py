"""Writes rows and episodes as tables: episodes.csv, JSON and Parquet."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import OutputError
from ferwatch.records import EMOTIONS
from ferwatch.timeline.model import Timeline
from ferwatch.timeline.schema import SCHEMA, Column, signals
from ferwatch.timeline.table import FrameTable
from ferwatch.utils.version import __version__

EPISODE_COLUMNS = (
    *("face_id", "emotion", "start", "end", "duration", "mean_confidence", "peak_time", "peak_confidence"),
    "mean_valence",
)


def write_episodes_csv(path: Path, timeline: Timeline) -> None:
    """Write one line per episode, by face and start."""
    with open(path, "w", encoding="utf-8", newline="") as f:
        lines = csv.writer(f, lineterminator="\n")
        lines.writerow(EPISODE_COLUMNS)
        for e in timeline.episodes:
            start, end, duration, peak_time = (f"{t:.3f}" for t in (e.start, e.end, e.duration, e.peak_time))
            mean, peak, valence = (f"{p:.4f}" for p in (e.mean_confidence, e.peak_confidence, e.mean_valence))
            lines.writerow([e.face_id, e.emotion, start, end, duration, mean, peak_time, peak, valence])


def write_json(path: Path, timeline: Timeline) -> None:
    """Write the whole run as JSON: summary, episodes, and one line per sampled frame."""
    head = {
        "ferwatch": __version__,
        "video": {"file": timeline.video, "duration": timeline.duration, "fps": timeline.fps},
        "emotions": EMOTIONS,
        "summary": asdict(timeline.summary),
        "names": timeline.names,
        "baseline": timeline.baseline.as_json() if timeline.baseline else None,
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
    if not column.derived and not column.per_frame
}


def _frames(timeline: Timeline) -> Iterator[dict[str, Any]]:
    table = timeline.table
    derived = {column.name: column.values(table) for column in signals()}
    starts = table.first_rows().tolist()
    for start, end in zip(starts, [*starts[1:], len(table)], strict=True):
        yield {
            **{column.name: _plain(column.values(table)[start]) for column in SCHEMA if column.per_frame},
            "faces": [
                {
                    **{key: getattr(table, name)[row].tolist() for key, name in _JSON_OF_FACE.items()},
                    **{name: float(values[row]) for name, values in derived.items()},
                    "smoothed": timeline.smoothed[row].round(4).tolist(),
                }
                for row in range(start, end)
                if table.face_id[row]
            ],
        }


def _plain(value: Any) -> Any:
    """Return a value of a table as JSON holds it: None for NaN."""
    return None if math.isnan(value) else value.item()


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
        **{column.name: pa.array(column.values(table), mask=_is_null(column, table)) for column in SCHEMA},
        **{f"smoothed_{name}": pa.array(timeline.smoothed[:, i], mask=none) for i, name in enumerate(EMOTIONS)},
        **_corrected(timeline, none),
        "smoothed_valence": pa.array(timeline.valence, mask=none),
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


def _corrected(timeline: Timeline, none: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the columns of the baseline-corrected probabilities; none without a baseline."""
    import pyarrow as pa

    if timeline.baseline is None:
        return {}
    corrected = timeline.baseline.apply(timeline.table)
    return {f"corrected_{name}": pa.array(corrected[:, i], mask=none) for i, name in enumerate(EMOTIONS)}


def _is_null(column: Column, table: FrameTable) -> NDArray[np.bool_]:
    """(R,) where frames.csv leaves the column empty."""
    empty = ~table.success & column.is_null_without_face
    return empty | np.isnan(column.values(table)) if column.optional else empty


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
