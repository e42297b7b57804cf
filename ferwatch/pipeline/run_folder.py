"""RunFolder: the files of a run, and when they may be replaced."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ferwatch.errors import DataError, OutputError
from ferwatch.export.registry import run_files
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.pipeline.film import segments_folder
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.resume import SegmentFolder
from ferwatch.pipeline.settings import is_same_video, video_name
from ferwatch.timeline.corrections import Corrections, facts_of
from ferwatch.timeline.model import Timeline
from ferwatch.timeline.schema import COLUMNS, rows_of_table
from ferwatch.timeline.table import FrameTable, read_frames_csv
from ferwatch.utils.files import atomic_write, make_folder, partial_of, remove_files, remove_folder
from ferwatch.utils.find_video import FILM
from ferwatch.utils.version import __version__
from ferwatch.video.container import VideoInfo

RUN_FILES = (
    *("frames.partial.csv", "resume.json", "frames.csv", "frames.measured.csv", "run.json"),
    *(FILM, "annotated.outdated.mp4"),
    *run_files(),
)
"""Every file that a run may leave. Beside these and their partial_of, which a killed run may leave, a run touches only
its partial folders and its lock."""


def default_run_folder(video: Path) -> Path:
    """Return the run folder of a video where none is named: in the working directory."""
    return Path(f"{video.stem}-ferwatch")


class RunFolder:
    """One run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial_rows = path / "frames.partial.csv"
        self.resume = path / "resume.json"
        self.segments = SegmentFolder(path / "segments.partial")
        self.rows = path / "frames.csv"
        self.measured_rows = path / "frames.measured.csv"
        """frames.csv as it was measured, before faces were merged or left out, so that this can be undone."""
        self.facts = path / "run.json"
        self.film = path / FILM
        self.outdated_film = path / "annotated.outdated.mp4"
        """annotated.mp4 as it was before a correction, where it could not be drawn again."""

    def prepare(self, video: Path, *, overwrite: bool) -> tuple[str, ...]:
        """Make the folder, and remove the run in it if `overwrite`; return warnings about what is lost with it.

        Raises OutputError where it holds a run and must not be overwritten, and where it cannot be made.
        """
        try:
            self.check_input(video)
            existing = [file for file in self._files() if file.exists()]
        except OSError as error:
            raise OutputError(f"cannot use the folder {self.path}: {error.strerror}; name another with --out") from None
        other = self._other_video(video) if existing else None
        if existing and not overwrite:
            interrupted = self.facts not in existing and self.resume in existing
            held = f"{self.path} holds {'an interrupted run' if interrupted else 'a run'}"
            if other is not None:
                raise OutputError(
                    f"{held} of another video, {other}, not of {video.name}; name another folder with --out, or give "
                    f"--overwrite to lose the run of {other}"
                )
            if interrupted:
                raise OutputError(f"{held}; continue it with --resume, or give --overwrite")
            raise OutputError(f"{held}; give --overwrite to replace it, or another folder with --out")
        lost = self._corrections()
        make_folder(self.path)
        self.clear()
        if other is not None:
            return (f"{self.path.name} held a run of another video, {other}, which was replaced",)
        return (f"the run that was replaced had corrections, which are lost: {', '.join(lost)}",) if lost else ()

    def check_input(self, video: Path) -> None:
        """Raise OutputError where the video is one of the files that a run would replace."""
        if any(file.exists() and file.samefile(video) for file in self._files()):
            raise OutputError(
                f"{video} is a file that a run in {self.path} would replace; name another folder with --out"
            )

    def remove_outputs(self) -> None:
        """Remove what an interrupted run has made from its rows, and what it was writing. Raises OutputError."""
        remove_files([self.film, *(self.path / name for name in run_files()), *map(partial_of, self._files())])

    def _files(self) -> list[Path]:
        names = dict.fromkeys((*RUN_FILES, *run_files()))  # formats may have been registered since
        return [self.path / name for name in names]

    def clear(self) -> None:
        """Remove the run in the folder, finished or not. Raises OutputError."""
        remove_files([*self._files(), *map(partial_of, self._files())])
        self.clear_segments()

    def discard(self) -> None:
        """Remove the partial rows and what is kept to resume them."""
        self.partial_rows.unlink(missing_ok=True)
        self.resume.unlink(missing_ok=True)
        self.clear_segments()

    def clear_segments(self) -> None:
        """Remove the finished segments of the rows and of annotated.mp4. Raises OutputError."""
        self.segments.clear()
        remove_folder(segments_folder(self.film))

    def _other_video(self, video: Path) -> str | None:
        """Return the name of the video whose run the folder holds; None if it is this video or unknown."""
        for file in (self.facts, self.resume):
            try:
                settings = json.loads(file.read_text(encoding="utf-8"))["settings"]
            except (OSError, ValueError, TypeError, KeyError):
                continue
            return None if is_same_video(settings, video) else video_name(settings)
        return None

    def _corrections(self) -> list[str]:
        """Return the kinds of corrections that `ferwatch timeline` has made to the run that the folder holds."""
        try:
            facts = self.read_facts()
            made = {**facts["faces"], "baseline": facts["timeline"].get("baseline")}
            made["ignore"] = set(made["ignore"]) - set(facts["settings"]["ignored faces"] or ())  # those of --ignore
        except (DataError, TypeError, KeyError, AttributeError):
            return []
        return [kind for kind, values in made.items() if values]

    def complete_rows(self) -> None:
        """Rename the complete frames.partial.csv to frames.csv."""
        try:
            if self.partial_rows.exists():  # not where a resumed run had come further than that
                self.partial_rows.replace(self.rows)
        except OSError as error:
            raise OutputError(f"cannot write {self.rows}: {error.strerror}") from None

    def read_measured(self) -> FrameTable:
        """Return the rows as they were measured, without corrections. Raises DataError where they cannot be read."""
        return read_frames_csv(self.measured_rows if self.measured_rows.exists() else self.rows)

    def write_corrected(self, measured: FrameTable, corrected: FrameTable) -> None:
        """Write frames.csv with the corrected rows and keep the measured ones beside it; restore it if they are equal.

        Raises OutputError where that cannot be done.
        """
        try:
            if np.array_equal(measured.face_id, corrected.face_id):
                if self.measured_rows.exists():
                    self.measured_rows.replace(self.rows)
                return
            if not self.measured_rows.exists():
                with atomic_write(self.measured_rows) as temp_path:
                    temp_path.write_bytes(self.rows.read_bytes())
        except OSError as error:
            raise OutputError(f"cannot write {self.measured_rows}: {error.strerror}") from error
        with atomic_write(self.rows) as temp_path, open(temp_path, "w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(COLUMNS)
            lines.writerows(rows_of_table(corrected))

    def write_facts(self, facts: Mapping[str, Any]) -> Path:
        """Write run.json; return its path."""
        text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        with atomic_write(self.facts) as temp_path:
            # A file name that is no UTF-8 holds lone surrogates, which JSON knows in this very form: \udcff.
            temp_path.write_text(text, encoding="utf-8", errors="backslashreplace")
        return self.facts

    def read_facts(self) -> dict[str, Any]:
        """Return the contents of run.json. Raises DataError where it is missing or damaged."""
        try:
            facts = json.loads(self.facts.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{self.facts} cannot be read ({error}): the folder holds no finished run") from None
        if not isinstance(facts, dict):
            raise DataError(f"{self.facts} is no run.json of ferwatch")
        return facts


def run_facts(
    *,
    info: VideoInfo,
    options: AnalysisOptions,
    frames_decoded: int,
    checkpoint: Checkpoint,
    labels: str,
    settings: Mapping[str, Any],
    timeline: Timeline,
    seconds: Mapping[str, float],
    warnings: Sequence[str],
    command: Sequence[str],
    film_checksum: str | None,
) -> dict[str, Any]:
    """Return the contents of run.json: what was run on what, how it went, and all that rebuilding needs.

    Files are named without their folders: a run folder that is passed on does not tell where its files lay.

    Args:
        film_checksum: Overlay.digest of annotated.mp4; None where there is none.
    """
    return {
        "ferwatch": __version__,
        "command": [_without_folders(argument) for argument in command],
        "settings": dict(settings),
        "model": {
            "name": checkpoint.model,
            "weights_sha256": checkpoint.checksum,
            "temperature": checkpoint.calibration(labels).temperature,
        },
        "labels": labels,
        "video": {
            "file": info.path.name,
            "width": info.width,
            "height": info.height,
            "fps": info.fps,
            "frames_declared": info.frames_declared,
            "frames_decoded": frames_decoded,
            "duration": info.duration,
            "rotation": info.rotation,
            "mirrored": info.mirrored,
            "pixel_aspect": round(info.pixel_aspect, 6),
            "dynamic_range": info.dynamic_range,
            "stream": info.stream,
            "codec": info.codec,
            "timestamp_source": info.timestamp_source,
        },
        "sampling": {**asdict(options.sampling), "start": options.start, "end": options.end},
        "timeline": {
            "media": timeline.video,
            "duration": timeline.duration,
            "smoothing": timeline.smoothing,
            "min_episode": timeline.min_episode,
            "baseline": None,
            "film_sha256": film_checksum,
        },
        "counts": {
            "frames_sampled": timeline.summary.sampled_frames,
            "frames_with_faces": timeline.summary.frames_with_faces,
            "rows": len(timeline.table),
            "faces": len(timeline.summary.faces),
            "episodes": timeline.summary.episodes,
        },
        "seconds": dict(seconds),
        "warnings": list(warnings),
        "summary": asdict(timeline.summary),
        "faces": facts_of(Corrections(ignore=options.ignore)),
    }


def linked_video(video: Path | None, folder: Path | None, options: AnalysisOptions) -> str:
    """Return the path, relative to the run folder, of the video to open with the timeline; "": none.

    If faces are blurred it is never the original. Otherwise it is the original if there is no annotated.mp4, or if the
    times of annotated.mp4 differ from those of the timeline. Where there is no folder that stays, only the file name is
    returned.

    Args:
        video: the original; None where it is gone.
        options: `annotate` says whether there is an annotated.mp4.
    """
    if options.annotate and (options.start == 0 or options.blur_faces):
        return FILM
    if options.blur_faces or video is None:
        return ""
    return video.name if folder is None else relative_link(video, folder)


def relative_link(video: Path, folder: Path) -> str:
    """Return the path of a video relative to a folder; its name alone where that would tell the absolute path."""
    try:
        way = Path(os.path.relpath(video.absolute(), folder.absolute()))
    except ValueError:  # another drive of Windows
        return video.name
    climbs_to_the_root = way.parts.count("..") >= len(folder.absolute().parts) - 1
    return video.name if climbs_to_the_root else way.as_posix()


def _without_folders(argument: str) -> str:
    """Return an argument of the command line, shortened to the file name where it is a path."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{equals}{Path(value).name or value}" if value else argument
