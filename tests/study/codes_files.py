"""Writers of the same codes in the forms of ELAN, BORIS and plain tables, for tests."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from pympi import Elan

Codes = Sequence[tuple[float, float, str]]
"""Start and end in seconds, label."""


def write_tsv(path: Path, codes: Codes) -> Path:
    lines = ["start\tend\tlabel", *(f"{start:.2f}\t{end:.2f}\t{label}" for start, end, label in codes)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_eaf(path: Path, codes: Codes, media: str, tier: str = "expression") -> Path:
    eaf = Elan.Eaf(author="a coder")
    eaf.add_linked_file(media, relpath=f"./{media}", mimetype="video/mp4")
    eaf.add_tier(tier)
    for start, end, label in codes:
        eaf.add_annotation(tier, round(start * 1000), round(end * 1000), label)
    eaf.remove_tier("default")
    eaf.to_file(str(path))
    return path


def write_boris_project(path: Path, codes: Codes, media: str, subject: str = "Anna") -> Path:
    labels = sorted({label for *_, label in codes})
    # A stop stands before the start at the same time, as BORIS keeps them.
    events = sorted(
        (time, kind, label) for start, end, label in codes for time, kind, label in _ends(start, end, label)
    )
    project = {
        "project_format_version": "7.0",
        "behaviors_conf": {str(i): {"type": "State event", "code": label} for i, label in enumerate(labels)},
        "observations": {
            "first coding": {
                "file": {"1": [f"C:\\Users\\coder\\{media}"]},
                "type": "MEDIA",
                "events": [[time, subject, label, "", ""] for time, _, label in events],
            }
        },
    }
    path.write_text(json.dumps(project), encoding="utf-8")
    return path


def write_boris_events(path: Path, codes: Codes, media: str, subject: str = "Anna") -> Path:
    head = ["Observation id", "Media file name", "Subject", "Behavior", "Modifiers", "Behavior type", "Time", "Comment"]
    events = sorted(
        (time, kind, label) for start, end, label in codes for time, kind, label in _ends(start, end, label)
    )
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, delimiter="\t")
        out.writerow(head)
        for time, kind, label in events:
            out.writerow(
                ["first", f"videos/{media}", subject, label, "", "START" if kind else "STOP", f"{time:.3f}", ""]
            )
    return path


def _ends(start: float, end: float, label: str) -> list[tuple[float, int, str]]:
    return [(start, 1, label), (end, 0, label)]
