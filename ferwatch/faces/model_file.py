"""The face detector's model file: from MediaPipe's wheel, from the cache, or downloaded from Google."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ferwatch.errors import WeightsError
from ferwatch.utils.download import download

MODEL_FILE = "face_detection_short_range.tflite"
MODEL_SHA256 = "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"
# URL, generation and checksum as Google publishes them: third_party/external_files.bzl in MediaPipe's repository.
MODEL_URL = f"https://storage.googleapis.com/mediapipe-assets/{MODEL_FILE}?generation=1677044301978921"


def find_face_model() -> Path:
    """Return the path of the model in MediaPipe's wheel (up to 0.10.21), else in the cache, where it is downloaded to.

    Raises WeightsError where it cannot be downloaded or is not the file that Google published.
    """
    package = find_spec("mediapipe")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "modules" / "face_detection" / MODEL_FILE
        if bundled.exists():
            return bundled
    return download(
        MODEL_URL,
        MODEL_FILE,
        MODEL_SHA256,
        what="MediaPipe's face model",
        remedy="fetch it where there is a network and name it with --face-model FILE, or put it into ~/.cache/ferwatch",
    )


def prepare_face_model(path: Path | None) -> None:
    """Check the model file at a path; without one, download MediaPipe's now if it is missing.

    To be called before several processes look for the model at the same time. Raises WeightsError.
    """
    if path is None:
        find_face_model()
    else:
        check_face_model(path)


def check_face_model(path: Path) -> None:
    """Raise WeightsError where a file cannot be read or is no TensorFlow Lite model."""
    try:
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError as error:
        raise WeightsError(f"the face model {path} cannot be read: {error.strerror or error}") from None
    if head[4:] != b"TFL3":
        raise WeightsError(f"{path} is no face detection model that MediaPipe runs: it is no TensorFlow Lite file")
