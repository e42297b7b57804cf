"""Decides what annotated.mp4 shows of a timeline, and draws it again for `ferwatch timeline`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ferwatch.pipeline.executors import local_executor
from ferwatch.pipeline.film import write_film
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.progress import Progress
from ferwatch.pipeline.run_folder import RunFolder, linked_video
from ferwatch.render.overlay import Overlay
from ferwatch.timeline.model import Timeline
from ferwatch.timeline.table import FrameTable
from ferwatch.utils.commands import command_line
from ferwatch.utils.find_video import find_video
from ferwatch.video.source import VideoRange


def overlay_of(timeline: Timeline, measured: FrameTable, options: AnalysisOptions) -> Overlay:
    """Return what annotated.mp4 shows of a timeline.

    Args:
        measured: the rows of all faces, with those that are ignored: they are blurred too.
    """
    baseline = timeline.baseline
    faces = timeline.table
    return Overlay.of(
        replace(faces, probabilities=baseline.apply(faces)) if baseline else faces,
        timeline.episodes,
        names=timeline.given_names,
        still=timeline.summary.still,
        charts=options.charts,
        blurred=measured if options.blur_faces else None,
    )


def video_range(video: Path, options: AnalysisOptions) -> VideoRange:
    """Return the range of a video that the options select."""
    return VideoRange(video, options.start, options.end, options.decoder, options.stream, options.fps)


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


@dataclass(frozen=True)
class Film:
    """annotated.mp4 of a run folder after a rebuild."""

    exists: bool
    link: str
    """Path, relative to the run folder, of the video to open with the timeline; "": none."""
    checksum: str | None = None
    """Overlay.digest of what it shows; None where there is none."""
    notes: tuple[str, ...] = ()
    """Remarks for the user, one line each."""


def redraw_film(
    folder: RunFolder,
    facts: Mapping[str, Any],
    timeline: Timeline,
    measured: FrameTable,
    video: Path | None,
    progress: Progress,
    threads: int,
) -> Film:
    """Make annotated.mp4 of a finished run show the timeline: leave it, draw it again, or put it aside.

    One that the user has removed is drawn again only where `video` is given.

    Args:
        facts: contents of run.json before the rebuild.
        measured: the rows of all faces, with those that are ignored.
        video: the analysed video; None: it is looked for.
        threads: number of processes that draw it.
    """
    options, link = film_options(facts), str(facts["timeline"]["media"])
    if not options.annotate:
        return Film(False, link)
    overlay = overlay_of(timeline, measured, options)
    if folder.film.exists() and facts["timeline"].get("film_sha256") == overlay.digest:
        return Film(True, link, overlay.digest)
    source = video or find_video(folder.path, facts)
    without_film = linked_video(source, folder.path, replace(options, annotate=False))
    if not (video or folder.film.exists() or folder.outdated_film.exists()):
        return Film(False, without_film)
    if source is not None:
        frames = int(facts["video"].get("frames_decoded") or 0)
        with local_executor(threads) as executor:
            warnings = write_film(
                video_range(source, options),
                overlay,
                folder.film,
                executor,
                lambda done: progress("annotating", done, frames),
            )
        folder.outdated_film.unlink(missing_ok=True)
        return Film(True, linked_video(source, folder.path, options), overlay.digest, tuple(warnings))
    name = facts["video"]["file"]
    command = command_line(["ferwatch", "timeline", str(folder.path), "--video", "FILE"])
    advice = f"{name} was not found: give it with '{command}'"
    if folder.film.exists():
        folder.film.replace(folder.outdated_film)
        return Film(False, without_film, None, (f"annotated.mp4 is now annotated.outdated.mp4, because {advice}",))
    return Film(False, without_film, None, (f"there is no annotated.mp4, because {advice}",))
