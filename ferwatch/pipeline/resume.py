"""Saves and loads finished segments and resume.json, from which an interrupted run continues."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from itertools import takewhile
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ferwatch.errors import OutputError
from ferwatch.pipeline.settings import find_difference
from ferwatch.records import FACE_SIZE, BoundingBox, Face, FrameFaces
from ferwatch.utils.files import atomic_write, make_folder, remove_folder


@dataclass(frozen=True)
class Finished:
    """Facts that are known once a video has been read to its end."""

    frames_decoded: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ResumeState:
    """Contents of resume.json: the settings of an unfinished run, and its progress."""

    settings: dict[str, Any]
    """Settings that the rows depend on: the video, the model, the sampling and others."""
    in_one_pass: bool = False
    """True if the run was begun in one pass, and so has to go on in one: its segments on disk are single periods."""
    finished: Finished | None = None
    """Set once the last row is written."""
    warnings: tuple[str, ...] = ()
    """Warnings from before the first row, one line each."""

    def save(self, path: Path) -> None:
        """Write resume.json. Raises OutputError where it cannot be written."""
        with atomic_write(path) as temp_path:
            temp_path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def read_resume_state(path: Path, settings: Mapping[str, Any]) -> ResumeState:
    """Read resume.json, and make sure that the run it belongs to had the same settings.

    Raises OutputError where there is nothing to resume, or the settings were others.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        state = ResumeState(**{**values, "warnings": tuple(values.get("warnings", ()))})
        if values["finished"] is not None:
            frames, warnings = values["finished"]["frames_decoded"], values["finished"]["warnings"]
            state = replace(state, finished=Finished(frames, tuple(warnings)))
    except FileNotFoundError:
        raise OutputError(f"{path.parent} holds no interrupted run to resume; leave out --resume") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise OutputError(f"{path} cannot be read ({error}); start again with --overwrite") from None
    if difference := find_difference(state.settings, settings):
        raise OutputError(f"cannot resume {path.parent}: {difference}; give the same options, or --overwrite")
    return state


class SegmentFolder:
    """A folder with one file for each finished segment.

    A file is whole or absent, but for a power cut, after which it may be damaged: such a segment counts as unfinished.

    Args:
        path: made when the first segment is saved.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def finished(self) -> list[int]:
        """Return the numbers of the finished segments, in order."""
        return [number for number in self._numbers() if self._is_whole(number)]

    def finished_from_start(self) -> list[int]:
        """Return the numbers of the finished segments up to the first damaged one, in order."""
        return list(takewhile(self._is_whole, self._numbers()))

    def _numbers(self) -> list[int]:
        return sorted(int(file.stem) for file in self.path.glob("[0-9]*.npz"))

    def _is_whole(self, number: int) -> bool:
        try:
            self.load(number)
        except OutputError:
            return False
        return True

    def save(self, number: int, frames: Sequence[FrameFaces]) -> None:
        """Write a finished segment. Raises OutputError where it cannot be written."""
        make_folder(self.path)
        faces = [face for frame in frames for face in frame.faces]
        data = BytesIO()  # a ZipFile on a full disk complains once more when it is deleted
        np.savez(
            data,
            index=np.array([frame.index for frame in frames], np.int64),
            timestamp=np.array([frame.timestamp for frame in frames], np.float64),
            # NaN: unknown
            duration=np.array([frame.duration for frame in frames], np.float64),
            faces=np.array([len(frame.faces) for frame in frames], np.int64),
            left_out=np.array([frame.left_out for frame in frames], np.int64),
            brightness=np.array([frame.brightness for frame in frames], np.uint8),
            bbox=np.array([face.bbox for face in faces], np.float64).reshape(-1, 4),
            landmarks=np.array([face.landmarks for face in faces], np.float32).reshape(-1, 6, 2),
            score=np.array([face.score for face in faces], np.float64),
            crop=np.array([face.crop for face in faces], np.uint8).reshape(-1, FACE_SIZE, FACE_SIZE),
            probabilities=np.array([face.probabilities for face in faces], np.float64),
            descriptor=np.array([face.descriptor for face in faces], np.float32),
        )
        with atomic_write(self._file(number)) as temp_path:
            temp_path.write_bytes(data.getvalue())

    def load(self, number: int) -> list[FrameFaces]:
        """Read a finished segment. Raises OutputError where its file is damaged."""
        path = self._file(number)
        try:
            with np.load(path, allow_pickle=False) as file:
                columns = {name: file[name] for name in file.files}
            faces = iter(
                [
                    Face(BoundingBox(*box), points, score, crop, probabilities=tuple(shares), descriptor=descriptor)
                    for box, points, score, crop, shares, descriptor in zip(
                        columns["bbox"].tolist(),
                        columns["landmarks"],
                        columns["score"].tolist(),
                        columns["crop"],
                        columns["probabilities"].tolist(),
                        columns["descriptor"],
                        strict=True,
                    )
                ]
            )
            names = ("index", "timestamp", "duration", "faces", "left_out")
            return [
                FrameFaces(
                    index,
                    timestamp,
                    tuple(next(faces) for _ in range(count)),
                    None if np.isnan(duration) else duration,
                    brightness,
                    left_out,
                )
                for index, timestamp, duration, count, left_out, brightness in zip(
                    *(columns[n].tolist() for n in names), columns["brightness"], strict=True
                )
            ]
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, BadZipFile) as error:
            raise OutputError(f"{path} is damaged ({error}); start again with --overwrite") from None

    def clear(self) -> None:
        """Remove the folder and all segments in it. Raises OutputError where that cannot be done."""
        remove_folder(self.path)

    def _file(self, number: int) -> Path:
        return self.path / f"{number:06d}.npz"
