"""The page with hostile names, without its video, without a face, on small screens."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from page_tools import HOSTILE, PLAYHEAD, SECONDS, Open, RangeHandler, point, shown_time, timeline_of, write_run

from ferwatch.export.html_page import write_html
from ferwatch.timeline.table import FrameTable

sync_api = pytest.importorskip("playwright.sync_api")


def test_hostile_names_stay_text(show: Open, gray_clip: Path, tmp_path: Path) -> None:
    names = {1: HOSTILE, 2: "$title ${data} <!--<script>"}
    video = 'we\'re "here" #1? 50% ü.mp4'
    tab = show(write_run(tmp_path / "Zoë's <b>run & 名前", gray_clip, names=names, video=video))
    assert tab.locator("h1").text_content() == "Zoë's <b>run & 名前"
    assert [h.text_content() for h in tab.locator("h3").all()] == list(names.values())
    assert tab.locator("tbody td:first-child").first.text_content() == HOSTILE
    assert tab.locator("img, b").count() == 0
    assert tab.evaluate("document.querySelector('video').duration") == pytest.approx(SECONDS, abs=0.1)


def test_a_name_that_is_no_utf_8_is_written(show: Open, tmp_path: Path) -> None:
    tab = show(write_run(tmp_path / "x", None, names={1: os.fsdecode(b"caf\xe9")}))
    assert tab.locator("h3").first.text_content().startswith("caf")


def test_without_a_video_there_is_a_time_cursor(show: Open, tmp_path: Path) -> None:
    tab = show(write_run(tmp_path / "clip", None))
    assert tab.locator("video, button[aria-label=Play]:visible").count() == 0
    tab.mouse.click(*point(tab, 0.5))
    assert shown_time(tab) == pytest.approx(2.0, abs=0.01)
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Space")
    assert tab.evaluate(PLAYHEAD) == pytest.approx(shown_time(tab) / SECONDS, abs=0.003)


@pytest.mark.parametrize(("first", "last", "middle"), [(0, 60, 30), (1800, 1860, 1830)])
def test_the_axis_is_the_stretch_that_was_sampled(
    show: Open, tmp_path: Path, first: int, last: int, middle: int
) -> None:
    index = np.arange(10 * first, 10 * last)
    columns = (np.ones(len(index), int), np.ones(len(index)), np.ones((len(index), 4)))
    table = FrameTable(index, index / 10, *columns, np.full((len(index), 7), 1 / 7))
    write_html(tmp_path / "timeline.html", timeline_of(table, duration=3600.0))
    tab = show(tmp_path / "timeline.html")
    assert shown_time(tab) == first
    tab.mouse.click(*point(tab, 0.5))
    assert shown_time(tab) == pytest.approx(middle, abs=0.2)


def test_a_recording_without_a_face_is_shown(show: Open, tmp_path: Path) -> None:
    empty = np.full((5, 7), np.nan)
    table = FrameTable(np.arange(5), np.arange(5) / 5, np.zeros(5, int), empty[:, 0], empty[:, :4], empty)
    write_html(tmp_path / "timeline.html", timeline_of(table, duration=1.0))
    tab = show(tmp_path / "timeline.html")
    assert "No episode" in tab.get_by_role("table").inner_text()
    tab.keyboard.press("End")
    assert shown_time(tab) == 1.0


def test_a_missing_video_is_named(show: Open, gray_clip: Path, tmp_path: Path) -> None:
    path = write_run(tmp_path / "clip", gray_clip)
    path.with_name("annotated.mp4").unlink()
    tab = show(path, complaints=True)
    tab.get_by_text("annotated.mp4 has to lie beside this page").wait_for()
    tab.mouse.click(*point(tab, 0.5))
    assert shown_time(tab) == pytest.approx(2.0, abs=0.02)


def test_the_policy_refuses_the_network_and_code_from_elsewhere(show: Open, served: str) -> None:
    tab = show(served, complaints=True)
    RangeHandler.asked.clear()
    tab.evaluate("fetch('/fetched').catch(() => {})")
    tab.evaluate("new Image().src = '/image.png'")
    tab.evaluate("navigator.sendBeacon('/beacon')")
    tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {src: '/script.js'}))")
    tab.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.owned = 1'}))"
    )
    tab.wait_for_timeout(300)
    assert [path for path in RangeHandler.asked if not path.endswith(".mp4")] == []
    assert tab.evaluate("window.owned") is None


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(show: Open, run: Path, width: int) -> None:
    tab = show(run, width=width)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.evaluate("(s => s.scrollWidth - s.clientWidth)(document.querySelector('.scroll'))") == 0


def test_a_tap_seeks(show: Open, run: Path) -> None:
    tab = show(run, width=390, has_touch=True)
    tab.touchscreen.tap(*point(tab, 0.5))
    assert shown_time(tab) == pytest.approx(2.0, abs=0.03)
