"""The page in headless Chromium: what a person sees, clicks and types there."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from page_tools import (
    FOLLOWED,
    FPS,
    PLAYHEAD,
    SECONDS,
    Open,
    current_time,
    pixels,
    point,
    shown_time,
    timeline_of,
    wait_until,
)

from ferwatch.export.html_page import write_html
from ferwatch.records import EMOTIONS
from ferwatch.timeline.table import FrameTable

sync_api = pytest.importorskip("playwright.sync_api")


@pytest.mark.parametrize("lane", [0, 1])
def test_a_click_in_the_middle_of_a_lane_seeks_to_the_middle_of_the_video(tab: sync_api.Page, lane: int) -> None:
    tab.mouse.click(*point(tab, 0.5, lane))
    wait_until(tab, "!document.querySelector('video').seeking")
    assert current_time(tab) == pytest.approx(SECONDS / 2, abs=0.1)
    assert shown_time(tab) == pytest.approx(SECONDS / 2, abs=0.1)
    assert tab.evaluate(PLAYHEAD) == pytest.approx(0.5, abs=0.005)


def test_it_plays_and_the_playhead_follows(tab: sync_api.Page) -> None:
    tab.get_by_role("combobox", name="Speed").select_option("0.25")  # leaves a slow machine time to look
    tab.get_by_role("button", name="Play").click()
    for until in (0.2, 0.7, 1.1):
        wait_until(tab, f"document.querySelector('video').currentTime > {until}")
        before, place, after = tab.evaluate(FOLLOWED)
        assert before - 0.05 <= place * SECONDS <= after + 0.05
    tab.get_by_role("button", name="Pause").click()
    assert tab.evaluate("document.querySelector('video').paused")
    assert 1.1 < shown_time(tab) < 1.98
    assert [row.split()[2] for row in tab.locator("tr.current").all_inner_texts()] == ["happy", "sad"]


def test_dragging_scrubs(tab: sync_api.Page) -> None:
    tab.mouse.move(*point(tab, 0.2))
    tab.mouse.down()
    for across in (0.3, 0.5, 0.75):
        tab.mouse.move(*point(tab, across))
    tab.mouse.up()
    wait_until(tab, "Math.abs(document.querySelector('video').currentTime - 3) < 0.05")
    assert tab.evaluate(PLAYHEAD) == pytest.approx(0.75, abs=0.005)


def test_the_keyboard_does_it_all_and_the_picture_is_the_sample_s(show: Open, served: str) -> None:
    tab = show(served)

    def picture() -> int:
        """The number of the frame on the screen, from its gray."""
        gray = tab.evaluate(
            """async () => {
              const video = document.querySelector('video');
              while (video.seeking) await new Promise(requestAnimationFrame);
              await new Promise(done => setTimeout(done, 60));
              const canvas = new OffscreenCanvas(8, 8), context = canvas.getContext('2d');
              context.drawImage(video, 0, 0, 8, 8);
              return context.getImageData(4, 4, 1, 1).data[0];
            }"""
        )
        return round((gray - 40) / 2)

    tab.keyboard.press("Tab")
    while tab.evaluate("document.activeElement.id") != "ruler":
        assert tab.evaluate("document.activeElement !== document.body"), "the ruler cannot be reached with Tab"
        tab.keyboard.press("Tab")
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for key, time in {
        "ArrowRight": 0.08,
        "Shift+ArrowRight": 1.08,
        "ArrowLeft": 1.04,
        "PageDown": 3.0,
        "PageUp": 1.0,
        "Shift+ArrowLeft": 0.0,
        "Home": 0.0,
    }.items():
        tab.keyboard.press(key)
        assert shown_time(tab) == pytest.approx(time), key
        assert picture() == round(time * FPS), key
    for _ in range(12):
        tab.keyboard.press("ArrowRight")
    assert picture() == 24
    assert tab.locator("#ruler").get_attribute("aria-valuetext").startswith("0:01.0, Face 1: ")
    tab.keyboard.press("End")
    assert shown_time(tab) == SECONDS
    tab.keyboard.press("Home")
    tab.keyboard.press("Space")
    wait_until(tab, "document.querySelector('video').currentTime > 0.3")
    tab.keyboard.press("Space")
    assert tab.evaluate("document.querySelector('video').paused")


def test_a_row_of_the_table_goes_to_its_episode(tab: sync_api.Page) -> None:
    tab.get_by_role("button", name="0:03.000").click()
    assert shown_time(tab) == 3.0


def test_hover_shows_the_values_of_frames_csv_at_the_nearest_sample(tab: sync_api.Page, run: Path) -> None:
    with open(run.with_name("frames.csv"), encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    times = sorted({float(row["timestamp"]) for row in rows})
    for lane, face in enumerate(("1", "2")):
        for across in (0.013, 0.137, 0.31, 0.444, 0.62, 0.871, 0.99):
            tab.mouse.move(*point(tab, across, lane))
            nearest = min(times, key=lambda t: abs(t - across * SECONDS))
            row = next((r for r in rows if float(r["timestamp"]) == nearest and r["face_id"] == face), None)
            text = tab.locator("#tooltip").inner_text()
            assert f"0:0{nearest:.3f} · frame {round(nearest * FPS)}" in text
            if row is None:
                assert "no face" in text
                continue
            names, values = (tab.locator(f"#tooltip {tag}").all_inner_texts() for tag in ("dt", "dd"))
            shown = dict(zip(names, values, strict=True))
            assert shown == {emotion: row[emotion] for emotion in EMOTIONS}
            assert tab.locator("#tooltip .top dt").inner_text() == row["emotion"]
    tab.mouse.move(5, 5)
    assert tab.locator("#tooltip").is_hidden()


def test_the_readout_beside_a_lane_shows_the_values_at_the_playhead(show: Open, run: Path) -> None:
    tab = show(run)
    tab.mouse.click(*point(tab, 0.26))
    with open(run.with_name("frames.csv"), encoding="utf-8") as f:
        row = next(r for r in csv.DictReader(f) if float(r["timestamp"]) == 1.04 and r["face_id"] == "1")
    shown = [int(text[:-1]) for text in tab.locator(".lane").first.locator(".readout dd").all_inner_texts()]
    assert shown == pytest.approx([100 * float(row[emotion]) for emotion in EMOTIONS], abs=0.51)
    tab.mouse.click(*point(tab, 0.625))  # face 1 is away there
    assert tab.locator(".lane").first.locator(".readout dd").all_inner_texts() == ["\u2013"] * 7


def test_a_screen_reader_gets_the_episodes_as_a_table(show: Open, run: Path) -> None:
    table = show(run, width=1920).get_by_role("table")
    header = table.get_by_role("columnheader").all_inner_texts()
    assert header == ["Face", "Emotion", "Start", "End", "Length", "Peak at", "Peak", "Mean"]
    rows = [row.get_by_role("cell").all_inner_texts() for row in table.get_by_role("row").all()[1:]]
    assert rows == [
        ["Face 1", "neutral", "0:00.000", "0:01.000", "1.00 s", "0:00.480", "83%", "71%"],
        ["Face 1", "happy", "0:01.000", "0:01.980", "0.98 s", "0:01.480", "90%", "81%"],
        ["Face 1", "uncertain", "0:03.000", "0:03.960", "0.96 s", "0:03.480", "40%", "31%"],
        ["Face 2", "sad", "0:00.500", "0:03.500", "3.00 s", "0:02.000", "70%", "61%"],
    ]


def test_a_gap_stays_a_gap_and_the_legend_hides_curves(show: Open, run: Path) -> None:
    tab = show(run)
    for emotion in EMOTIONS:
        assert pixels(tab, emotion, 0.52, 0.74) == 0, emotion
        assert pixels(tab, emotion, 0.02, 0.48) > 0, emotion
    tab.get_by_role("button", name="surprise").click()
    tab.mouse.move(5, 5)
    assert tab.get_by_role("button", name="surprise").get_attribute("aria-pressed") == "false"
    assert pixels(tab, "surprise", 0.02, 0.48) == 0
    assert pixels(tab, "sad", 0.02, 0.48) > 0
    assert pixels(tab, "happy", 0.27, 0.48, 0.9, 1.0) > 1000, "no band for the happy episode"


def test_a_face_can_be_hidden(show: Open, run: Path) -> None:
    tab = show(run)
    tab.get_by_role("button", name="Face 1").click()
    assert [lane.is_visible() for lane in tab.locator(".lane").all()] == [False, True]
    assert tab.locator("tbody tr:visible").count() == 1


def test_dark_and_light(show: Open, run: Path) -> None:
    def ground(tab: sync_api.Page) -> int:
        return int(tab.evaluate("getComputedStyle(document.body).backgroundColor").split("(")[1].split(",")[0])

    tab = show(run, color_scheme="dark")
    assert ground(tab) < 40
    tab.emulate_media(color_scheme="light")
    wait_until(tab, "document.documentElement.dataset.theme === 'light'")
    assert ground(tab) > 220
    tab.get_by_role("button", name="Dark theme").click()
    assert ground(tab) < 40


def test_zoom_keeps_the_time_under_the_pointer(show: Open, run: Path) -> None:
    tab = show(run)
    tab.mouse.move(*point(tab, 0.25))
    before = tab.locator("#tooltip time").inner_text()
    tab.keyboard.down("Control")
    tab.mouse.wheel(0, -300)
    tab.keyboard.up("Control")
    tab.mouse.move(*point(tab, 0.2501))
    assert tab.locator("#tooltip time").inner_text() == before
    tab.mouse.click(*point(tab, 0.25))
    assert shown_time(tab) == pytest.approx(1.0, abs=0.02)
    tab.keyboard.press("End")  # out of the view: the view goes along
    assert tab.evaluate(PLAYHEAD) == pytest.approx(1.0, abs=0.01)
    assert tab.locator("#overview").is_visible()
    tab.get_by_role("button", name="Fit").click()
    tab.mouse.click(*point(tab, 0.5))
    assert shown_time(tab) == pytest.approx(2.0, abs=0.02)


def test_ten_thousand_samples_keep_every_peak_and_gap(show: Open, tmp_path: Path) -> None:
    n = 10_000
    calm = np.full((n, 7), 1 / 7)
    calm[2_500] = [0.88, *[0.02] * 6]  # one sample of 10,000, a tenth of a pixel wide
    noisy = np.random.default_rng(0).dirichlet(np.ones(7), (2, n))
    probabilities = np.stack([calm, *noisy], axis=1).reshape(-1, 7).round(4)
    index, face = np.repeat(np.arange(n), 3), np.tile([1, 2, 3], n)
    table = FrameTable(index, index * 0.1, face, np.ones(3 * n), np.ones((3 * n, 4)), probabilities)
    table = table.select((face != 2) | (index < 5_000) | (index >= 6_000))
    write_html(tmp_path / "timeline.html", timeline_of(table, duration=n / 10))
    tab = show(tmp_path / "timeline.html")
    assert pixels(tab, "angry", 0.245, 0.255, 0.04, 0.5) > 20
    assert pixels(tab, "angry", 0.1, 0.24, 0.04, 0.5) == 0
    for emotion in EMOTIONS:
        assert pixels(tab, emotion, 0.505, 0.595, lane=1) == 0, emotion
    seconds = tab.evaluate(
        """async () => {
          const begin = performance.now();
          for (let i = 0; i < 10; i++) {
            document.querySelector(i % 2 ? '#zoom-out' : '#zoom-in').click();
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
          }
          return (performance.now() - begin) / 10 / 1000;
        }"""
    )
    print(f"10,000 samples x 3 faces: {1000 * seconds:.0f} ms a zoom step")
    tab.mouse.click(*point(tab, 0.5, 2))
    assert shown_time(tab) == pytest.approx(n / 20, abs=1)
