"""Checks of the arguments of the Python API."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferwatch.errors import OptionError, shown

if TYPE_CHECKING:
    from ferwatch.pipeline.analyzer import Pictures


def to_path(name: str, value: Any, remedy: str = "give a path") -> Path:
    """Return the path that an argument gives. Raises OptionError where it is none, or cannot be one."""
    if not isinstance(value, Path | str):
        raise OptionError(f"{name}={shown(value)}: {remedy}")
    if value == "":
        raise OptionError(f"{name}='' is empty: {remedy}")
    if "\0" in str(value):
        raise OptionError(f"{name}={shown(str(value))} holds the character NUL: {remedy}")
    return Path(value)


def to_video(value: Any) -> Path | Pictures:
    """Return the video that `track` is given, a path or pictures. Raises OptionError where it is neither."""
    if isinstance(value, Path | str):
        return to_path("video", value)
    if not isinstance(value, Iterable) or isinstance(value, bytes):
        raise OptionError(
            f"video={shown(value)}: give a path, a FrameSource or an iterable of pictures; for a camera, a generator "
            "that reads it and yields its pictures, such as the one in docs/api.md"
        )
    return value


def check_detector(detector: Any) -> None:
    """Raise OptionError where an object is no face detector; None: no detector is given."""
    is_one = callable(getattr(detector, "detect", None)) and hasattr(detector, "thresholds")
    if detector is not None and (not is_one or isinstance(detector, type)):
        raise OptionError(
            f"detector={shown(detector)}: give an object with the method detect(image) and the attribute thresholds, "
            "as CONTRIBUTING.md shows"
        )


def check_progress(progress: Any) -> None:
    """Raise OptionError where progress cannot be called."""
    if not callable(progress):
        raise OptionError(f"progress={shown(progress)}: give a function of a stage and two numbers")
