"""Writes study.html: one self-contained page with all recordings of a study. It needs no network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import quote

from ferwatch.render.palette import PALETTE
from ferwatch.study.recordings import StudyRecording
from ferwatch.timeline.model import LABELS
from ferwatch.utils.files import atomic_write
from ferwatch.utils.version import __version__
from ferwatch.utils.wording import counted

ASSETS = files("ferwatch.study") / "html_assets"


def write_page(
    path: Path,
    recordings: Sequence[StudyRecording],
    conditions: Sequence[str],
    figures: Sequence[Path],
    notes: Sequence[str],
) -> Path:
    """Writes the page; returns its path. It links to pages of runs and to figures, never to a video.

    Raises OutputError where the disk refuses.
    """
    style = _asset("study.css") + "".join(f'[data-emotion="{n}"] {{ --c: {c}; }}\n' for n, c in PALETTE.items())
    script = _asset("study.js")
    participants = len({r.plan.participant for r in recordings})
    text = Template(_asset("study.html")).substitute(
        version=__version__,
        facts=f"{counted(len(recordings), 'recording')} · {counted(participants, 'participant')}",
        figures="\n".join(_figure(figure) for figure in figures),
        notes="\n".join(f"<li>{html.escape(note)}</li>" for note in notes) or "<li>Nothing was left out.</li>",
        data=json.dumps(_data(recordings, conditions), separators=(",", ":")).replace("<", "\\u003c"),
        style=style,
        style_hash=_checksum(style),
        script=script,
        script_hash=_checksum(script),
    )
    with atomic_write(path) as temp_path:
        temp_path.write_bytes(text.encode("utf-8", "replace"))
    return path


def _data(recordings: Sequence[StudyRecording], conditions: Sequence[str]) -> dict[str, object]:
    """Return the data that study.js reads. Times are milliseconds."""
    position = {label: i for i, label in enumerate(LABELS)}
    return {
        "labels": LABELS,
        "conditions": list(conditions),
        "recordings": [
            {
                "name": r.plan.name,
                "participant": r.plan.participant,
                "levels": list(r.plan.conditions),
                "page": r.page and quote(r.page),
                "start": round(r.start * 1000),
                "end": round(max(r.end, *(e.end for e in r.episodes), r.start) * 1000)
                if r.episodes
                else round(r.end * 1000),
                "episodes": [[position[e.emotion], round(e.start * 1000), round(e.end * 1000)] for e in r.episodes],
            }
            for r in recordings
        ],
    }


def _figure(path: Path) -> str:
    name = html.escape(path.stem.replace("-", " "))
    source, vector = html.escape(quote(path.name)), html.escape(quote(path.with_suffix(".svg").name))
    return (
        f'<figure><img src="{source}" alt="Figure: {name}" loading="lazy">'
        f'<figcaption>{name} · <a href="{vector}">SVG</a></figcaption></figure>'
    )


def _checksum(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
