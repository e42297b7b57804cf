"""Writes episodes as subtitles: WebVTT and SubRip. One cue per episode; faces seen together have cues that overlap."""

from __future__ import annotations

from html import escape
from pathlib import Path

from ferwatch.records import Episode
from ferwatch.timeline.model import Timeline
from ferwatch.utils.timecode import format_cue


def write_vtt(path: Path, timeline: Timeline) -> None:
    """Write WebVTT (W3C); a cue's identifier is its episode's number."""
    cues = [
        f"{number}\n{format_cue(start)} --> {format_cue(end)}\n{escape(_text(timeline, episode), quote=False)}\n"
        for number, episode, start, end in _cues(timeline)
    ]
    # The arrow between two times may not stand in a note.
    note = f"NOTE baseline: {timeline.baseline.source.replace('-->', '→')}\n" if timeline.baseline else ""
    path.write_text("\n".join(["WEBVTT\n", *filter(None, [note]), *cues]), encoding="utf-8", newline="\n")


def write_srt(path: Path, timeline: Timeline) -> None:
    """Write SubRip. It has no escapes, so that only the arrow between two times is replaced."""
    cues = [
        f"{counter}\n{format_cue(start, ',')} --> {format_cue(end, ',')}\n"
        f"{_text(timeline, episode).replace('-->', '→')}\n"
        for counter, (_, episode, start, end) in enumerate(_cues(timeline), start=1)
    ]
    path.write_text("\n".join(cues), encoding="utf-8", newline="\n")


def _cues(timeline: Timeline) -> list[tuple[int, Episode, float, float]]:
    """Return number, episode, start and end of each cue, by start, as players require.

    Players load the files with annotated.mp4, so that the times are that video's where there is one.
    """
    offset = timeline.start if timeline.has_annotated_video else 0.0
    cues = [
        (number, episode, max(episode.start - offset, 0.0), episode.end - offset)
        for number, episode in enumerate(timeline.episodes, start=1)
    ]
    return sorted((cue for cue in cues if cue[3] > cue[2]), key=lambda cue: (cue[2], cue[0]))


def _text(timeline: Timeline, episode: Episode) -> str:
    return f"{timeline.name_of(episode.face_id)}: {episode.emotion} {episode.mean_confidence:.0%}"
