"""prefetch: prepares the next items of an iterable in a thread."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from queue import Queue
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _End:
    error: BaseException | None


def prefetch(items: Iterable[T], size: int = 4) -> Generator[T, None, None]:
    """Yield `items` in order while a thread prepares up to `size` of them ahead.

    An error in the thread is raised here, after the items before it. close() stops the thread and returns when it has
    ended; nothing else may use `items` until then.
    """
    ready: Queue[T | _End] = Queue(size)
    stop = threading.Event()

    def work() -> None:
        end = _End(None)
        try:
            for item in items:
                ready.put(item)
                if stop.is_set():
                    return
        except BaseException as error:
            end = _End(error)
        ready.put(end)

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        # The thread may be waiting for room in the queue. Once `stop` is set, it puts at most one more item.
        while not ready.empty():
            ready.get()
        thread.join()
