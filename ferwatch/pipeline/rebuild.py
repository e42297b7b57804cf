"""rebuild: makes the timeline of a finished run again, with other settings or corrected faces."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ferwatch.errors import DataError, OutputError
from ferwatch.export.registry import EXPORTS, write_timeline
from ferwatch.pipeline.lock import FolderLock
from ferwatch.pipeline.run_folder import RunFolder
from ferwatch.timeline.baseline import Baseline, baseline_of_recording, baseline_of_stretch, read_baseline
from ferwatch.timeline.build import MIN_EPISODE_SECONDS, build_timeline
from ferwatch.timeline.corrections import Corrections, facts_of, read_corrections
from ferwatch.timeline.model import Timeline
from ferwatch.timeline.schema import COLUMNS, rows_of_table
from ferwatch.timeline.smoothing import SMOOTHING_SECONDS
from ferwatch.timeline.table import FrameTable, read_frames_csv
from ferwatch.utils.files import atomic_write
from ferwatch.utils.timecode import format_time, parse_time

MEASURED_ROWS = "frames.measured.csv"
"""File that keeps frames.csv as it was measured, before faces were merged or left out, so that this can be undone."""


@dataclass(frozen=True)
class Rebuilt:
    """Result of a rebuild."""

    files: tuple[Path, ...]
    timeline: Timeline
    notes: tuple[str, ...]
    """Remarks about the files for the user, one line each."""


def rebuild(
    run: Path,
    *,
    smoothing: float | None = None,
    min_episode: float | None = None,
    exports: Sequence[str] = (),
    corrections: Corrections | None = None,
    baseline: str | None = None,
    reset: bool = False,
    out: Path | None = None,
) -> Rebuilt:
    """Make the files that follow from frames.csv again: of a run folder, or of a frames.csv on its own.

    In a run folder every file that an earlier call wrote is made again, and run.json tells the new settings, so that
    all of them agree. With nothing new they are those that the run wrote. With `out` the run folder is left as it is.

    Args:
        run: a run folder, or a frames.csv.
        smoothing: seconds; None: as in the run.
        min_episode: seconds, the shortest episode; None: as in the run.
        exports: names of further export formats.
        corrections: names, merged and ignored faces, on top of those that the run folder keeps; a new region replaces
            the one that it keeps.
        baseline: "START-END" in which everybody was neutral, or the run folder or frames.csv of one neutral face.
        reset: forget all earlier corrections, names and the baseline first.
        out: another folder to write to.
    Raises DataError where there are no rows to read or the corrections do not fit them, OutputError where a file cannot
    be written.
    """
    folder = RunFolder(run if run.is_dir() else run.parent)
    rows = folder.rows if run.is_dir() else run
    if not rows.exists() and folder.partial_rows.exists():
        raise DataError(
            f"{folder.path} holds an interrupted run; finish it with --resume, or name {folder.partial_rows}"
        )
    measured = rows.with_name(MEASURED_ROWS)
    facts = folder.read_facts() if folder.facts.exists() else {}
    earlier = Corrections() if reset else read_corrections(facts)
    kept_baseline = None if reset else read_baseline(facts.get("timeline", {}).get("baseline"))
    corrections = corrections or Corrections()
    of_run = bool(facts) and rows == folder.rows
    table = read_frames_csv(measured if (reset or of_run) and measured.exists() else rows)
    corrected = corrections.apply(table, earlier if of_run else None)
    faces = facts_of(earlier.followed_by(corrections))
    timeline = build_timeline(
        corrected,
        baseline=_baseline(baseline, corrected) if baseline else kept_baseline,
        smoothing=_first(smoothing, facts.get("timeline", {}).get("smoothing"), SMOOTHING_SECONDS),
        min_episode=_first(min_episode, facts.get("timeline", {}).get("min_episode"), MIN_EPISODE_SECONDS),
        names={int(face): name for face, name in faces["names"].items()},
        keep=faces["keep"],
        **_about(facts),
    )
    in_place = out is None and of_run
    if in_place:
        exports = [name for name, export in EXPORTS.items() if name in exports or (folder.path / export.file).exists()]
    target = out or folder.path
    with FolderLock(target, "ferwatch timeline"):
        if in_place:
            _replace_rows(rows, measured, table, corrected)
        files = write_timeline(target, timeline, exports)
        if in_place:
            files.append(folder.write_facts(_updated(facts, timeline, exports, faces)))
    notes = []
    is_corrected = facts_of(corrections) != facts_of(Corrections())
    if timeline.baseline and (without := set(corrected.face_ids) - set(timeline.baseline.shifts)):
        notes.append(f"not corrected, because the baseline does not show them: faces {sorted(without)}")
    if in_place:
        if is_corrected or reset:
            notes += _notes(folder.path)
    elif is_corrected:
        notes += [f"the names and corrections are in {out or folder.path} alone; no run folder keeps them"]
    return Rebuilt(tuple(files), timeline, tuple(notes))


def _baseline(text: str, table: FrameTable) -> Baseline:
    """Return the baseline that "START-END" or a path names."""
    start, _, end = text.partition("-")
    try:
        first, last = parse_time(start), parse_time(end)
    except ValueError:
        path = Path(text)
        if not path.exists():
            raise DataError(
                f"--baseline {text}: that is neither START-END, such as 0:05-0:15, nor a run folder or frames.csv"
            ) from None
        return baseline_of_recording(read_frames_csv(path / "frames.csv" if path.is_dir() else path), table, path.name)
    if first >= last:
        raise DataError(f"--baseline {text}: the stretch ends before it begins")
    return baseline_of_stretch(table, first, last, f"{format_time(first)} to {format_time(last)}")


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _about(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what run.json says about the video, as keyword arguments of build_timeline."""
    if not facts:
        return {}
    return {
        "source": Path(facts["video"]["file"]).name,
        "video": facts["timeline"]["media"],
        "duration": facts["timeline"]["duration"],
        "fps": facts["video"]["fps"],
        "start": facts["sampling"]["start"],
        "end": facts["sampling"]["end"],
        "has_annotated_video": bool(facts["settings"]["annotated video"]),
    }


