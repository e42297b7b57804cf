"""ferwatch turns a video into an emotion timeline.

for frame in ferwatch.track("interview.mp4", model="cnn"):
    print(frame.timestamp, [(face.face_id, face.emotion, face.confidence) for face in frame.faces])

run = ferwatch.analyze("interview.mp4", out="interview-ferwatch")

analyzer = ferwatch.Analyzer(model="cnn")  # loads once
print(analyzer.image(cv2.imread("portrait.jpg")).faces)

Images are (H, W, 3) uint8 BGR, as OpenCV reads them. Errors are FerwatchErrors; warnings go to the logger "ferwatch".
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ferwatch.utils.version import __version__

__all__ = [
    "EMOTIONS",
    "AnalysisOptions",
    "Analyzer",
    "BoundingBox",
    "DataError",
    "Episode",
    "FaceResult",
    "FerwatchError",
    "Frame",
    "FrameResult",
    "OptionError",
    "OutputError",
    "Run",
    "Sampling",
    "VideoError",
    "WeightsError",
    "__version__",
    "analyze",
    "analyze_image",
    "track",
]

if TYPE_CHECKING:
    from ferwatch.errors import DataError, FerwatchError, OptionError, OutputError, VideoError, WeightsError
    from ferwatch.pipeline.analyze import Run
    from ferwatch.pipeline.analyzer import Analyzer, analyze, analyze_image, track
    from ferwatch.pipeline.options import AnalysisOptions
    from ferwatch.records import EMOTIONS, BoundingBox, Episode, FaceResult, Frame, FrameResult
    from ferwatch.video.sampling import Sampling

_MODULES = {
    "ferwatch.errors": ("DataError", "FerwatchError", "OptionError", "OutputError", "VideoError", "WeightsError"),
    "ferwatch.pipeline.analyze": ("Run",),
    "ferwatch.pipeline.analyzer": ("Analyzer", "analyze", "analyze_image", "track"),
    "ferwatch.pipeline.options": ("AnalysisOptions",),
    "ferwatch.records": ("EMOTIONS", "BoundingBox", "Episode", "FaceResult", "Frame", "FrameResult"),
    "ferwatch.video.sampling": ("Sampling",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

# A program that sets up no logging sees no warnings; Run.warnings has them too.
logging.getLogger("ferwatch").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    # Loaded when first asked for, so that `ferwatch --help` imports neither torch nor mediapipe.
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module 'ferwatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
