"""Fixtures of the tests of the page: Chromium, and a page that may not ask for anything from elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_tools import CHROMIUM, FLAGS, Open, RangeHandler, beside, encode_clip, wait_until, write_run

if TYPE_CHECKING:
    from playwright import sync_api


@pytest.fixture(scope="module")
def gray_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    encode_clip(path)
    return path


@pytest.fixture(scope="module")
def run(gray_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "clip-ferwatch", gray_clip)


@pytest.fixture(scope="module")
def served(run: Path) -> Iterator[str]:
    """The run's page over HTTP."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(RangeHandler, directory=str(run.parent))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{run.name}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium: install it or name it in FERWATCH_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def show(browser: sync_api.Browser) -> Iterator[Open]:
    """Opens a page; at the end, none may have logged an error or asked for more than itself and the file beside it."""
    contexts, errors = [], []

    def show(where: Path | str, width: int = 1280, complaints: bool = False, **more: object) -> sync_api.Page:
        url = where.as_uri() if isinstance(where, Path) else where
        context = browser.new_context(viewport={"width": width, "height": 900}, **more)
        contexts.append(context)
        tab = context.new_page()
        if not complaints:
            tab.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
            tab.on("request", lambda r: None if beside(r.url, url) else errors.append(f"asked for {r.url}"))
        tab.on("pageerror", lambda e: errors.append(str(e)))
        tab.on("dialog", lambda d: errors.append(f"dialog {d.message}"))
        tab.goto(url)
        if tab.locator("video").count() and not complaints:
            wait_until(tab, "document.querySelector('video').readyState >= 2")
        return tab

    yield show
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(params=["file", "http"])
def tab(request: pytest.FixtureRequest, show: Open, run: Path) -> sync_api.Page:
    """The run's page, opened from the disk and from a web server."""
    return show(run if request.param == "file" else request.getfixturevalue("served"))
