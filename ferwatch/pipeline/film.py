"""Draws annotated.mp4: after the analysis of a video, and again by `ferwatch timeline`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.run_folder import RunFolder
from ferwatch.render.annotated_video import annotate_video
from ferwatch.render.overlay import Overlay
from ferwatch.timeline.model import Timeline
from ferwatch.timeline.table import FrameTable
from ferwatch.utils.find_video import find_video

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and about how much there is; 0: unknown."""


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore progress."""


def overlay_of(timeline: Timeline, measured: FrameTable, options: AnalysisOptions) -> Overlay:
    """Return what annotated.mp4 shows of a timeline.

    Args:
        measured: the rows of all faces, with those that are ignored: they are blurred too.
    """
    baseline = timeline.baseline
    faces = timeline.table
    return Overlay(
        replace(faces, probabilities=baseline.apply(faces)) if baseline else faces,
        timeline.episodes,
        timeline.given_names,
        timeline.summary.still,
        charts=options.charts,
        blurred=measured if options.blur_faces else None,
    )


def draw_film(
    video: Path, overlay: Overlay, out: Path, options: AnalysisOptions, frames: int, progress: Progress
) -> list[str]:
    """Write annotated.mp4; return warnings about what could not be kept of the source.

    Args:
        frames: number of frames of the video, for the progress.
    """
    done = 0

    def count(new: int) -> None:
        nonlocal done
        done += new
        progress("annotating", done, frames)

    return annotate_video(
        video,
        overlay,
        out,
        start=options.start,
        end=options.end,
        decoder=options.decoder,
        stream=options.stream,
        fps=options.fps,
        progress=count,
    )


def film_options(facts: Mapping[str, Any]) -> AnalysisOptions:
    """Return those options of a finished run that its annotated.mp4 depends on, from its run.json."""
    settings = facts["settings"]
    return AnalysisOptions(
        start=facts["sampling"]["start"],
        end=facts["sampling"]["end"],
        decoder=settings.get("decoder") or "ffmpeg",
        stream=settings.get("stream"),
        fps=settings.get("fps"),
        annotate=bool(settings["annotated video"]),
        charts=bool(settings.get("charts", True)),
        blur_faces=bool(settings.get("blurred faces")),
    )


def linked_video(video: Path | None, folder: Path, options: AnalysisOptions) -> str:
    """Return the path, relative to the run folder, of the video to open with the timeline; "": none.

    If faces are blurred it is never the original. Otherwise it is the original if there is no annotated.mp4, or if the
    times of annotated.mp4 differ from those of the timeline. If the relative path would climb to the root, and so
    tell the absolute path, only the file name is returned.

    Args:
        video: the original; None where it is gone.
        options: `annotate` says whether there is an annotated.mp4.
    """
    if options.annotate and (options.start == 0 or options.blur_faces):
        return "annotated.mp4"
    if options.blur_faces or video is None:
        return ""
    try:
        way = Path(os.path.relpath(video.absolute(), folder.absolute()))
    except ValueError:  # another drive of Windows
        return video.name
    climbs_to_the_root = way.parts.count("..") >= len(folder.absolute().parts) - 1
    return video.name if climbs_to_the_root else way.as_posix()


@dataclass(frozen=True)
class Film:
    """annotated.mp4 of a run folder after a rebuild."""

    exists: bool
    link: str
    """Path, relative to the run folder, of the video to open with the timeline; "": none."""
    checksum: str | None = None
    """Overlay.checksum of what it shows; None where there is none."""
    notes: tuple[str, ...] = ()
    """Remarks for the user, one line each."""


def redraw_film(
    folder: RunFolder,
    facts: Mapping[str, Any],
    timeline: Timeline,
    measured: FrameTable,
    video: Path | None,
    progress: Progress,
) -> Film:
    """Make annotated.mp4 of a finished run show the timeline: leave it, draw it again, or put it aside.

    One that the user has removed is drawn again only where `video` is given.

    Args:
        facts: contents of run.json, as it is before.
        measured: the rows of all faces, with those that are ignored.
        video: the analysed video; None: it is looked for.
    """
    options, link = film_options(facts), str(facts["timeline"]["media"])
    if not options.annotate:
        return Film(False, link)
    overlay = overlay_of(timeline, measured, options)
    checksum = overlay.checksum()
    if folder.film.exists() and facts["timeline"].get("film_sha256") == checksum:
        return Film(True, link, checksum)
    source = video or find_video(folder.path, facts)
    without_film = linked_video(source, folder.path, replace(options, annotate=False))
    if not (video or folder.film.exists() or folder.outdated_film.exists()):
        return Film(False, without_film)
    if source is not None:
        frames = int(facts["video"].get("frames_decoded") or 0)
        warnings = draw_film(source, overlay, folder.film, options, frames, progress)
        folder.outdated_film.unlink(missing_ok=True)
        return Film(True, linked_video(source, folder.path, options), checksum, tuple(warnings))
    name = facts["video"]["file"]
    advice = f"{name} was not found: give it with 'ferwatch timeline {shlex.quote(str(folder.path))} --video FILE'"
    if folder.film.exists():
        folder.film.replace(folder.outdated_film)
        return Film(False, without_film, None, (f"annotated.mp4 is now annotated.outdated.mp4, because {advice}",))
    return Film(False, without_film, None, (f"there is no annotated.mp4, because {advice}",))
