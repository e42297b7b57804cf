"""rebuild: makes the timeline of a finished run again, with other settings or corrected faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ferwatch.errors import DataError, OutputError
from ferwatch.export.registry import EXPORTS, write_timeline
from ferwatch.pipeline.executors import cores
from ferwatch.pipeline.lock import FolderLock
from ferwatch.pipeline.options import check_region, check_region_in_picture, check_seconds
from ferwatch.pipeline.progress import Progress, no_progress
from ferwatch.pipeline.redraw import redraw_film
from ferwatch.pipeline.run_folder import RunFolder, relative_link
from ferwatch.timeline.baseline import Baseline, baseline_of_recording, baseline_of_stretch, read_baseline
from ferwatch.timeline.build import MIN_EPISODE_SECONDS, build_timeline
from ferwatch.timeline.corrections import Corrections, facts_of, read_corrections
from ferwatch.timeline.model import Timeline
from ferwatch.timeline.smoothing import SMOOTHING_SECONDS
from ferwatch.timeline.table import FrameTable, read_frames_csv
from ferwatch.utils.find_video import FILM, has_content, recorded_content
from ferwatch.utils.timecode import format_time, parse_time

NEEDED_FACTS = {
    "video": ("file", "fps", "width", "height"),
    "settings": ("annotated video",),
    "sampling": ("start", "end"),
    "timeline": ("media", "duration"),
    "counts": (),
}
"""What a rebuild needs of run.json: its parts, and their keys."""


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
    video: Path | None = None,
    progress: Progress = no_progress,
    threads: int | None = None,
) -> Rebuilt:
    """Make the files that follow from frames.csv again: of a run folder, or of a frames.csv on its own.

    In a run folder every file that an earlier call wrote is made again, and run.json tells the new settings, so that
    all of them agree. With nothing new they are those that the run wrote. annotated.mp4 is drawn again where it would
    show something else than before; where the video is gone, it is renamed to annotated.outdated.mp4, and a note says
    so. With `out` the run folder is left as it is.

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
        video: the analysed video, where it is not beside the run folder.
        progress: called while annotated.mp4 is drawn.
        threads: number of processes that draw it; None: one for each core.
    Raises OptionError where a number or the region cannot be, DataError where there are no rows to read, the
    corrections do not fit them or `video` is another one, OutputError where a file cannot be written or `out` holds
    another run, VideoError where the video cannot be read.
    """
    check_seconds("smoothing", smoothing)
    check_seconds("min_episode", min_episode)
    check_region(None if corrections is None else corrections.region)
    folder = RunFolder(run if run.is_dir() else run.parent)
    rows = folder.rows if run.is_dir() else run
    if not rows.exists() and folder.partial_rows.exists():
        raise DataError(
            f"{folder.path} holds an interrupted run; finish it with --resume, or name {folder.partial_rows}"
        )
    place = out or folder.path
    with FolderLock(place, "ferwatch timeline"):
        facts = _read_facts(folder) if folder.facts.exists() else {}
        of_run = bool(facts) and rows == folder.rows
        in_place = of_run and place.resolve() == folder.path.resolve()
        if not in_place and RunFolder(place).facts.exists():
            raise OutputError(
                f"{place} holds a run, whose files would contradict these; name another folder with --out"
            )
        if video is not None:
            _check_video(video, facts, in_place)
        corrections = corrections or Corrections()
        if facts:
            check_region_in_picture(folder.path, corrections.region, facts["video"]["width"], facts["video"]["height"])
        table = folder.read_measured() if rows == folder.rows and (reset or of_run) else read_frames_csv(rows)
        earlier = Corrections() if reset else read_corrections(facts)
        corrected = corrections.apply(table, earlier if of_run else None)
        faces = facts_of(earlier.followed_by(corrections))
        of_timeline = facts.get("timeline", {})
        kept_baseline = None if reset else read_baseline(of_timeline.get("baseline"))
        timeline = build_timeline(
            corrected,
            baseline=_baseline(baseline, corrected) if baseline else kept_baseline,
            smoothing=_first(smoothing, of_timeline.get("smoothing"), SMOOTHING_SECONDS),
            min_episode=_first(min_episode, of_timeline.get("min_episode"), MIN_EPISODE_SECONDS),
            names={int(face): name for face, name in faces["names"].items()},
            keep=faces["keep"],
            **_about(folder, facts),
        )
        notes = []
        if corrections.region and table.success.any() and not corrected.success.any():
            notes.append("no face has its centre in the region: give another --region, or --reset to undo it")
        if timeline.baseline and (without := set(corrected.face_ids) - set(timeline.baseline.shifts)):
            notes.append(f"not corrected, because the baseline does not show them: faces {sorted(without)}")
        if not in_place:
            if facts_of(corrections) != facts_of(Corrections()):
                notes.append(f"the names and corrections are in {place} alone; no run folder keeps them")
            if timeline.video and (folder.path / timeline.video).is_file():  # not a name alone
                timeline = replace(timeline, video=relative_link(folder.path / timeline.video, place))
            return Rebuilt(tuple(write_timeline(place, timeline, exports)), timeline, tuple(notes))
        exports = [name for name, export in EXPORTS.items() if name in exports or (folder.path / export.file).exists()]
        # First what takes longest and may fail: until then the folder is as it was.
        film = redraw_film(folder, facts, timeline, table, video, progress, threads or cores())
        timeline = replace(
            timeline,
            video=film.link,
            has_annotated_video=film.exists,
            shows_film=film.exists and film.link == FILM,
        )
        folder.write_corrected(table, corrected)
        corrected_rows = [folder.rows, folder.measured_rows] if folder.measured_rows.exists() else []
        files = [*corrected_rows, *write_timeline(folder.path, timeline, exports)]
        files += [folder.film] if film.exists else []
        files.append(folder.write_facts(_updated(facts, timeline, exports, faces, film.checksum)))
    return Rebuilt(tuple(files), timeline, (*notes, *film.notes))


def _read_facts(folder: RunFolder) -> dict[str, Any]:
    """Return the contents of run.json. Raises DataError where it is damaged, or lacks what a rebuild needs."""
    facts = folder.read_facts()
    for part, names in NEEDED_FACTS.items():
        held = facts.get(part)
        if not isinstance(held, dict) or not held.keys() >= set(names):
            raise DataError(f"{folder.facts} is damaged: it lacks {part!r}, or a part of it; analyse the video again")
    return facts


def _check_video(video: Path, facts: Mapping[str, Any], in_place: bool) -> None:
    """Raise DataError where a video given by the user is not of use, or not the one of the run."""
    if not in_place:
        raise DataError(f"--video {video}: only a finished run, and without --out, has an annotated.mp4 to be drawn")
    recorded = recorded_content(facts)
    if recorded is None:
        raise DataError(f"--video {video}: run.json does not record the content of the run's video; analyse it again")
    if not has_content(video, recorded):
        raise DataError(f"--video {video} is not the video of this run, {facts['video']['file']}: its content differs")


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


def _about(folder: RunFolder, facts: Mapping[str, Any]) -> dict[str, Any]:
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
        "has_annotated_video": folder.film.exists(),
    }


def _updated(
    facts: Mapping[str, Any],
    timeline: Timeline,
    exports: Sequence[str],
    faces: Mapping[str, Any],
    film_checksum: str | None,
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
            "media": timeline.video,
            "smoothing": timeline.smoothing,
            "min_episode": timeline.min_episode,
            "baseline": timeline.baseline.as_json() if timeline.baseline else None,
            "film_sha256": film_checksum,
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
