"""The settings that the files of a run depend on, as run.json and resume.json record them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.classifier import choose_labels
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.utils.url import Url, fingerprint_of
from ferwatch.utils.version import __version__


def settings_of_rows(video: Path | Url, checkpoint: Checkpoint, options: AnalysisOptions) -> dict[str, Any]:
    """Return the settings that the rows depend on; a run is only resumed with the same ones.

    Files are known by their content, so that a run goes on wherever they lie. Raises OSError where one is missing.
    """
    return {
        "version": __version__,
        "video": _known_by_content(video),
        "model": checkpoint.model,
        "weights": checkpoint.checksum,
        "labels": choose_labels(checkpoint, options.labels),
        "face model": None if options.face_model is None else _known_by_content(options.face_model),
        "sampling": asdict(options.sampling),
        "start": options.start,
        "end": options.end,
        "decoder": options.decoder,
        "stream": options.stream,
        "fps": options.fps,
        "most faces": options.max_faces,
        "region": options.region and list(options.region),
    }


def settings_of_outputs(options: AnalysisOptions) -> dict[str, Any]:
    """Return the settings that the files of a run folder depend on, besides those of its rows."""
    return {
        "exports": sorted(set(options.exports)),
        "annotated video": options.annotate,
        "charts": options.annotate and options.charts,
        "blurred faces": options.blur_faces,
        "smoothing": options.smoothing,
        "shortest episode": options.min_episode,
        "ignored faces": sorted(options.ignore) or None,
    }


def find_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Return a message about the first setting in `now` that differs from `before`; None: there is none.

    A file that only has another name is the same one.
    """
    for name, value in now.items():
        if _content(before.get(name)) != _content(value):
            return f"its {name} was {_described(before.get(name))}, now it is {_described(value)}"
    return None


def video_name(settings: Any) -> str | None:
    """Return the file name of the video in a run's settings; None: they do not name it."""
    try:
        return str(settings["video"]["name"])
    except (KeyError, TypeError):
        return None


def is_same_video(settings: Any, video: Path) -> bool:
    """Return whether a run with these settings is of this video, by content, whatever its name."""
    try:
        return bool(_content(settings["video"]) == _content(_known_by_content(video)))
    except (KeyError, TypeError):
        return False


def _known_by_content(file: Path | Url) -> dict[str, Any]:
    return {"name": file.name.encode("utf-8", "backslashreplace").decode(), **fingerprint_of(file)}


def _content(value: Any) -> Any:
    return {key: part for key, part in value.items() if key != "name"} if isinstance(value, Mapping) else value


def _described(value: Any) -> str:
    """Return a setting as text for a message; a file by its name, size and checksum."""
    if isinstance(value, Mapping) and "name" in value:
        return f"{value['name']} ({value['bytes']:,} bytes, checksum {str(value['sha256_of_parts'])[:8]})"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items() if part is not None)
    return "not given" if value is None else str(value)
