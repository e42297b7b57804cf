"""Downloads published files once, into a cache, and checks them."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

from ferwatch.errors import WeightsError

RANGE_NOT_SATISFIABLE = 416
"""HTTP status of a request for bytes after the last one: the whole file has been fetched."""


def download(url: str, name: str, sha256: str, *, what: str, remedy: str) -> Path:
    """Return the path of the file `name` in ferwatch's cache, after fetching it from `url` if it is missing.

    The bytes fetched before a connection broke are kept, and the next call continues after them.

    Args:
        sha256: the file's checksum, or the beginning of it.
        what, remedy: name of the file, and advice to the user, for the error message.
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
        with urllib.request.urlopen(request, timeout=30) as response:
            resumes = have > 0 and response.status == 206  # a server without support for ranges sends the whole file
            with open(part, "ab" if resumes else "wb") as f:
                shutil.copyfileobj(response, f)
                length = response.headers.get("Content-Length")
                if length is not None and f.tell() < int(length) + (have if resumes else 0):
                    raise OSError("the connection broke; the same command goes on from there")
    except HTTPError as error:
        if error.code != RANGE_NOT_SATISFIABLE:
            raise
