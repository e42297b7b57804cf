"""The page in headless Chromium: what a person sees, clicks and types there."""

from __future__ import annotations

import csv
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
import pytest

from ferwatch.export import html_page as page_output
from ferwatch.records import EMOTIONS, Episode, FaceResult, FrameResult
from ferwatch.render.palette import PALETTE
from ferwatch.timeline.model import FaceSummary, Summary, Timeline
from ferwatch.timeline.table import COLUMNS, FrameTable, read_frames_csv, row_of

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = os.environ.get("FERWATCH_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SECONDS, FPS = 4, 25
EPISODES = (
    Episode(1, "neutral", 0.0, 1.0, 0.71, 0.48, 0.83),
    Episode(1, "happy", 1.0, 1.98, 0.81, 1.48, 0.9),
    Episode(1, "uncertain", 3.0, 3.96, 0.31, 3.48, 0.4),
    Episode(2, "sad", 0.5, 3.5, 0.61, 2.0, 0.7),
)
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u2028\u202e\u05e9\u05dc\u05d5\u05dd 名前 👩‍👧"


# ---- A run folder --------------------------------------------------------------------------------------------------


def encode_clip(path: Path) -> None:
    """Frame i is gray of level 40 + 2 i all over, so that a picture tells its number."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "10", "g": "25", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for i in range(SECONDS * FPS):
            frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), 40 + 2 * i, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_frames_csv(path: Path) -> None:
    """Every second frame is sampled; face 1 is away from 2 s to 3 s, face 2 is there from 0.5 s to 3.5 s."""
    rng = np.random.default_rng(5)
    with open(path, "w", encoding="utf-8", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(COLUMNS)
        for i in range(0, SECONDS * FPS, 2):
            t = i / FPS
            present = [1] * (not 2 <= t < 3) + [2] * (0.5 <= t < 3.5)
            box = (10.0, 10.0, 40.0, 40.0)
            faces = tuple(FaceResult(n, 0.9, box, tuple(rng.dirichlet(np.ones(7)))) for n in present)
            out.writerows(row_of(FrameResult(i, t, faces)))


def timeline_of(table: FrameTable, episodes: tuple[Episode, ...] = (), **rest: object) -> Timeline:
    faces = tuple(FaceSummary(n, 0.0, 1.0, 1.0, 0, 0.5, {"happy": 1.0}) for n in table.face_ids)
    sampled = len(np.unique(table.frame))
    summary = Summary(sampled, sampled, len(episodes), {}, faces)
    return Timeline(table, table.probabilities.copy(), episodes, summary, **rest)  # type: ignore[arg-type]


def write_run(folder: Path, clip: Path | None, **rest: object) -> Path:
    """A run folder with its page; returns the page's path."""
    folder.mkdir(parents=True)
    write_frames_csv(folder / "frames.csv")
    video = str(rest.pop("video", "annotated.mp4" if clip else ""))
    if clip:
        shutil.copy(clip, folder / video)
    timeline = timeline_of(
        read_frames_csv(folder / "frames.csv"), EPISODES, video=video, duration=float(SECONDS), fps=float(FPS), **rest
    )
    page_output.write(folder / "timeline.html", timeline)
    return folder / "timeline.html"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    encode_clip(path)
    return path


@pytest.fixture(scope="module")
def run(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "clip-ferwatch", clip)


# ---- A browser that watches what the page does ---------------------------------------------------------------------


class RangeHandler(SimpleHTTPRequestHandler):
    """http.server's handler does not know byte ranges, which a player needs to seek."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not wanted:
            return super().do_GET()
        content = Path(self.translate_path(self.path)).read_bytes()
        first = int(wanted[1])
        last = min(int(wanted[2] or len(content)), len(content) - 1)
        self.send_response(206)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def served(run: Path) -> Iterator[str]:
    """The run's page over HTTP."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(RangeHandler, directory=str(run.parent))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{run.name}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium: install it or name it in FERWATCH_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


Open = Callable[..., sync_api.Page]


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


def beside(url: str, page_url: str) -> bool:
    folder, _, name = url.rpartition("/")
    return folder == page_url.rpartition("/")[0] and (url == page_url or name.endswith(".mp4"))


@pytest.fixture(params=["file", "http"])
def tab(request: pytest.FixtureRequest, show: Open, run: Path) -> sync_api.Page:
    """The run's page, opened from the disk and from a web server."""
    return show(run if request.param == "file" else request.getfixturevalue("served"))


def wait_until(tab: sync_api.Page, condition: str) -> None:
    """Playwright's own wait_for_function evaluates strings in the page, which the page's policy forbids."""
    for _ in range(200):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(25)
    raise AssertionError(f"never came true: {condition}")


def current_time(tab: sync_api.Page) -> float:
    return tab.evaluate("document.querySelector('video').currentTime")


def shown_time(tab: sync_api.Page) -> float:
    minutes, seconds = tab.locator("#now").inner_text().split(":")
    return int(minutes) * 60 + float(seconds)


def point(tab: sync_api.Page, across: float, lane: int = 0, down: float = 0.4) -> tuple[float, float]:
    box = tab.locator(".lane .plot").nth(lane).bounding_box()
    assert box
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


PLAYHEAD = """() => {
  const plot = document.querySelector('.lane .plot').getBoundingClientRect();
  const head = document.querySelector('.lane .playhead').getBoundingClientRect();
  return ((head.left + head.right) / 2 - plot.left) / plot.width;
}"""

# The playhead of one painted frame, and the video's time a frame earlier and just after.
FOLLOWED = f"""() => new Promise(done => requestAnimationFrame(() => {{
  const video = document.querySelector('video'), before = video.currentTime;
  requestAnimationFrame(() => done([before, ({PLAYHEAD})(), video.currentTime]));
}}))"""


# ---- Time ----------------------------------------------------------------------------------------------------------


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


# ---- Values --------------------------------------------------------------------------------------------------------


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


# ---- Drawing -------------------------------------------------------------------------------------------------------

PIXELS = """([lane, name, left, right, top, bottom]) => {
  const canvas = document.querySelectorAll('.lane canvas')[lane];
  const box = [left * canvas.width, top * canvas.height, (right - left) * canvas.width, (bottom - top) * canvas.height];
  const data = canvas.getContext('2d').getImageData(...bbox.map(Math.round)).data;
  const wanted = [1, 3, 5].map(i => parseInt(name.slice(i, i + 2), 16));
  let count = 0;
  for (let i = 0; i < data.length; i += 4)
    if (data[i + 3] > 200 && wanted.every((c, k) => Math.abs(data[i + k] - c) < 12)) count++;
  return count;
}"""


def pixels(tab: sync_api.Page, emotion: str, *box: float, lane: int = 0) -> int:
    """How many pixels have an emotion's colour in a lane's box: left, right, top, bottom; above the band by default."""
    box = (*box, 0.0, 0.84)[:4]
    tab.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return tab.evaluate(PIXELS, [lane, PALETTE[emotion], *box])


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
    table = table.where((face != 2) | (index < 5_000) | (index >= 6_000))
    page_output.write(tmp_path / "timeline.html", timeline_of(table, duration=n / 10))
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


# ---- What may go wrong ---------------------------------------------------------------------------------------------


def test_hostile_names_stay_text(show: Open, clip: Path, tmp_path: Path) -> None:
    names = {1: HOSTILE, 2: "$title ${data} <!--<script>"}
    video = 'we\'re "here" #1? 50% ü.mp4'
    tab = show(write_run(tmp_path / "Zoë's <b>run & 名前", clip, names=names, video=video))
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
    page_output.write(tmp_path / "timeline.html", timeline_of(table, duration=3600.0))
    tab = show(tmp_path / "timeline.html")
    assert shown_time(tab) == first
    tab.mouse.click(*point(tab, 0.5))
    assert shown_time(tab) == pytest.approx(middle, abs=0.2)


def test_a_recording_without_a_face_is_shown(show: Open, tmp_path: Path) -> None:
    empty = np.full((5, 7), np.nan)
    table = FrameTable(np.arange(5), np.arange(5) / 5, np.zeros(5, int), empty[:, 0], empty[:, :4], empty)
    page_output.write(tmp_path / "timeline.html", timeline_of(table, duration=1.0))
    tab = show(tmp_path / "timeline.html")
    assert "No episode" in tab.get_by_role("table").inner_text()
    tab.keyboard.press("End")
    assert shown_time(tab) == 1.0


def test_a_missing_video_is_named(show: Open, clip: Path, tmp_path: Path) -> None:
    path = write_run(tmp_path / "clip", clip)
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
