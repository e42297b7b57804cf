"""A run's rows as columns: what frames.csv holds, and what the timeline, the exports and the annotated video need."""

from __future__ import annotations

import csv
from array import array
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import DataError, OutputError
from ferwatch.records import EMOTIONS, FrameResult

COLUMNS = (
    *("frame", "timestamp", "face_id", "success", "detection_score"),
    *("box_x", "box_y", "box_w", "box_h", "emotion", "confidence"),
    *EMOTIONS,
)


MOST = 1e9
"""No frame, time in seconds, face or pixel of a table is beyond it."""


@dataclass(frozen=True)
class FrameTable:
    """R rows, one per sampled frame and face, in the order of frames.csv; a frame without a face has one, face_id 0."""

    frame: NDArray[np.int64]  # (R,)
    timestamp: NDArray[np.float64]  # (R,) seconds
    face_id: NDArray[np.int64]  # (R,) 0: no face in this frame
    score: NDArray[np.float64]  # (R,)
    bbox: NDArray[np.float64]  # (R, 4) x, y, w, h in pixels
    probabilities: NDArray[np.float64]  # (R, 7)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def face_ids(self) -> list[int]:
        """Every face of the table, ascending."""
        return [int(i) for i in np.unique(self.face_id) if i > 0]

    def of_face(self, face_id: int) -> FrameTable:
        """The rows of one face."""
        return self.where(self.face_id == face_id)

    def where(self, rows: NDArray[np.bool_]) -> FrameTable:
        """The rows that a mask (R,) selects."""
        return FrameTable(*(column[rows] for column in vars(self).values()))

    def sample_times(self) -> NDArray[np.float64]:
        """(S,) the time of every sampled frame, with or without a face: one value a frame."""
        return self.timestamp[np.unique(self.frame, return_index=True)[1]]


def row_of(frame: FrameResult) -> list[list[str]]:
    """The lines of frames.csv that one FrameResult becomes."""
    place = [str(frame.index), f"{frame.timestamp:.3f}"]
    if not frame.faces:
        return [[*place, "", "0", *[""] * (len(COLUMNS) - 4)]]
    return [
        [
            *place,
            *(str(face.face_id), "1", f"{face.score:.3f}"),
            *(f"{side:.1f}" for side in face.bbox),
            *(face.emotion, f"{face.confidence:.4f}"),
            *(f"{p:.4f}" for p in face.probabilities),
        ]
        for face in frame.faces
    ]


def read_frames_csv(path: Path) -> FrameTable:
    """Reads frames.csv.

    Raises DataError, naming the line, where the file is missing, is no frames.csv or holds a value that cannot be.
    """
    try:
        with open(path, encoding="utf-8", newline="") as f:
            lines = csv.reader(f)
            header = next(lines, [])
            if tuple(header) != COLUMNS:
                missing = [c for c in COLUMNS if c not in header]
                cause = f"it lacks the columns {', '.join(missing)}" if missing else "its columns are in another order"
                raise DataError(f"{path} is no frames.csv of ferwatch: {cause}")
            numbers = array("d")  # a list would take five times the memory, and videos are long
            for number, line in enumerate(lines, start=2):
                try:
                    numbers.extend(_numbers(line))
                except (ValueError, IndexError) as cause:
                    raise DataError(f"{path}, line {number}: {cause}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise DataError(f"{path} cannot be read: {cause}") from None
    table = np.frombuffer(numbers).reshape(-1, 8 + len(EMOTIONS))
    whole = table[:, [0, 2]].astype(np.int64)
    return FrameTable(whole[:, 0], table[:, 1], whole[:, 1], table[:, 3], table[:, 4:8], table[:, 8:])


def _numbers(line: list[str]) -> list[float]:
    """frame, timestamp, face_id, score, box, probabilities of one line; NaN where the frame shows no face."""
    if len(line) != len(COLUMNS):
        raise ValueError(f"{len(line)} fields instead of {len(COLUMNS)}")
    frame, timestamp, face_id, success, *rest = line
    place = [_within(frame, 0, MOST), _within(timestamp, -MOST, MOST)]
    if success == "0":
        return [*place, 0, *[np.nan] * (5 + len(EMOTIONS))]
    score_and_box = [_within(value, -MOST, MOST) for value in rest[:5]]
    probabilities = [_within(value, 0, 1) for value in rest[7:]]
    if abs(sum(probabilities) - 1) > 0.01:
        raise ValueError(f"its probabilities sum to {sum(probabilities):.4f}")
    return [*place, _within(face_id, 1, MOST), *score_and_box, *probabilities]


def _within(text: str, least: float, most: float) -> float:
    value = float(text)
    if not least <= value <= most:  # nor is NaN
        raise ValueError(f"{text} does not lie between {least:g} and {most:g}")
    return value


class FramesWriter:
    """Writes frames.csv frame by frame, as `frames.partial.csv` until `finish` renames it.

    Every frame goes to the system whole and at once, so that whatever ends the run leaves a table that reads.
    `resume_at`: an `offset` of an earlier writer; what the partial file holds beyond it is cut off.

    Raises OutputError where the disk or its permissions refuse; the partial file then ends with the last whole frame.
    """

    def __init__(self, path: Path, resume_at: int = 0) -> None:
        self._path = path
        self.partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        self.offset = resume_at
        """Bytes of header and whole frames written so far."""
        try:
            # Without a buffer: what `write` has taken is with the system, and survives the end of this process.
            self._file = open(self.partial, "r+b" if resume_at else "wb", buffering=0)  # noqa: SIM115
            self._file.truncate(resume_at)
            self._file.seek(resume_at)
        except OSError as cause:
            raise OutputError(f"cannot write {self.partial}: {cause.strerror}") from cause
        if not resume_at:
            self._append([list(COLUMNS)])

    def write(self, frame: FrameResult) -> None:
        """Appends the rows of one frame."""
        self._append(row_of(frame))

    def finish(self) -> None:
        """Renames the partial file: the table is complete."""
        self._file.close()
        try:
            self.partial.replace(self._path)
        except OSError as cause:
            raise OutputError(f"cannot write {self._path}: {cause.strerror}") from cause

    def _append(self, rows: list[list[str]]) -> None:
        lines = "".join(",".join(row) + "\n" for row in rows).encode()
        left = memoryview(lines)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as cause:
            self._file.truncate(self.offset)
            raise OutputError(f"cannot write {self.partial}: {cause.strerror}") from cause
        self.offset += len(lines)

    def __enter__(self) -> FramesWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
