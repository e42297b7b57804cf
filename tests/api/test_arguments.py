"""Arguments of the Python API that cannot be: one line that says what to give instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import DEMO, needs_weights

import ferwatch
from ferwatch import Sampling, analyze, analyze_image, track

pytestmark = needs_weights
IMAGE = np.zeros((60, 80, 3), np.uint8)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: track(0), "video=0: give a path.* for a camera, a generator"),  # type: ignore[arg-type]
        (lambda: track(None), "video=None: give a path"),  # type: ignore[arg-type]
        (lambda: track(cv2.VideoCapture(str(DEMO))), "for a camera"),  # type: ignore[arg-type]
        (lambda: track(b"film.mp4"), "video=b'film.mp4': give a path"),  # type: ignore[arg-type]
        (lambda: track(""), "video='' is empty"),
        (lambda: track("a\0b.mp4"), "NUL"),
        (lambda: next(track("a\nb.mp4")), "a b.mp4 cannot be read: there is no such file"),
        (lambda: track(DEMO, start=np.zeros((50, 3))), r"start=array\(.{,60}: give a number"),  # type: ignore[arg-type]
        (lambda: track(DEMO, labels=np.zeros(9)), "choose one of crowd, fer2013"),  # type: ignore[arg-type]
        (lambda: track(DEMO, progress=True), "progress=True: give a function"),  # type: ignore[arg-type]
        (lambda: track(DEMO, weights=""), "weights='' is empty"),
        (lambda: analyze_image(""), "image='' is empty"),
        (lambda: analyze_image("x" * 1000), "cannot be read: File name too long"),
        (lambda: analyze(None), "video=None: give the path of a video"),  # type: ignore[arg-type]
        (lambda: analyze([IMAGE], "o"), "pictures and cameras are for track"),  # type: ignore[arg-type]
        (lambda: analyze(DEMO, 3), "out=3: give a path"),  # type: ignore[arg-type]
        (lambda: analyze(DEMO, "a\0b"), "NUL"),
        (lambda: analyze(DEMO, exports=[["eaf"]]), "there is no export"),  # type: ignore[list-item]
        (lambda: ferwatch.Analyzer(detector=object()), r"detector=<object .*: give"),  # type: ignore[arg-type]
        (lambda: ferwatch.AnalysisOptions(foo=1), "there is no option 'foo'"),  # type: ignore[call-arg]
        (lambda: Sampling(every=1.5), "every=1.5.: give a whole number"),  # type: ignore[arg-type]
        (lambda: Sampling(every=float("nan")), "every=nan.: give a whole number"),  # type: ignore[arg-type]
        (lambda: Sampling(every=float("inf")), "every=inf.: give a whole number"),  # type: ignore[arg-type]
        (lambda: Sampling(every=True), "every=True.: give a whole number"),
        (lambda: Sampling(every=0), "every=0.: give a whole number"),
        (lambda: Sampling(fps="10"), "fps='10'.: give a number"),  # type: ignore[arg-type]
        (lambda: Sampling(fps=True), "fps=True.: give a number"),
        (lambda: Sampling(fps=0.0), "fps=0.0.: give a number"),
        (lambda: Sampling(fps=float("nan")), "fps=nan.: give a number"),
        (lambda: Sampling(fps=float("inf")), "fps=inf.: give a number"),
        (lambda: Sampling(fps=10, every=5), "give one of the two"),
    ],
)
def test_a_wrong_argument_is_named_in_one_line(
    call: Callable[[], object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ferwatch.FerwatchError, match=says) as error:
        call()
    assert len(str(error.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


OF_ANALYZE: list[dict[str, Any]] = [
    {"exports": ["eaf"]}, {"annotate": True}, {"charts": True}, {"blur_faces": True}, {"smoothing": 2}, {"threads": 2},
]  # fmt: skip
OF_FILES: list[dict[str, Any]] = [{"start": 5}, {"end": 1}, {"sampling": Sampling(every=3)}, {"decoder": "opencv"}]


def test_options_of_a_call_that_would_have_no_effect_are_refused() -> None:
    for options in OF_ANALYZE:
        for call in (lambda: track(DEMO, **options), lambda: track([IMAGE], **options)):  # noqa: B023
            with pytest.raises(ferwatch.OptionError, match="is for analyze"):
                call()
    for options in OF_FILES:
        with pytest.raises(ferwatch.OptionError, match="is for video files"):
            track([IMAGE], **options)
    for options in [*OF_ANALYZE, *OF_FILES, {"fps": 3}]:
        with pytest.raises(ferwatch.OptionError, match=f"{next(iter(options))} is for "):
            analyze_image(IMAGE, **options)


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    run = analyze(
        DEMO, tmp_path, end=np.float32(0.5), max_faces=np.int64(3), ignore=np.array([9]), annotate=False,
        region=tuple(np.array([0, 0, 640, 360], np.float32)), sampling=Sampling(every=np.int64(5)),
    )  # fmt: skip
    facts = json.loads((run.folder / "run.json").read_text())
    assert facts["sampling"]["end"] == 0.5
    assert facts["settings"]["ignored faces"] == [9]


def test_options_that_ask_for_nothing_are_taken_and_those_of_an_analyzer() -> None:
    idle: dict[str, Any] = {"annotate": False, "exports": (), "start": 0, "end": None, "threads": 1}
    assert analyze_image(IMAGE, **idle).faces == ()
    with ferwatch.Analyzer(start=5, exports=["eaf"], fps=10) as analyzer:
        assert analyzer.image(IMAGE).faces == ()
        assert len(list(analyzer.track([IMAGE]))) == 1
