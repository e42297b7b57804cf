"""Episodes as subtitles: WebVTT and SubRip. One cue per episode; faces seen together have cues that overlap."""

from __future__ import annotations

from html import escape
from pathlib import Path

from ferwatch.records import Episode
from ferwatch.timeline.model import Timeline
from ferwatch.utils.timecode import format_cue


def write_vtt(path: Path, timeline: Timeline) -> None:
    """Write WebVTT (W3C); a cue's identifier is its episode's number."""
    cues = [
        f"{number}\n{format_cue(episode.start)} --> {format_cue(episode.end)}\n"
        f"{escape(_text(timeline, episode), quote=False)}\n"
        for number, episode in _by_time(timeline)
    ]
    path.write_text("\n".join(["WEBVTT\n", *cues]), encoding="utf-8", newline="\n")


def write_srt(path: Path, timeline: Timeline) -> None:
    """Write SubRip. It has no escapes, so that only the arrow between two times is replaced."""
    cues = [
        f"{counter}\n{format_cue(episode.start, ',')} --> {format_cue(episode.end, ',')}\n"
        f"{_text(timeline, episode).replace('-->', '→')}\n"
        for counter, (_, episode) in enumerate(_by_time(timeline), start=1)
    ]
    path.write_text("\n".join(cues), encoding="utf-8", newline="\n")


def _by_time(timeline: Timeline) -> list[tuple[int, Episode]]:
    """Episodes with their numbers, in the order of their starts, as players want cues."""
    return sorted(enumerate(timeline.episodes, start=1), key=lambda numbered: (numbered[1].start, numbered[0]))


def _text(timeline: Timeline, episode: Episode) -> str:
    return f"{timeline.name_of(episode.face_id)}: {episode.emotion} {episode.mean_confidence:.0%}"
