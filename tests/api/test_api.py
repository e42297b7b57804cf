"""The Python API as people embed it."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import DEMO, ROOT, needs_weights

import ferwatch
from ferwatch.pipeline.options import AnalysisKeywords, AnalysisOptions
from ferwatch.timeline.model import FaceSummary, Summary

pytestmark = needs_weights
PROGRAM = Path(__file__).with_name("user_program.py")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | {
    "PYTHONPATH": str(ROOT)
}


def python(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)


def test_a_users_program_runs_and_changes_nothing_outside(tmp_path: Path) -> None:
    done = python(PROGRAM, DEMO, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


FORKING_PROGRAM = """
import multiprocessing, sys, ferwatch
from ferwatch.pipeline.executors import LocalProcesses

def look(video):
    try:
        return len(list(ferwatch.track(video, end=0.1)))
    except ferwatch.FerwatchError as error:
        return str(error)

if __name__ == "__main__":
    video = sys.argv[1]
    print(look(video))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(pool.map_async(look, [video]).get(60)[0])
    with LocalProcesses(1) as executor:
        print(*(frames for _, frames in executor.run(look, [video])))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_processes_that_are_started_after_ferwatch_has_worked(tmp_path: Path) -> None:
    """A forked process says why it cannot work, where it would wait for ever; ferwatch's own workers work."""
    program = tmp_path / "program.py"
    program.write_text(FORKING_PROGRAM)
    done = python(program, DEMO, cwd=tmp_path)
    first, forked, of_a_worker = done.stdout.splitlines()
    assert (first, of_a_worker) == ("1", "1"), done.stderr
    assert "was forked" in forked
    assert "spawn" in forked


