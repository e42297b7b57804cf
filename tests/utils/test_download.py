"""Files are fetched once, whole, and as they were published."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ferwatch.errors import WeightsError
from ferwatch.utils.download import download

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT on this machine; breaks off after `breaks_after` bytes of an answer."""

    breaks_after = len(CONTENT)
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        rest = CONTENT[begin:]
        self.send_response(206 if asked and rest else 200 if rest else 416)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.breaks_after])

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def fetch(server: Server, sha256: str = SHA256) -> Path:
    url = f"http://127.0.0.1:{server.server_address[1]}/model.bin"
    return download(url, "model.bin", sha256, what="the model", remedy="name it with --model FILE")


def test_it_is_fetched_once(server: Server) -> None:
    assert fetch(server).read_bytes() == CONTENT
    assert fetch(server, SHA256[:8]).read_bytes() == CONTENT
    assert server.asked == [None]


def test_a_broken_download_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.breaks_after = 30_000
    with pytest.raises(WeightsError, match=r"model.bin cannot be fetched .*broke.*: name it with --model FILE"):
        fetch(server)
    assert [f.name for f in (tmp_path / "ferwatch").iterdir()] == ["model.bin.part"]
    server.breaks_after = len(CONTENT)
    assert fetch(server).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=30000-"]
    assert [f.name for f in (tmp_path / "ferwatch").iterdir()] == ["model.bin"]


def test_what_was_fetched_whole_before_a_crash_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ferwatch").mkdir()
    (tmp_path / "ferwatch" / "model.bin.part").write_bytes(CONTENT)
    assert fetch(server).read_bytes() == CONTENT


def test_another_file_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not the model that was published, its SHA-256 differs: name it"):
        fetch(server, "0" * 64)
    assert not list((tmp_path / "ferwatch").iterdir())
