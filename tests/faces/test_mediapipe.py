"""MediaPipeDetector: its model file, its log lines, its end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import pytest
from conftest import DEMO, ROOT
from conftest import FACE_MODEL as MODEL

import ferwatch
from ferwatch.errors import WeightsError
from ferwatch.faces import model_file as face_model
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.utils import native_logs
from ferwatch.utils.native_logs import call_without_native_logs, suppress_native_logs


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def test_nothing_but_real_errors_reaches_stderr() -> None:
    find = f"""
import os, pathlib, numpy as np
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.utils.native_logs import enable_suppression
enable_suppression()
with MediaPipeDetector({f"pathlib.Path({str(MODEL)!r})" if MODEL else ""}) as detector:
    detector.detect(np.zeros((200, 300, 3), np.uint8))
os.write(2, b"after")
"""
    assert python(find).stderr == "after"


def test_a_detector_that_nobody_closes_says_nothing_at_exit() -> None:
    """`track` left early in a plain script: the generator that holds the detector dies with the interpreter."""
    program = f"""
import pathlib, sys
from ferwatch.faces.mediapipe import MediaPipeDetector
def frames():
    with MediaPipeDetector({f"pathlib.Path({str(MODEL)!r})" if MODEL else ""}) as detector:
        yield 1
        yield 2
started = frames()
next(started)
sys.stderr.write("last line")
"""
    ended = python(program)
    assert ended.returncode == 0
    assert ended.stderr.endswith("last line")


def test_a_program_without_stderr() -> None:
    """As under pythonw: sys.stderr is None."""
    program = f"""
import pathlib, sys
sys.stderr = None
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.utils.native_logs import enable_suppression
enable_suppression()
import numpy as np
with MediaPipeDetector({f"pathlib.Path({str(MODEL)!r})" if MODEL else ""}) as detector:
    print(detector.detect(np.zeros((200, 300, 3), np.uint8)))
"""
    assert python(program).stdout == "[]\n"


def test_a_library_call_leaves_file_descriptor_2_alone(capfd) -> None:
    """What other threads write meanwhile arrives at once; what MediaPipe writes does not, where Linux can tell."""
    started, go_on = threading.Event(), threading.Event()

    def load() -> None:
        os.write(2, b"INFO: of MediaPipe's\n")
        started.set()
        go_on.wait(10)

    loading = threading.Thread(target=call_without_native_logs, args=(load,))
    loading.start()
    started.wait(10)
    os.write(2, b"INFO: for whoever embeds ferwatch\n")
    written = capfd.readouterr().err
    go_on.set()
    loading.join()
    if sys.platform != "linux":
        written = written.replace("INFO: of MediaPipe's\n", "")
    assert written == "INFO: for whoever embeds ferwatch\n"


def test_errors_within_a_quiet_stretch_are_told(capfd, monkeypatch) -> None:
    monkeypatch.setattr(native_logs, "_is_enabled", True)
    with suppress_native_logs():
        os.write(
            2, b"INFO: all is well\nW0000 00:00:1.2 3 a.cc:1] nearly\nE0000 00:00:1.2 3 a.cc:1] broken\nERROR: too\n"
        )
    os.write(2, b"W0000 after\n")
    assert capfd.readouterr().err == "E0000 00:00:1.2 3 a.cc:1] broken\nERROR: too\nW0000 after\n"


def test_a_file_that_is_no_model_is_named(tmp_path, capfd, monkeypatch) -> None:
    monkeypatch.setattr(native_logs, "_is_enabled", True)
    wrong = tmp_path / "face.tflite"
    wrong.write_bytes(b"no model" * 100)
    with pytest.raises(WeightsError, match=r"face\.tflite is no face detection model") as raised:
        MediaPipeDetector(wrong)
    assert "\n" not in str(raised.value)
    with pytest.raises(WeightsError, match=r"missing\.tflite cannot be read: No such file"):
        MediaPipeDetector(tmp_path / "missing.tflite")
    assert capfd.readouterr().err == ""


@pytest.fixture
def no_bundled_model(monkeypatch, tmp_path) -> Path:
    monkeypatch.setattr(face_model, "find_spec", lambda _: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ferwatch" / face_model.MODEL_FILE


def test_the_published_model_is_fetched_once(no_bundled_model, monkeypatch) -> None:
    published = MODEL or Path(cv2.__file__).parents[1] / "mediapipe/modules/face_detection" / face_model.MODEL_FILE
    monkeypatch.setattr(face_model, "MODEL_URL", published.as_uri())
    assert face_model.find_face_model() == no_bundled_model
    assert no_bundled_model.read_bytes() == published.read_bytes()
    monkeypatch.setattr(face_model, "MODEL_URL", "http://127.0.0.1:9/")
    assert face_model.find_face_model() == no_bundled_model


@pytest.mark.usefixtures("no_bundled_model")
def test_without_a_network_the_remedy_is_named(monkeypatch) -> None:
    monkeypatch.setattr(face_model, "MODEL_URL", "http://127.0.0.1:9/model.tflite")
    with pytest.raises(WeightsError, match=r"cannot be fetched .*refused.*--face-model FILE"):
        face_model.find_face_model()


@pytest.mark.usefixtures("no_bundled_model")
def test_a_run_looks_for_the_model_once_before_its_workers_do(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(face_model, "MODEL_URL", "http://127.0.0.1:9/model.tflite")
    with pytest.raises(WeightsError, match="cannot be fetched"):
        ferwatch.analyze(DEMO, tmp_path / "run", threads=2)
    assert not (tmp_path / "run").exists()


def test_another_file_at_the_address_is_refused(no_bundled_model, monkeypatch, tmp_path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"something else")
    monkeypatch.setattr(face_model, "MODEL_URL", other.as_uri())
    with pytest.raises(WeightsError, match="SHA-256"):
        face_model.find_face_model()
    assert not no_bundled_model.exists()
