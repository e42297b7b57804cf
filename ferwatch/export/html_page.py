"""timeline.html: one self-contained page with the curves, episodes and values of a run. It needs no network.

The template, the style and the scripts lie in html_assets/ and are inserted as they are. The page's content
security policy allows these by their checksums and nothing else, so that no name or file can inject code.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from ferwatch.records import EMOTIONS, NEGATIVE_EMOTIONS, Episode
from ferwatch.render.palette import PALETTE, ink_on
from ferwatch.timeline.model import FaceSummary, Timeline
from ferwatch.timeline.still import still_text
from ferwatch.utils.timecode import format_time
from ferwatch.utils.version import __version__

_ASSETS = files("ferwatch.export") / "html_assets"
_SCRIPTS = ("recording.js", "plot.js", "time.js", "view.js", "pointer.js", "episodes.js", "notes.js", "controls.js")


def write_html(path: Path, timeline: Timeline) -> None:
    """Write the page. It plays `timeline.video` from its own folder; without a video it has only a time cursor."""
    # A run folder is named after its video.
    title = timeline.source or path.resolve().parent.name.removesuffix("-ferwatch")
    path.write_bytes(_page(timeline, title).encode("utf-8", "replace"))  # a name may hold bytes that are no UTF-8


def _page(timeline: Timeline, title: str) -> str:
    style = _asset("page.css") + "".join(
        f'[data-emotion="{name}"] {{ --c: {color}; }}\n' for name, color in PALETTE.items()
    )
    script = "".join(_asset(name) for name in _SCRIPTS)
    start, end = timeline.span
    return Template(_asset("page.html")).substitute(
        version=__version__,
        title=html.escape(title),
        facts=_facts(timeline),
        layout="with-video" if timeline.video else "without-video",
        player=_player(timeline.video),
        end=format_time(end, 0),
        begin_seconds=f"{start:.3f}",
        end_seconds=f"{end:.3f}",
        baseline=html.escape(f" Baseline: {timeline.baseline.source}.") if timeline.baseline else "",
        smoothing=", smoothed (close up also raw, in faint lines)" if _is_smoothed(timeline) else "",
        count=len(timeline.episodes),
        rows="\n".join(_row(timeline, episode) for episode in timeline.episodes) or _NO_EPISODE,
        data=_for_script(_data(timeline)),
        style=style,
        style_hash=_checksum(style),
        script=script,
        script_hash=_checksum(script),
    )


_NO_EPISODE = '<tr><td colspan="8" class="none">No episode: no face was long enough in the picture.</td></tr>'


def _data(timeline: Timeline) -> dict[str, object]:
    """Return the data that recording.js reads; numbers are base64 of little-endian integers, in ms and 1/10000."""
    table = timeline.table
    samples, first_rows = np.unique(table.frame, return_index=True)
    start, end = timeline.span
    times = table.timestamp[first_rows]
    shown = np.clip(table.shown()[first_rows], 0, np.maximum(end - times, 0))  # nothing is shown after the axis ends
    return {
        "emotions": EMOTIONS,
        "colors": PALETTE,
        "inks": {label: ink_on(color) for label, color in PALETTE.items()},
        "positive": EMOTIONS.index("happy"),
        "negative": [EMOTIONS.index(name) for name in NEGATIVE_EMOTIONS],
        "start": start,
        "end": end,
        "videoStart": timeline.video_start,
        "frames": _base64(samples, "<u4"),
        "times": _base64(times * 1000, "<i4"),
        "shown": _base64(shown * 1000, "<u4") if shown.any() else None,
        "faces": [_face(timeline, samples, summary) for summary in timeline.summary.faces],
    }


def _face(timeline: Timeline, samples: NDArray[np.int64], summary: FaceSummary) -> dict[str, object]:
    rows = timeline.table.face_id == summary.face_id
    face: dict[str, object] = {
        "id": summary.face_id,
        "name": timeline.name_of(summary.face_id),
        "note": _note(summary),
        "samples": _base64(np.searchsorted(samples, timeline.table.frame[rows]), "<u4"),
        "values": _base64(timeline.table.probabilities[rows] * 10_000, "<u2"),
        "episodes": [
            {"emotion": e.emotion, "start": round(e.start, 3), "end": round(e.end, 3)}
            for e in timeline.episodes_of(summary.face_id)
        ],
    }
    if _is_smoothed(timeline):
        face["smoothed"] = _base64(np.nan_to_num(timeline.smoothed[rows]) * 10_000, "<u2")
    return face


def _note(summary: FaceSummary) -> str:
    seen = f"seen {summary.on_screen:.1f} s" if summary.on_screen < 60 else f"seen {format_time(summary.on_screen, 0)}"
    emotion, share = max(summary.shares.items(), key=lambda item: item[1], default=("", 0.0))
    return f"{seen} · {share:.0%} {emotion}" if share else seen


def _row(timeline: Timeline, e: Episode) -> str:
    name = html.escape(timeline.name_of(e.face_id))
    cells = (
        (e.start, "n", f"<button>{format_time(e.start)}</button>"),
        (e.end, "n", format_time(e.end)),
        (e.duration, "n wide", f"{e.duration:.2f} s"),
        (e.peak_time, "n widest", format_time(e.peak_time)),
        (e.peak_confidence, "n wide", f"{e.peak_confidence:.0%}"),
        (e.mean_confidence, "n", f"{e.mean_confidence:.0%}"),
    )
    return (
        f'<tr data-face="{e.face_id}" data-of="{e.emotion}" data-start="{e.start:.3f}" data-end="{e.end:.3f}">'
        f'<td title="{name}"><bdi>{name}</bdi></td>'
        f'<td><i class="chip" data-emotion="{e.emotion}"></i>{e.emotion}</td>'
        + "".join(f'<td class="{kind}" data-value="{value}">{text}</td>' for value, kind, text in cells)
        + "</tr>"
    )


def _player(video: str) -> str:
    if not video:
        return ""
    place, name = html.escape(quote(video.encode("utf-8", "surrogateescape"))), html.escape(video)
    return (
        f'<section id="player" aria-label="Video"><video src="{place}" preload="auto" playsinline></video>'
        f'<p id="no-video" hidden>The video does not play: {name} has to lie beside this page.</p></section>'
    )


def _facts(timeline: Timeline) -> str:
    start, end = timeline.span
    faces, samples = len(timeline.summary.faces), timeline.summary.sampled_frames
    without = samples - timeline.summary.frames_with_faces
    facts = [
        f"{format_time(start, 1)} to {format_time(end, 1)}" if start else format_time(end, 1),
        f"{faces} face{'' if faces == 1 else 's'}",
        f"{samples:,} sampled frame{'' if samples == 1 else 's'}",
        f"{without:,} without a face" if without else "",
        still_text(timeline.summary.still),
    ]
    return " · ".join(filter(None, facts))


def _is_smoothed(timeline: Timeline) -> bool:
    return not np.array_equal(timeline.smoothed, timeline.table.probabilities, equal_nan=True)


def _base64(numbers: NDArray[np.float64] | NDArray[np.int64], kind: str) -> str:
    return base64.b64encode(np.round(numbers).astype(kind).tobytes()).decode()


def _for_script(data: object) -> str:
    """JSON in plain ASCII that cannot end the element it stands in, whatever the names in it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _checksum(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
