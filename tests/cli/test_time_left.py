"""The bars' time left: of the whole run, from made-up clocks."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from ferwatch.cli.progress import TIMELINE_SECONDS, ProgressBars, TimeLeft


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_reach_their_totals_and_tell_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    clock = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: clock[0])
    with ProgressBars(hidden=False, clock=lambda: clock[0]) as bars:
        # Half a second for each frame: 90 s are left after a tenth. The film takes half of the analysis's time.
        bars.expect(0.5, 1.0)
        for stage, step, expected in (("analysing", 0.5, "02:21 left"), ("annotating", 0.25, "00:45 left")):
            for done in range(201):
                clock[0] += step
                bars.update(stage, done, 200)
                if done == 20:
                    assert f"20 of 200 frames, {expected}" in terminal.getvalue().split("\r")[-1]
        assert "annotating: 100%" in terminal.getvalue()


def totals(
    analysis: float, film: float, *, start: float = 0.0, ratio: Callable[[float], float], stray: float = 0.0
) -> list[tuple[float, float]]:
    """The whole time of a run as it is predicted, at each moment: [(part of the work that is over, predicted / true)].

    Args:
        analysis, film: seconds that each stage takes, for 1000 pictures.
        start: seconds before the first picture is done.
        ratio: what is told to be expected of the film, by the part of the analysis that is done.
        stray: every other picture takes so much more of the time of a picture, the others so much less.
    """
    now = [500.0]
    left = TimeLeft(lambda: now[0])
    found: list[tuple[float, float]] = []
    whole = start + analysis + TIMELINE_SECONDS + film

    def tell(stage: str, done: int, total: int) -> None:
        left.update(stage, done, total)
        if left.seconds is not None:
            found.append(((now[0] - 500 - start) / (whole - start), (now[0] - 500 + left.seconds) / whole))

    tell("analysing", 0, 1000)
    now[0] += start
    for done in range(1, 1001):
        now[0] += analysis / 1000 * (1 + stray * (1 if done % 2 else -1))
        left.expect(ratio(done / 1000), 1.0)
        tell("analysing", done, 1000)
    for number in (1, 2):
        now[0] += TIMELINE_SECONDS / 2
        tell("timeline", number, 2)
    for done in range(1001 if film else 0):
        now[0] += film / 1000 if done else 0
        tell("annotating", done, 1000)
    return found


@pytest.mark.parametrize("start", [0.0, 8.0])
@pytest.mark.parametrize(("analysis", "film"), [(30.0, 0.0), (30.0, 15.0), (100.0, 180.0), (10.0, 2.0)])
def test_the_time_of_all_stages_is_right_after_a_tenth(analysis: float, film: float, start: float) -> None:
    found = totals(analysis, film, start=start, ratio=lambda part: film / analysis, stray=0.5)
    late = [predicted for part, predicted in found if part >= 0.1]
    assert len(late) > 800
    assert min(late) > 0.9
    assert max(late) < 1.1


def test_a_forecast_that_is_wrong_is_corrected_during_the_analysis_and_by_the_film_itself() -> None:
    # At first the typical value, then a measured one, which is half too small.
    found = totals(50.0, 50.0, ratio=lambda part: 0.7 if part < 0.1 else 0.5)
    early = [predicted for part, predicted in found if part < 0.04]
    assert max(early) == pytest.approx(0.85, abs=0.02)
    assert all(abs(predicted - 0.75) < 0.02 for part, predicted in found if 0.1 < part < 0.4)
    assert all(abs(predicted - 1) < 0.02 for part, predicted in found if part > 0.62)


def test_a_resumed_run_is_judged_by_what_it_does_itself() -> None:
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    left.update("analysing", 800, 1000)
    for done in range(801, 851):
        now[0] += 0.1
        left.update("analysing", done, 1000)
    assert left.seconds == pytest.approx(15 + TIMELINE_SECONDS, abs=0.5)


def test_nothing_is_told_as_long_as_nothing_is_known() -> None:
    left = TimeLeft(lambda: 1.0)
    left.update("analysing", 0, 1000)
    assert left.seconds is None
    left.update("analysing", 10, 0)
    assert left.seconds is None
