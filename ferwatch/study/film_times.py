"""Codes with the times of a run's annotated.mp4, which begins at 0 where the run begins later (--start)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ferwatch.study.codes import CodedRecording
from ferwatch.study.runs import is_run, read_run
from ferwatch.utils.find_video import FILM

if TYPE_CHECKING:
    from ferwatch.study.pairing import Pair


def in_video_times(path: Path, coded: CodedRecording) -> CodedRecording:
    """Return codes of a run's annotated.mp4, read from a file in its run folder, in times of the analysed video.

    Other codes are returned as they are. Raises DataError where run.json cannot be read.
    """
    if coded.name.casefold() != FILM or not is_run(path.parent):
        return coded
    run = read_run(path.parent)
    offset = round(run.start * 1000)
    codes = tuple(replace(code, start=code.start + offset, end=code.end + offset) for code in coded.codes)
    return replace(coded, name=run.name, codes=codes)


def film_warnings(pairs: Sequence[Pair]) -> list[str]:
    """Return a warning on each file of codes whose times may be those of the film of the run on the other side."""
    warnings = []
    for pair in pairs:
        for coder, run in ((pair.reference, pair.other.run), (pair.other, pair.reference.run)):
            if coder.run is not None or run is None or not run.start:
                continue
            from_film = run.blurred and (run.folder / FILM).is_file() and run.source.casefold() not in coder.aliases
            if from_film or FILM in coder.aliases:
                warnings.append(
                    f"{coder.name}: if these are codes of {run.folder / FILM}, which begins at 0, they are "
                    f"{run.start:g} s too early, since its run begins later; put their file, linked to {FILM}, into "
                    "the run folder"
                )
    return warnings
