"""Loaded by the fork server before it forks workers: imports once what all of them need."""

from __future__ import annotations

import signal

# Ctrl-C reaches the fork server too, where it would end the import below with a traceback.
signal.signal(signal.SIGINT, signal.SIG_IGN)

import ferwatch.pipeline.segment  # noqa: E402
import ferwatch.render.annotated_video  # noqa: E402, F401
