"""Writes episodes for annotation tools: ELAN, BORIS and tab-separated intervals."""

from __future__ import annotations

import csv
import json
import mimetypes
from math import ceil
from pathlib import Path

import numpy as np

from ferwatch.records import Episode
from ferwatch.render.palette import PALETTE
from ferwatch.timeline.model import LABELS, Timeline

# Both formats want a date. A fixed one makes the same run give the same file.
_DATE = "1970-01-01T00:00:00"

_VOCABULARY = "emotion"


def write_eaf(path: Path, timeline: Timeline) -> None:
    """Write an ELAN document (EAF 2.8): a tier per face, a controlled vocabulary, the video linked relatively.

    Times are those of the linked video.
    """
    from pympi import Elan

    eaf = Elan.Eaf(author="ferwatch")
    eaf.adocument["DATE"] = f"{_DATE}+00:00"
    eaf.header = {"TIME_UNITS": "milliseconds"}
    if timeline.video:
        kind = mimetypes.guess_type(timeline.video)[0] or "video/mp4"
        eaf.add_linked_file(timeline.video, relpath=f"./{timeline.video}", mimetype=kind)
    eaf.add_language("eng", lang_label="English (eng)")
    eaf.add_controlled_vocabulary(_VOCABULARY)
    for label in LABELS:
        eaf.add_cv_entry(_VOCABULARY, f"cve_{label}", [(label, "eng", None)])
    eaf.add_linguistic_type(
        _VOCABULARY,
        param_dict={
            "LINGUISTIC_TYPE_ID": _VOCABULARY,
            "TIME_ALIGNABLE": "true",
            "GRAPHIC_REFERENCES": "false",
            "CONTROLLED_VOCABULARY_REF": _VOCABULARY,
        },
    )
    for face in timeline.summary.faces:
        name = timeline.name_of(face.face_id)
        eaf.add_tier(name, ling=_VOCABULARY, part=name, ann="ferwatch")
    # A new document of pympi starts with these, which are not wanted.
    eaf.remove_tier("default")
    eaf.remove_linguistic_type("default-lt")
    eaf.properties = [("lastUsedAnnotationId", len(timeline.episodes))]
    if timeline.baseline:
        eaf.properties.append(("ferwatch baseline", timeline.baseline.source))
    # ELAN wants time slots in the order of time, which pympi keeps only if they are made in it.
    ends = [
        (round(t * 1000), i, end)
        for i, e in enumerate(timeline.episodes)
        for end, t in enumerate(_video_times(timeline, e))
    ]
    slots = {(i, end): eaf.generate_ts_id(time) for time, i, end in sorted(ends)}
    for i, episode in enumerate(timeline.episodes):
        name = timeline.name_of(episode.face_id)
        eaf.annotations[f"a{i + 1}"] = name
        eaf.tiers[name][0][f"a{i + 1}"] = (slots[i, 0], slots[i, 1], episode.emotion, None)
    Elan.to_eaf(path, eaf)


def _video_times(timeline: Timeline, episode: Episode) -> tuple[float, float]:
    """Start and end of an episode in seconds of the linked video."""
    return max(0.0, episode.start - timeline.video_start), max(0.0, episode.end - timeline.video_start)


def write_tsv(path: Path, timeline: Timeline) -> None:
    """Write intervals: tier, begin, end (seconds), annotation."""
    with open(path, "w", encoding="utf-8", newline="") as f:
        lines = csv.writer(f, delimiter="\t", lineterminator="\n")
        lines.writerow(["tier", "begin", "end", "annotation"])
        for e in timeline.episodes:
            lines.writerow([timeline.name_of(e.face_id), f"{e.start:.3f}", f"{e.end:.3f}", e.emotion])


def _video_length(timeline: Timeline) -> float:
    """Seconds of the linked video; 0: unknown."""
    if not timeline.video_start:
        return timeline.duration
    return round(min(timeline.end or timeline.duration, timeline.duration) - timeline.video_start, 3)


def _frame_at(time: float, timeline: Timeline) -> int:
    """Return the number of the frame that is shown at a time in seconds, or ends there as the last one."""
    table = timeline.table
    after_last = max(ceil(round((time - float(table.timestamp[-1])) * timeline.fps, 3)) - 1, 0)
    return int(np.interp(time, table.timestamp, table.frame)) + after_last


def write_boris(path: Path, timeline: Timeline) -> None:
    """Write a BORIS project (format 7.0): faces as subjects, emotions as state events, one observation.

    Times and frame numbers are those of the linked video.
    """
    table = timeline.table
    media = [timeline.video] if timeline.video else []
    first_frame = int(table.frame[0]) if timeline.video_start and len(table) else 0
    events = []
    for e in timeline.episodes:
        comment = f"mean confidence {e.mean_confidence:.2f}, peak {e.peak_confidence:.2f} at {e.peak_time:.3f} s"
        start, end = _video_times(timeline, e)
        for time, stop, text in ((start, False, comment), (end, True, "")):
            # BORIS takes the first event of a state for its start and the next for its stop.
            frame = _frame_at(time + timeline.video_start, timeline) - first_frame
            event = [time, timeline.name_of(e.face_id), e.emotion, "", text, frame]
            events.append((time, not stop, e.face_id, event))
    observation = {
        "file": {str(player): media if player == 1 else [] for player in range(1, 9)},
        "type": "MEDIA",
        "date": _DATE,
        "description": "",
        "time offset": 0.0,
        "events": [event for *_, event in sorted(events, key=lambda place: place[:3])],
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": dict.fromkeys(media, _video_length(timeline)),
            "fps": dict.fromkeys(media, timeline.fps),
            "hasVideo": dict.fromkeys(media, True),
            "hasAudio": dict.fromkeys(media, False),
            "offset": {"1": 0.0},
        },
    }
    project = {
        "time_format": "hh:mm:ss",
        "project_date": _DATE,
        "project_name": f"ferwatch {timeline.source}".strip(),
        "project_description": "Emotion episodes found by ferwatch"
        + (f"; baseline: {timeline.baseline.source}" if timeline.baseline else ""),
        "project_format_version": "7.0",
        "subjects_conf": {
            str(i): {"key": str(i + 1) if i < 9 else "", "name": timeline.name_of(face.face_id), "description": ""}
            for i, face in enumerate(timeline.summary.faces)
        },
        "behaviors_conf": {
            str(i): {
                "type": "State event",
                "key": key,
                "code": label,
                "description": "",
                "color": PALETTE[label],
                "category": "",
                "modifiers": {},
                # One emotion at a time: coding one by hand ends the others.
                "excluded": ",".join(other for other in LABELS if other != label),
                "coding map": "",
            }
            for i, (key, label) in enumerate(zip("adfhsunx", LABELS, strict=True))
        },
        "observations": {Path(timeline.source).stem.strip() or "video": observation},
        "behavioral_categories": [],
        "behavioral_categories_config": {},
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    # BORIS reads the file in the encoding of its system, which ASCII is part of everywhere.
    path.write_text(json.dumps(project, indent=1), encoding="ascii", newline="\n")
