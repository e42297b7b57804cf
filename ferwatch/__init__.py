"""ferwatch turns a video into an emotion timeline.

for frame in ferwatch.track("interview.mp4", model="cnn"):
    print(frame.timestamp, [(face.face_id, face.emotion, face.confidence) for face in frame.faces])

run = ferwatch.analyze("interview.mp4", out="interview-ferwatch")
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "analyze", "track"]

if TYPE_CHECKING:
    from ferwatch.analysis import analyze, track


def __getattr__(name: str) -> Any:
    # Loaded when first asked for, so that `ferwatch --help` imports neither torch nor mediapipe.
    if name in ("analyze", "track"):
        from ferwatch import analysis

        return getattr(analysis, name)
    raise AttributeError(f"module 'ferwatch' has no attribute {name!r}")
