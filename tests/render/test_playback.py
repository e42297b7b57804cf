"""annotated.mp4 in a browser."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferwatch.render.annotated_video import annotate_video
from ferwatch.render.draw import bgr
from ferwatch.render.overlay import Overlay
from ferwatch.timeline.table import FrameTable
from ferwatch.video.reader import VideoReader

SHARED = Path(__file__).parents[3] / "shared" / "videos"
CHROMIUM = Path(os.environ.get("FERWATCH_CHROMIUM", "/usr/bin/chromium"))


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium; name it in FERWATCH_CHROMIUM")
def test_a_browser_plays_it_and_shows_the_box(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    source = SHARED / "single_face.mp4"
    if not source.exists():
        pytest.skip("the shared clips are not on this machine")
    time = np.arange(0, 10, 0.1).round(3)
    ones = np.ones(len(time))
    box = np.tile((204.0, 114.0, 174.0, 174.0), (len(time), 1))
    happy = np.tile((0.01, 0.005, 0.015, 0.93, 0.01, 0.01, 0.02), (len(time), 1))
    table = FrameTable(np.arange(len(time)), time, ones.astype(int), ones, box, happy)
    annotate_video(source, Overlay(table), tmp_path / "annotated.mp4")
    page_file = tmp_path / "page.html"
    page_file.write_text("<body style='margin:0'><video src='annotated.mp4' muted preload='auto'></video>")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    flags += "--disable-component-update --disable-sync"
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=str(CHROMIUM), args=flags.split())
        page = browser.new_page(viewport={"width": 640, "height": 360})
        page.goto(page_file.as_uri())
        page.wait_for_function("document.querySelector('video').readyState == 4")
        duration = page.evaluate("document.querySelector('video').duration")
        assert duration == pytest.approx(2.42, abs=0.05)
        page.evaluate("v = document.querySelector('video'); v.currentTime = v.duration / 2")
        page.wait_for_function("!v.seeking && v.readyState == 4")
        assert page.evaluate("v.currentTime") == pytest.approx(duration / 2, abs=0.001)
        shot = page.screenshot(path=tmp_path / "shot.png")
        page.evaluate("v.play()")
        page.wait_for_function("v.ended")
        browser.close()
    assert shot

    image = cv2.imread(str(tmp_path / "shot.png")).astype(int)
    for edge in (image[115, 220:360], image[286, 220:360], image[130:270, 205], image[130:270, 376]):
        assert np.abs(np.median(edge, axis=0) - bgr("happy")).mean() < 40
    with VideoReader(source) as reader:
        middle = [frame.image for frame in reader if frame.timestamp <= duration / 2][-1].astype(int)
    face = (slice(130, 270), slice(220, 360))
    assert np.abs(image[face] - middle[face]).mean() < 6, "the very frame of the source"