def test_a_users_program_is_typed_strictly(tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed: pip install 'ferwatch[test]'")
    strict = ("-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", tmp_path / "cache")
    done = python(*strict, PROGRAM, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    (tmp_path / "wrong.py").write_text("import ferwatch\nferwatch.Analyzer(smothing=1)\n")
    wrong = python(*strict, "wrong.py", cwd=tmp_path)
    assert "smothing" in wrong.stdout, "options have types"


def test_the_types_and_the_page_of_the_options_name_every_option() -> None:
    assert set(AnalysisKeywords.__annotations__) == set(AnalysisOptions.__dataclass_fields__)
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    of_results = (ferwatch.Run, Summary, FaceSummary, ferwatch.Episode, ferwatch.FaceResult, ferwatch.FrameResult)
    for record in (AnalysisOptions, *of_results):
        assert [name for name in record.__dataclass_fields__ if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"exports": ["ocel"]}, "there is no export 'ocel'"),
        ({"device": "gpu"}, "device='gpu': choose one of auto, cpu"),
        ({"labels": "foo"}, "labels='foo': choose one of crowd, fer2013"),
        ({"smothing": 1}, "did you mean 'smoothing'"),
        ({"model": "resnet"}, "there is no model 'resnet'"),
        ({"smoothing": -1}, "smoothing=-1"),
        ({"start": 2, "end": 1}, "does not lie after the start"),
        ({"threads": 0}, "threads=0"),
        ({"weights": "nowhere.safetensors"}, "nowhere.safetensors"),
    ],
)
def test_a_wrong_option_fails_before_the_analysis(
    options: dict[str, object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (ferwatch.analyze, ferwatch.track):
        with pytest.raises(ferwatch.FerwatchError, match=says):
            call(DEMO, **options)  # type: ignore[operator]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pictures", "says"),
    [
        ([np.zeros((10, 10), np.uint8)], r"\(10, 10\) uint8"),
        ([np.zeros((10, 10, 3), np.float32)], "float32"),
        ([(0.2, np.zeros((10, 10, 3), np.uint8)), (0.1, np.zeros((10, 10, 3), np.uint8))], "before the picture before"),
        ([None], "NoneType"),
        ([(np.zeros((10, 10, 3), np.uint8), 0.0)], r"has to be a number of seconds; it is array\(.{50,60}$"),
        ([], "no image"),
    ],
)
def test_what_is_no_picture_is_refused(pictures: list[object], says: str) -> None:
    with pytest.raises(ferwatch.FerwatchError, match=says):
        list(ferwatch.track(pictures))  # type: ignore[arg-type]


def test_pictures_without_times_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ferwatch"):
        results = list(ferwatch.track([np.zeros((60, 80, 3), np.uint8)] * 3))
    assert [result.timestamp for result in results] == [0, 0.04, 0.08]
    assert "25 a second is assumed" in caplog.text


def test_a_callers_array_may_be_used_again() -> None:
    """The pictures are read ahead: a source that fills one array again and again must not change what was read."""
    film = list(frames_of_demo(3))
    again = np.empty_like(film[0])

    def source() -> Iterator[tuple[float, np.ndarray]]:
        for number, image in enumerate([*film, np.zeros_like(film[0])]):
            again[:] = image
            yield number / 10, again

    found = [len(result.faces) for result in ferwatch.track(source())]
    assert found == [1, 1, 1, 0]


def frames_of_demo(count: int) -> Iterator[np.ndarray]:
    import cv2

    capture = cv2.VideoCapture(str(DEMO))
    for _ in range(count):
        yield capture.read()[1]


def test_an_exception_from_progress_ends_the_run_which_can_be_resumed(tmp_path: Path) -> None:
    def stop(_stage: str, done: int, _total: int) -> None:
        if done > 20:
            raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        ferwatch.analyze(DEMO, tmp_path / "run", end=2, annotate=False, progress=stop)
    assert not (tmp_path / "run/run.json").exists()
    ferwatch.analyze(DEMO, tmp_path / "run", end=2, annotate=False, resume=True)
    ferwatch.analyze(DEMO, tmp_path / "whole", end=2, annotate=False)
    assert (tmp_path / "run/frames.csv").read_bytes() == (tmp_path / "whole/frames.csv").read_bytes()


def test_progress_of_a_short_film_is_told_from_its_first_tenth_on(tmp_path: Path) -> None:
    told = [0.0]

    def keep(stage: str, done: int, total: int) -> None:
        if stage == "analysing":
            told.append(done / total)

    ferwatch.analyze(DEMO, tmp_path / "run", end=3, annotate=False, progress=keep)
    steps = [after - before for before, after in pairwise(told)]
    assert min(steps) >= 0
    assert max(steps) <= 0.1
    assert told[-1] == pytest.approx(1, abs=0.02)


PROGRAMS: dict[str, str] = {
    "an iterator that is still open at the end": "g = ferwatch.track(DEMO)\nprint(next(g).timestamp)",
    "no stderr": "import sys\nsys.stderr = None\nprint(next(ferwatch.track(DEMO)).timestamp)",
    "zip over two videos": "print(next(zip(ferwatch.track(DEMO), ferwatch.track(DEMO)))[0].timestamp)",
    "a daemon thread at work": (
        "import threading, time\nout = []\n"
        "threading.Thread(target=lambda: [out.append(f) for f in ferwatch.track(DEMO)], daemon=True).start()\n"
        "while not out: time.sleep(0.05)\nprint(out[0].timestamp)"
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_end_in_peace(name: str, tmp_path: Path) -> None:
    """../shared/faults/api_exit: nothing but the time on stdout, nothing on stderr."""
    done = python("-c", f"import ferwatch\nDEMO = {str(DEMO)!r}\n{PROGRAMS[name]}", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.0\n", "")


def test_images_share_a_loaded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from ferwatch.pipeline import analyzer

    loaded = []
    load: Callable[..., object] = analyzer.load_classifier
    monkeypatch.setattr(analyzer, "load_classifier", lambda options: loaded.append(options) or load(options))
    analyzer._load_once.cache_clear()
    for _ in range(3):
        ferwatch.analyze_image(np.zeros((60, 80, 3), np.uint8), model="cnn", weights=None)
    assert len(loaded) == 1


def test_results_of_a_camera_come_within_about_a_second() -> None:
    taken = 0

    def camera() -> Iterator[tuple[float, np.ndarray]]:
        nonlocal taken
        for taken in range(60):
            yield taken / 10, np.zeros((60, 80, 3), np.uint8)

    late = [taken - result.index for result in ferwatch.track(camera())]
    assert len(late) == 60
    assert max(late) <= 11


def test_options_of_a_picture_are_those_of_the_call() -> None:
    image = np.hstack([next(frames_of_demo(1))] * 2)
    assert len(ferwatch.analyze_image(image).faces) == 2
    assert len(ferwatch.analyze_image(image, ignore=[1]).faces) == 1
    assert len(ferwatch.analyze_image(image, max_faces=1).faces) == 1


def test_faces_outside_the_region_are_left_out() -> None:
    image = next(frames_of_demo(1))
    (face,) = ferwatch.analyze_image(image).faces
    x, y, width, height = face.bbox
    around = (x + width / 2 - 5, y + height / 2 - 5, 10, 10)
    beside = (x + width / 2 + 5, y + height / 2 + 5, 10, 10)
    for region, faces in ((around, 1), (beside, 0)):
        with ferwatch.Analyzer(region=region) as analyzer:
            assert len(analyzer.image(image).faces) == faces
            assert [len(result.faces) for result in analyzer.track([image] * 3, fps=10)] == [faces] * 3
        assert len(ferwatch.analyze_image(image, region=region).faces) == faces
    with pytest.raises(ferwatch.OptionError, match="region"):
        ferwatch.Analyzer(region=(0, 0, 0, 10))
    beyond = (image.shape[1], 0, 10, 10)
    with pytest.raises(ferwatch.OptionError, match="outside the picture, which is 640x360"):
        ferwatch.analyze_image(image, region=beyond)
    with pytest.raises(ferwatch.OptionError, match="outside the picture, which is 640x360"):
        list(ferwatch.track([image], region=beyond, fps=10))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("start", "0:05"), ("start", True), ("end", "x"), ("smoothing", "a"), ("min_episode", None)),
        *(("threads", "2"), ("sampling", 5), ("annotate", "no"), ("exports", None), ("ignore", 3), ("ignore", ("a",))),
        *(("region", 5), ("region", "abcd"), ("region", (float("nan"), 0, 1, 1)), ("weights", 5), ("end", math.inf)),
    ],
)
def test_an_option_of_another_type_is_named(option: str, value: object) -> None:
    with pytest.raises(ferwatch.OptionError, match=rf"{option}=.*: give "):
        ferwatch.Analyzer(**{option: value})
