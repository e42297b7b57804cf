"""Published files: from the cache, or fetched once and checked."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

from ferwatch.errors import WeightsError

HAVE_ALL = 416
"""HTTP status for a request for bytes behind the last one."""


def download(url: str, name: str, sha256: str, *, what: str, remedy: str) -> Path:
    """The file `name` in ferwatch's cache, fetched from `url` where it is not there yet.

    What was fetched before a connection broke is kept, and the next call goes on behind it.

    Args:
        sha256: the file's checksum, or the beginning of it.
        what, remedy: for the error.
    Raises WeightsError where it cannot be fetched or is another file than was published.
    """
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ferwatch" / name
    if path.exists():
        return path
    part = path.with_name(name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part)
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise WeightsError(f"{what} {url} cannot be fetched ({reason}): {remedy}") from None
    if not hashlib.sha256(part.read_bytes()).hexdigest().startswith(sha256):
        part.unlink()
        raise WeightsError(f"{url} is not {what} that was published, its SHA-256 differs: {remedy}")
    part.replace(path)
    return path


def _fetch(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            goes_on = have > 0 and answer.status == 206  # a server that knows no ranges sends all of it again
            with open(part, "ab" if goes_on else "wb") as f:
                shutil.copyfileobj(answer, f)
                length = answer.headers.get("Content-Length")
                if length is not None and f.tell() < int(length) + (have if goes_on else 0):
                    raise OSError("the connection broke; the same command goes on from there")
    except HTTPError as error:
        if error.code != HAVE_ALL:
            raise
