"""batch.json: the videos of a batch, and how each went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ferwatch.errors import OutputError
from ferwatch.utils.files import atomic_write


@dataclass
class ManifestEntry:
    """One video in batch.json."""

    video: str
    """Absolute path."""
    run: str
    """Name of its run folder, which is its name in the combined table too."""
    state: str = "pending"
    """pending, done or failed."""
    cause: str | None = None
    warnings: Sequence[str] = ()
    seconds: float = 0.0


def read_manifest(file: Path) -> list[ManifestEntry]:
    if not file.exists():
        return []
    try:
        return [ManifestEntry(**values) for values in json.loads(file.read_text(encoding="utf-8"))["videos"]]
    except (OSError, ValueError, TypeError, KeyError) as cause:
        raise OutputError(f"{file} cannot be read ({cause}); remove it, or name another folder with --out") from None


def save_manifest(entries: Sequence[ManifestEntry], file: Path) -> None:
    counts = {state: sum(entry.state == state for entry in entries) for state in ("done", "failed", "pending")}
    content = {"counts": counts, "videos": [asdict(entry) for entry in entries]}
    with atomic_write(file) as temp_path:
        temp_path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8", "backslashreplace")