def _replace_rows(rows: Path, measured: Path, table: FrameTable, corrected: FrameTable) -> None:
    """Write frames.csv with the corrected rows and keep the measured ones beside it; restore it where they are equal.

    table: the measured rows.
    """
    try:
        if (table.face_id.shape, table.face_id.tobytes()) == (corrected.face_id.shape, corrected.face_id.tobytes()):
            if measured.exists():
                measured.replace(rows)
            return
        if not measured.exists():
            with atomic_write(measured) as temp_path:
                temp_path.write_bytes(rows.read_bytes())
    except OSError as error:
        raise OutputError(f"cannot write {measured}: {error.strerror}") from error
    with atomic_write(rows) as temp_path, open(temp_path, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        lines.writerows(rows_of_table(corrected))


def _updated(
    facts: Mapping[str, Any], timeline: Timeline, exports: Sequence[str], faces: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the contents of run.json after the rebuild."""
    summary = timeline.summary
    return {
        **facts,
        "settings": {
            **facts["settings"],
            "exports": sorted(exports),
            "smoothing": timeline.smoothing,
            "shortest episode": timeline.min_episode,
        },
        "timeline": {
            **facts["timeline"],
            "smoothing": timeline.smoothing,
            "min_episode": timeline.min_episode,
            "baseline": timeline.baseline.as_json() if timeline.baseline else None,
        },
        "counts": {
            **facts["counts"],
            "frames_with_faces": summary.frames_with_faces,
            "rows": len(timeline.table),
            "faces": len(summary.faces),
            "episodes": summary.episodes,
        },
        "summary": asdict(summary),
        "faces": dict(faces),
    }


def _notes(folder: Path) -> list[str]:
    if (folder / "annotated.mp4").exists():
        return ["annotated.mp4 was drawn before: it still shows the numbers of the faces as they were"]
    return []
