"""What the tests of the page share: a run folder with its page, a web server, and what is read off the screen."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import av
import numpy as np

from ferwatch.export.html_page import write_html
from ferwatch.records import BoundingBox, Episode, FaceResult, FrameResult
from ferwatch.render.palette import PALETTE
from ferwatch.timeline.model import FaceSummary, Summary, Timeline
from ferwatch.timeline.schema import COLUMNS, rows_of
from ferwatch.timeline.table import FrameTable, read_frames_csv

if TYPE_CHECKING:
    from playwright import sync_api

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

Open = Callable[..., "sync_api.Page"]


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
            box = BoundingBox(10.0, 10.0, 40.0, 40.0)
            faces = tuple(FaceResult(n, 0.9, box, tuple(rng.dirichlet(np.ones(7)))) for n in present)
            out.writerows(rows_of(FrameResult(i, t, faces)))


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
    write_html(folder / "timeline.html", timeline)
    return folder / "timeline.html"


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


def beside(url: str, page_url: str) -> bool:
    folder, _, name = url.rpartition("/")
    return folder == page_url.rpartition("/")[0] and (url == page_url or name.endswith(".mp4"))


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

PIXELS = """([lane, name, left, right, top, bottom]) => {
  const canvas = document.querySelectorAll('.lane canvas')[lane];
  const box = [left * canvas.width, top * canvas.height, (right - left) * canvas.width, (bottom - top) * canvas.height];
  const data = canvas.getContext('2d').getImageData(...box.map(Math.round)).data;
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
