"""The page: filtering, sorting, stepping, notes, links, accessibility, and every width with and without the video."""

from __future__ import annotations

import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from page_tools import Open, RangeHandler, shown_time, wait_until, write_run

sync_api = pytest.importorskip("playwright.sync_api")


def table(tab: sync_api.Page) -> list[tuple[str, str]]:
    """Face and emotion of the rows that are visible, from the top."""
    rows = [row.get_by_role("cell").all_inner_texts() for row in tab.locator("tbody tr:visible").all()]
    return [(row[0], row[1].strip()) for row in rows]


def test_the_legend_filters_the_table(show: Open, run: Path) -> None:
    tab = show(run)
    tab.get_by_role("button", name="happy", exact=True).click()
    assert table(tab) == [("Face 1", "neutral"), ("Face 1", "uncertain"), ("Face 2", "sad")]
    assert tab.locator("#episode-count").inner_text() == "3 of 4"
    tab.get_by_role("button", name="uncertain").click()
    tab.get_by_role("button", name="Face 2").click()
    assert table(tab) == [("Face 1", "neutral")]
    tab.get_by_role("button", name="Face 2").click()
    tab.get_by_role("button", name="happy", exact=True).click()
    assert tab.locator("#episode-count").inner_text() == "3 of 4"


@pytest.mark.parametrize(
    ("column", "first", "last"),
    [
        ("Face", "neutral", "sad"),
        ("Emotion", "happy", "uncertain"),
        ("Start", "neutral", "uncertain"),
        ("End", "neutral", "uncertain"),
        ("Length", "uncertain", "sad"),
        ("Peak at", "neutral", "uncertain"),
        ("Peak", "uncertain", "happy"),
        ("Mean", "uncertain", "happy"),
    ],
)
def test_every_column_sorts(show: Open, run: Path, column: str, first: str, last: str) -> None:
    tab = show(run, width=1920)
    head = tab.get_by_role("columnheader", name=column, exact=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    emotions = [emotion for _, emotion in table(tab)]
    assert (emotions[0], emotions[-1]) == (first, last)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    # Rows that are equal stay in the order of time, so that only what is unique is compared.
    if column != "Face":
        assert [emotion for _, emotion in table(tab)] == emotions[::-1]


def test_next_and_previous_of_an_emotion(show: Open, run: Path) -> None:
    tab = show(run)
    tab.get_by_label("Emotion of the next and previous episode").select_option("sad")
    tab.get_by_role("button", name="Next episode").click()
    assert shown_time(tab) == 0.5
    tab.get_by_role("button", name="Next episode").click()
    assert shown_time(tab) == 0.5, "there is no other"
    tab.get_by_label("Emotion of the next and previous episode").select_option("")
    tab.get_by_role("button", name="happy", exact=True).click()
    tab.get_by_role("button", name="Next episode").click()
    assert shown_time(tab) == 3.0, "what the legend hides is passed over"


def reload_until_notes_are(tab: sync_api.Page, expected: list[str]) -> None:
    """Check that the page shows these notes when it is loaded anew.

    On a busy machine, Chromium may hand what was stored just before to the new page's process too late the first time.
    """
    notes = tab.locator("#note-list bdi")
    assert notes.all_inner_texts() == expected
    for _ in range(20):
        tab.reload()
        if notes.all_inner_texts() == expected:
            return
        tab.wait_for_timeout(250)
    raise AssertionError(f"the page shows {notes.all_inner_texts()}")


def test_notes_stay_and_are_saved(show: Open, run: Path) -> None:
    tab = show(run)
    tab.locator("#ruler").focus()
    tab.keyboard.press("Shift+ArrowRight")
    tab.keyboard.press("n")
    tab.keyboard.type('=she "laughs", k+0')
    tab.keyboard.press("Enter")
    assert shown_time(tab) == 1.0, "typing is no shortcut"
    reload_until_notes_are(tab, ['=she "laughs", k+0'])
    with tab.expect_download() as saved:
        tab.get_by_role("button", name="Save as CSV").click()
    assert Path(saved.value.path()).read_text() == 'time,note\n1.000,"\'=she ""laughs"", k+0"\n'
    tab.locator("#ruler").focus()
    tab.keyboard.press("End")
    tab.locator("#note-list .time").click()
    assert shown_time(tab) == 1.0
    tab.get_by_role("button", name="Delete the note").click()
    reload_until_notes_are(tab, [])


@pytest.mark.parametrize(("link", "time"), [("#t=1.5", 1.5), ("#t=0:02.25", 2.25), ("#t=999", 4.0), ("#t=x", 0.0)])
def test_a_link_to_a_moment(show: Open, run: Path, link: str, time: float) -> None:
    tab = show(run.as_uri() + link, complaints=True)
    assert shown_time(tab) == time


def test_the_address_is_a_link_to_the_moment(show: Open, run: Path) -> None:
    tab = show(run)
    tab.locator("#ruler").focus()
    tab.keyboard.press("Shift+ArrowRight")
    wait_until(tab, "location.hash === '#t=1.000'")
    tab.evaluate("location.hash = '#t=3'")
    wait_until(tab, "document.querySelector('#now').textContent === '0:03.000'")


@pytest.fixture(scope="module")
def pages(gray_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page with its video, without one, and with one that is missing."""
    folder = tmp_path_factory.mktemp("pages")
    found = {name: write_run(folder / name, gray_clip if name != "without" else None) for name in PAGES}
    found["missing"].with_name("annotated.mp4").unlink()
    return found


def test_a_video_that_is_missing_is_noticed_before_the_script_runs(show: Open, pages: dict[str, Path]) -> None:
    content = pages["missing"].read_bytes()
    script = content.rindex(b"<script>")

    class Slow(RangeHandler):
        def do_GET(self) -> None:
            if not self.path.endswith(".html"):
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content[:script])
            self.wfile.flush()
            time.sleep(1)
            self.wfile.write(content[script:])

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab = show(f"http://127.0.0.1:{server.server_port}/timeline.html", complaints=True)
        tab.get_by_text("has to lie beside this page").wait_for()
        server.shutdown()


PAGES = ("with", "without", "missing")


@pytest.mark.parametrize("width", [390, 1366, 1920])
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_width_with_and_without_the_video(
    show: Open, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    """All is on the page and can be reached with the keyboard alone, and axe-core finds nothing serious."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tab = show(pages[name], width=width, complaints=name == "missing", color_scheme=scheme)
    if name == "missing":
        tab.get_by_text("has to lie beside this page").wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    for part in ("#timeline", "#episodes", "#notes"):
        box = tab.locator(part).bounding_box()
        assert box
        assert box["height"] > 100, part
        assert box["width"] > min(0.4 * width, 600), part  # a wide screen shows the table in a column
    assert tab.get_by_role("button", name="Play").count() == (name == "with")
    reached = set()
    for _ in range(70):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.id || document.activeElement.textContent"))
    wanted = {"theme", "previous", "next", "wanted", "happy", "Face 2", "ruler", "Emotion", "0:03.000", "note-text"}
    assert wanted <= reached
    found = axe.Axe().run(tab).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []
