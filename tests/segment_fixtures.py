"""Fixtures of tests that analyse short clips in segments, by one worker and by several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from ferwatch.pipeline.executors import InProcess, LocalProcesses


@pytest.fixture(scope="module")
def small_demo() -> list[np.ndarray]:
    from segment_clips import demo_pictures

    return demo_pictures()


@pytest.fixture
def short_videos_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Videos of any length are analysed in segments."""
    from ferwatch.pipeline import cuts

    monkeypatch.setattr(cuts, "MIN_PARALLEL_SECONDS", 0.0)


@pytest.fixture(scope="module")
def two_workers() -> Iterator[LocalProcesses]:
    from ferwatch.pipeline.executors import LocalProcesses

    with LocalProcesses(2) as executor:
        yield executor


@pytest.fixture(params=[1, 2])
def one_or_two(request: pytest.FixtureRequest, two_workers: LocalProcesses) -> InProcess | LocalProcesses:
    """Runs a test with one worker and with two."""
    from ferwatch.pipeline.executors import InProcess

    return InProcess() if request.param == 1 else two_workers
