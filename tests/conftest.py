"""What several test files share: the demo video, the real clips, and the command line as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Tests run in a process for each core; more threads would wait for each other. Before torch and numpy are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ferwatch.faces.mediapipe import MediaPipeDetector
    from ferwatch.models.classifier import Classifier
    from ferwatch.pipeline.analyze import Run

pytest_plugins = ["hostile_films", "page_fixtures", "segment_fixtures"]

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "samples" / "demo.mp4"
SHARED = ROOT.parent / "shared"
# MediaPipe 1.x carries no model: `make test-mediapipe-1` names the older wheel's here.
FACE_MODEL = Path(os.environ["FERWATCH_TEST_FACE_MODEL"]) if "FERWATCH_TEST_FACE_MODEL" in os.environ else None

CLIPS = ("single_face.mp4", "face_noface.mov", "phone.mp4")

needs_weights = pytest.mark.skipif(
    not (ROOT / "weights" / "cnn.safetensors").exists(), reason="no weights of cnn are shipped yet"
)


def shared(name: str) -> Path:
    """The path of a file in ../shared; skips where that is not beside the checkout."""
    if not (SHARED / name).exists():
        pytest.skip(f"../shared/{name} is not here")
    return SHARED / name


@pytest.fixture(scope="session")
def detector() -> Iterator[MediaPipeDetector]:
    from ferwatch.faces.mediapipe import MediaPipeDetector

    with MediaPipeDetector(FACE_MODEL) as detector:
        yield detector


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    """The classifier of a run without options."""
    from ferwatch.pipeline.options import AnalysisOptions
    from ferwatch.pipeline.segment import load_classifier

    return load_classifier(AnalysisOptions())


@pytest.fixture(scope="module")
def local(
    film: Path, classifier: Classifier, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """A run of a test file's `film` with its OPTIONS, in this process."""
    from ferwatch.pipeline.analyze import write_run
    from ferwatch.pipeline.executors import InProcess

    out = tmp_path_factory.mktemp("local") / "run"
    return write_run(film, out, request.module.OPTIONS, classifier, executor=InProcess())


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """A portrait in a larger picture, (512, 512, 3) BGR."""
    import cv2
    import skimage.data

    return cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)


@pytest.fixture(scope="session")
def clip() -> Callable[[str], Path]:
    """The path of a real clip by its name; skips where the clips are not beside the checkout."""

    def find(name: str) -> Path:
        path = SHARED / "videos" / name
        if not path.exists():
            pytest.skip(f"{name} is not here: the real clips lie in ../shared/videos")
        return path

    return find


@pytest.fixture(scope="session")
def clip_of_a_second(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The demo's first second."""
    import av

    path = tmp_path_factory.mktemp("clip") / "second.mp4"
    with av.open(str(DEMO)) as source, av.open(str(path), "w") as out:
        pictures = source.streams.video[0]
        track = out.add_stream_from_template(pictures)
        for packet in source.demux(pictures):
            if packet.pts is None or packet.pts * packet.time_base > 1:
                break
            packet.stream = track
            out.mux(packet)
    return path.read_bytes()


@pytest.fixture(scope="session")
def report() -> Callable[[str], Path]:
    """The path of a file of the report by its name; skips where the report is not beside the checkout."""

    def find(name: str) -> Path:
        path = SHARED / "report" / name
        if not path.exists():
            pytest.skip(f"{name} is not here: the report's files lie in ../shared/report")
        return path

    return find


@pytest.fixture(scope="session")
def public_test() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """FER2013's PublicTest, images and labels; skips where the data is not beside the checkout."""
    if not (SHARED / "fer2013" / "expand.py").exists():
        pytest.skip("FER2013 is not here: it lies in ../shared/fer2013")
    sys.path.insert(0, str(SHARED / "fer2013"))
    import expand

    return expand.load("public_test")


Result = subprocess.CompletedProcess[str]


@pytest.fixture
def ferwatch(tmp_path: Path) -> Callable[..., Result]:
    """Runs `python -m ferwatch ARGUMENTS` in an empty folder, as a user would."""

    def run(*arguments: str | Path, **environment: str) -> Result:
        return subprocess.run(
            [sys.executable, "-m", "ferwatch", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
