"""ferwatch turns a video into an emotion timeline.

for frame in ferwatch.track("interview.mp4", model="cnn"):
    print(frame.timestamp, [(face.face_id, face.emotion, face.confidence) for face in frame.faces])

run = ferwatch.analyze("interview.mp4", out="interview-ferwatch")
"""

from typing import TYPE_CHECKING, Any

from ferwatch.utils.version import __version__

__all__ = ["__version__", "analyze", "track"]

if TYPE_CHECKING:
    from ferwatch.pipeline.analyze import analyze, track


def __getattr__(name: str) -> Any:
    # Loaded when first asked for, so that `ferwatch --help` imports neither torch nor mediapipe.
    if name in ("analyze", "track"):
        from ferwatch.pipeline import analyze as module

        return getattr(module, name)
    raise AttributeError(f"module 'ferwatch' has no attribute {name!r}")
