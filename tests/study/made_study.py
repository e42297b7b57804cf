"""A study of made runs in which what differs between the conditions is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_runs import make_run

SECONDS = 20.0


def make_study(folder: Path, participants: int, *, pages: bool = False) -> Path:
    """Writes two run folders a participant (conditions before and after, with more happy in the second) and a plan.

    Group is a second condition, between participants. Returns the plan's path.
    """
    rng = np.random.default_rng(11)
    lines = ["video,participant,moment,group"]
    events = ["video,time,event"]
    for number in range(participants):
        for moment in ("before", "after"):
            name = f"p{number:03d}-{moment}"
            happy = float(np.clip(rng.normal(4 if moment == "before" else 8, 2), 1, 14))
            sad = float(np.clip(rng.normal(3, 1), 0.5, 5))
            start = round(float(rng.uniform(2, 4)), 1)
            ends = [start, round(start + happy, 1), round(start + happy + sad, 1), SECONDS]
            labels = ("neutral", "happy", "sad", "neutral")
            starts = (0.0, *ends[:-1])
            episodes = [(1, label, a, b) for label, a, b in zip(labels, starts, ends, strict=True) if b > a]
            run = make_run(folder / "runs" / name, f"{name}.mp4", episodes)
            if pages:
                (run / "timeline.html").write_text(f"<!doctype html><title>{name}</title>", encoding="utf-8")
            group = "old" if number % 2 else "young"
            lines.append(f"runs/{name},P{number:03d},{moment},{group}")
            events.append(f"runs/{name},{start},joke")
    plan = folder / "plan.csv"
    plan.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "events.csv").write_text("\n".join(events) + "\n", encoding="utf-8")
    return plan
