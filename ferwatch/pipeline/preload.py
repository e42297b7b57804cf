"""Loaded by the fork server before it forks workers: imports once what all of them need."""

from __future__ import annotations

import signal

# Ctrl-C reaches the fork server too, where it would end the import below with a traceback.
signal.signal(signal.SIGINT, signal.SIG_IGN)

from ferwatch.utils.imports import without_garbage_collection  # noqa: E402

with without_garbage_collection():
    import ferwatch.faces.mediapipe
    import ferwatch.pipeline.segment
    import ferwatch.render.annotated_video  # noqa: F401
