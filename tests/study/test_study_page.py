"""study.html in headless Chromium: filters, links to the moments of recordings, keyboard, widths."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import in_process
from made_study import make_study

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = os.environ.get("FERWATCH_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    plan = make_study(folder, 26, pages=True)
    done = in_process("study", plan, "--out", folder / "out", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder / "out" / "study.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Any, page_file: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(page_file.as_uri())
    yield tab
    context.close()
    assert complaints == []


def rows(tab: Any) -> int:
    return tab.locator("#rows tr").count()


def test_filters_and_pages_choose_recordings(tab: Any) -> None:
    assert tab.locator("#count").inner_text() == "52 of 52 recordings"
    assert rows(tab) == 50
    tab.get_by_role("button", name="Next 50").click()
    assert rows(tab) == 2
    tab.get_by_label("moment").select_option("after")
    tab.get_by_label("group").select_option("old")
    assert tab.locator("#count").inner_text() == "13 of 52 recordings"
    tab.get_by_role("searchbox", name="Participant").fill("p003")
    assert rows(tab) == 1
    tab.get_by_label("Emotion").select_option("fear")
    assert tab.locator("#count").inner_text() == "0 of 52 recordings"
    tab.get_by_role("button", name="Clear").click()
    tab.wait_for_function("document.querySelector('#count').textContent === '52 of 52 recordings'")


def test_a_band_ends_where_its_recording_does(tab: Any) -> None:
    """Gray, without a mark of its own that looks like an episode."""
    length, track = (
        tab.locator(f"#rows {name}").first.evaluate("e => [getComputedStyle(e).backgroundColor, e.clientWidth]")
        for name in (".length", ".track")
    )
    assert track[0] == "rgba(0, 0, 0, 0)" != length[0]
    assert length[1] == tab.locator("#rows .length").first.evaluate("e => e.offsetWidth")  # no border


def test_an_episode_opens_the_recording_at_its_start(tab: Any) -> None:
    tab.get_by_label("Emotion").select_option("happy")
    link = tab.locator("#rows tr").first.locator("a.episode")
    assert link.count() == 1
    start = link.get_attribute("aria-label")
    link.click()
    assert "/runs/p000-before/timeline.html#t=" in tab.url
    assert tab.title() == "p000-before"
    seconds = float(tab.url.rpartition("=")[2])
    assert start is not None
    assert f"0:{seconds:06.3f}" in start


def test_the_keyboard_alone_reaches_episodes(tab: Any) -> None:
    tab.locator("#rows tr").first.locator("td a").first.focus()
    tab.keyboard.press("Tab")
    first = tab.evaluate("document.activeElement.getAttribute('aria-label')")
    assert first.startswith("neutral")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')").startswith("happy")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/timeline.html#t=*")


@pytest.mark.parametrize("width", [390, 1366, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(browser: Any, page_file: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(page_file.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.evaluate("document.documentElement.dataset.theme") == scheme
    if folder := os.environ.get("FERWATCH_SHOTS"):
        tab.screenshot(path=f"{folder}/study-{width}-{scheme}.png")
    context.close()


def test_the_page_links_to_no_video_and_asks_no_network(page_file: Path) -> None:
    text = page_file.read_text(encoding="utf-8")
    assert ".mp4" not in text
    assert "http://" not in text
    assert "https://" not in text
