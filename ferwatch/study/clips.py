"""Cuts short clips of a run's highlights, and one reel of them all."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ferwatch.errors import DataError, OutputError
from ferwatch.records import EMOTIONS, Episode
from ferwatch.study.highlights import Highlight, is_highlights_csv
from ferwatch.study.runs import FinishedRun
from ferwatch.utils.files import atomic_write, make_folder, remove_files
from ferwatch.utils.find_video import FILM, find_video

MARGIN_SECONDS = 1.0
"""Seconds of a clip before the start and after the end of its episode."""

MAX_CLIP_SECONDS = 15.0
"""Longest clip; a longer one is cut to this length around its peak."""

TABLE = "highlights.csv"
REEL = "reel.mp4"
CLIP_NAME = re.compile(rf"\d+-({'|'.join(EMOTIONS)})-face\d+-[\d-]+s\.mp4")
"""Names that _clip_of gives."""


@dataclass(frozen=True)
class Clip:
    """One clip to be cut. Times in seconds of the video that it is cut from."""

    path: Path
    """File to write."""
    start: float
    end: float


def write_clips(run: FinishedRun, highlights: Sequence[Highlight], out: Path) -> list[Path]:
    """Cuts a clip of every episode among the highlights into `out`, and joins them to reel.mp4; returns the files.

    An episode during which the video shows no frame gets no clip.

    Clips of a run that was made with --blur-faces are cut from its annotated.mp4, in which faces are blurred, and from
    nothing else. Raises DataError where there is no video to cut from, VideoError and OutputError.
    """
    video, offset = _video_of(run)
    make_folder(out)
    episodes = sorted({h.episode for h in highlights}, key=lambda e: (e.start, e.face_id))
    clips = [_clip_of(episode, number, offset, out) for number, episode in enumerate(episodes, start=1)]
    cut = _cut(video, clips, _opening(run, video)) if clips else []
    if not cut:
        return []
    files = [clip.path for clip in clips if clip in cut]
    _join(files, out / REEL)
    return [*files, out / REEL]


def prepare_folder(run: FinishedRun, out: Path, with_clips: bool) -> list[Path]:
    """Makes the folder of highlights, and removes the clips and the reel that an earlier call has left in it.

    Returns the files that it has removed.
    with_clips: whether clips will be written. Raises DataError where they have no video to be cut from, and OutputError
    where the folder holds a highlights.csv, or, with clips, a clip or a reel that `ferwatch highlights` did not write.
    """
    if with_clips:
        _video_of(run)
    make_folder(out)
    table, reel = out / TABLE, out / REEL
    clips = sorted(file for file in out.iterdir() if CLIP_NAME.fullmatch(file.name))
    removed: list[Path] = []
    if table.exists():
        if not (table.is_file() and is_highlights_csv(table)):
            raise OutputError(f"{table} is not one of ferwatch's; name another folder with --out")
        # A reel has its clips beside it: one without is not ferwatch's.
        removed = [file for file in (*clips, reel) if file.exists()] if clips else []
        remove_files(removed)
    for file in (*clips, reel):
        if with_clips and file.exists():
            raise OutputError(
                f"{file} would be replaced, and no ferwatch highlights wrote it; name another folder with --out"
            )
    return removed


def _video_of(run: FinishedRun) -> tuple[Path, float]:
    """Return the video to cut from, and the time of the analysed video at which it begins, in seconds."""
    annotated = run.folder / FILM
    if run.blurred:
        if not annotated.is_file():
            raise DataError(f"{run.folder} was made with --blur-faces and --no-video: there is no blurred video to cut")
        return annotated, float(run.facts.get("sampling", {}).get("start") or 0.0)
    source = find_video(run.folder, run.facts)
    if source is not None:
        return source, 0.0
    if annotated.is_file():
        return annotated, float(run.facts.get("sampling", {}).get("start") or 0.0)
    file = Path(str(run.facts.get("video", {}).get("file", "")))
    raise DataError(
        f"{run.folder}: there is no video to cut clips from: neither annotated.mp4 nor the analysed {file} is where "
        f"it was; put {file} back, or beside the run folder"
    )


def _opening(run: FinishedRun, video: Path) -> dict[str, Any]:
    """Return the decoder, stream and fps with which the run read its video, as keyword arguments of open_source."""
    if video == run.folder / FILM:
        return {}
    names = ("decoder", "stream", "fps")
    return {name: run.settings[name] for name in names if run.settings.get(name) is not None}


def _clip_of(episode: Episode, number: int, offset: float, out: Path) -> Clip:
    """Return the clip of an episode; its name gives the time of the analysed video at which it begins."""
    start, end = episode.start - MARGIN_SECONDS, episode.end + MARGIN_SECONDS
    if end - start > MAX_CLIP_SECONDS:
        start = min(max(start, episode.peak_time - MAX_CLIP_SECONDS / 2), end - MAX_CLIP_SECONDS)
        end = start + MAX_CLIP_SECONDS
    # annotated.mp4 begins at the time `offset`, and every video at 0.
    start = max(start, offset, 0.0)
    seconds = f"{start:.1f}".replace(".", "-")
    name = f"{number:02d}-{episode.emotion}-face{episode.face_id}-{seconds}s.mp4"
    return Clip(out / name, start - offset, end - offset)


def _cut(video: Path, clips: Sequence[Clip], opening: Mapping[str, Any]) -> list[Clip]:
    """Writes all clips in one pass over the video, which is opened with `opening`; they may overlap.

    Each is open only from its first frame to its last. Returns the clips without those during which no frame is shown.
    """
    from ferwatch.video.encoding import to_picture
    from ferwatch.video.source import open_source
    from ferwatch.video.writer import AnnotatedVideo, annotated_video

    cut: list[Clip] = []
    at_work: list[tuple[Clip, AnnotatedVideo, ExitStack]] = []
    waiting = deque(sorted(clips, key=lambda clip: clip.start))
    first, last = min(clip.start for clip in clips), max(clip.end for clip in clips)
    with open_source(video, start=first, end=last, **opening) as source, ExitStack() as writing:
        for frame in source:
            for clip, _, own in at_work:
                if clip.end <= frame.timestamp:
                    own.close()
            at_work = [one for one in at_work if one[0].end > frame.timestamp]
            while waiting and waiting[0].start <= frame.timestamp:
                clip = waiting.popleft()
                if frame.timestamp < clip.end:
                    own = writing.enter_context(ExitStack())
                    writer = own.enter_context(annotated_video(clip.path, source.info, clip.start, clip.end))
                    at_work.append((clip, writer, own))
                    cut.append(clip)
            for clip, writer, _ in at_work:
                # Each clip gets its own copy, because the encoder writes a time into the picture.
                shown = None if frame.duration is None else min(frame.duration, clip.end - frame.timestamp)
                writer.write(to_picture(frame.image), frame.timestamp, shown)
    return cut


def _join(clips: Sequence[Path], reel: Path) -> None:
    """Puts the encoded pictures and sound of clips of one video one after the other, without encoding them again."""
    import av

    with atomic_write(reel) as temp_path, ExitStack() as opened:
        try:
            out = opened.enter_context(
                av.open(f"file:{temp_path}", "w", format="mp4", options={"movflags": "+faststart"})
            )
            # A clip that ends before the sound begins has no track for it.
            fullest = max(clips, key=_number_of_tracks)
            model = opened.enter_context(av.open(f"file:{os.fspath(fullest)}"))
            tracks = [out.add_stream_from_template(stream) for stream in model.streams]
            latest: dict[int, int] = {}
            offset = Fraction(0)
            for clip in clips:
                with av.open(f"file:{os.fspath(clip)}") as source:
                    for packet in source.demux():
                        if packet.dts is None or packet.pts is None or packet.time_base is None:
                            continue
                        number = packet.stream_index
                        if offset and packet.stream.type == "audio" and packet.pts < 0:
                            continue  # primes the decoder before the clip begins, while the clip before still sounds
                        shift = round(offset / packet.time_base)
                        # Decoding begins before a clip does, and pictures of the clip before may still wait for theirs.
                        packet.dts = max(packet.dts + shift, latest.get(number, packet.dts + shift - 1) + 1)
                        packet.pts = max(packet.pts + shift, packet.dts)
                        latest[number] = packet.dts
                        packet.stream = tracks[number]
                        out.mux(packet)
                    offset += Fraction((source.start_time or 0) + (source.duration or 0), av.time_base)
        except av.FFmpegError as error:
            raise OutputError(f"cannot write {reel}: {error.strerror}") from error


def _number_of_tracks(clip: Path) -> int:
    import av

    with av.open(f"file:{os.fspath(clip)}") as source:
        return len(source.streams)
