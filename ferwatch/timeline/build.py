"""Builds a timeline from rows: smoothed probabilities, episodes, and the summary of a run.

All times are whole milliseconds inside this module, which is what frames.csv resolves: comparisons are exact, so
that a table whose times are all shifted gives the same episodes, shifted.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ferwatch.records import EMOTIONS, Episode, valence_of
from ferwatch.timeline.baseline import Baseline
from ferwatch.timeline.model import LABELS, UNCERTAIN, FaceSummary, Summary, Timeline, default_name
from ferwatch.timeline.segmentation import Segment, runs, segment
from ferwatch.timeline.smoothing import SMOOTHING_SECONDS, STANDING_MS, smooth
from ferwatch.timeline.still import still_faces
from ferwatch.timeline.table import FrameTable
from ferwatch.utils.find_video import FILM

MIN_EPISODE_SECONDS = 0.5
"""The shortest episode by default. Visible expressions last about 0.5 to 4 s (Ekman & Friesen 1982)."""

UNCERTAIN_PROBABILITY = 0.3
"""The mean probability below which an emotion does not stand out: about twice chance."""


def build_timeline(
    table: FrameTable,
    *,
    smoothing: float = SMOOTHING_SECONDS,
    min_episode: float = MIN_EPISODE_SECONDS,
    uncertain_below: float = UNCERTAIN_PROBABILITY,
    source: str = "",
    video: str = "",
    duration: float = 0.0,
    fps: float = 0.0,
    start: float = 0.0,
    end: float | None = None,
    has_annotated_video: bool = False,
    names: Mapping[int, str] | None = None,
    baseline: Baseline | None = None,
    keep: Collection[int] = (),
) -> Timeline:
    """Return the timeline of a table: smoothed probabilities, episodes and summary.

    The rows of a face are split where it is gone, see `visible_spans`. A span is cut into episodes so that the
    probability of their labels, integrated over time, less `smoothing` / 2 for every change is as large as possible.
    Episodes that are shorter than `min_episode` are then extended or join their neighbours, whichever fits better; a
    span that is shorter has none. This is the best path of a semi-Markov model with linear scores and a minimum dwell
    time (Sarawagi & Cohen 2004, semi-Markov conditional random fields), see `segment`. "uncertain" takes part as a
    label whose probability is `uncertain_below` throughout. The episodes of a span tile it: one ends where the next
    starts, between two samples; the last ends one sampling interval after the last sample. Where the table says how
    long each picture is shown, a sample counts for at least that long.

    Probabilities are smoothed within each span by a Gaussian kernel in time with a standard deviation of
    `smoothing` / 2 (Nadaraya 1964; Watson 1964); it is symmetric, so nothing is delayed.

    With `smoothing` 0 the smoothed probabilities are the raw ones, and the episodes are the runs of the raw labels,
    however short; `min_episode` and `uncertain_below` have no effect.

    Args:
        smoothing: seconds.
        min_episode: seconds, the shortest episode.
        uncertain_below: probability, 0 to 1.
        source: file name of the analysed video.
        video: path of the video to play, relative to the run folder.
        duration: seconds of the video, 0 where unknown; no episode goes beyond it, unless a picture is shown longer.
        fps: frames a second of the video, 0 where unknown.
        start, end: seconds of the part that was analysed; no episode goes beyond `end`.
        has_annotated_video: whether annotated.mp4 lies in the run folder.
        names: face_id -> name.
        baseline: a correction of the probabilities that is made first.
        keep: face_ids that count even if they never move; other faces that never move have no episodes.
    """
    times, shown = _milliseconds(table.timestamp), _milliseconds(table.shown())
    interval = _sampling_interval(table)
    limit = _time_limits(table, duration, end)
    probabilities = baseline.apply(table) if baseline else table.probabilities
    valence, counted = valence_of(probabilities), np.zeros(len(table), np.int64)
    smoothed = np.full_like(table.probabilities, np.nan)
    episodes: list[Episode] = []
    faces = []
    still = tuple(face_id for face_id in still_faces(table) if face_id not in keep)
    for face_id in table.face_ids:
        if face_id in still:
            continue
        face_episodes: list[Episode] = []
        on_screen = []
        for rows in visible_spans(table, face_id):
            at, raw = times[rows], probabilities[rows]
            edges = _edges(at, shown[rows], interval, limit[rows[-1]])
            weights = np.diff(edges)
            curves = smooth(at, weights, raw, smoothing * 1000 / 2, shown[rows])
            if smoothing:
                scores = np.column_stack([raw, np.full(len(raw), uncertain_below)])
                segments = segment(
                    edges, scores, smoothing * 1000 / 2, math.ceil(min_episode * 1000), interval, shown[rows]
                )
            else:
                segments = runs(edges, raw.argmax(axis=1))
            face_episodes += [_episode(face_id, part, at, weights, curves, valence[rows]) for part in segments]
            smoothed[rows] = curves
            counted[rows] = weights
            on_screen.append((int(edges[0]), int(edges[-1])))
        episodes += face_episodes
        seen = table.face_id == face_id
        faces.append(_summary(face_id, on_screen, face_episodes, table.select(seen), counted[seen]))
    summary = Summary(
        sampled_frames=len(np.unique(table.frame)),
        frames_with_faces=len(np.unique(table.frame[table.success & ~np.isin(table.face_id, still)])),
        episodes=len(episodes),
        shares=_shares(episodes),
        faces=tuple(faces),
        still=still,
    )
    # A file name may hold bytes that are no text; every export is UTF-8.
    source, video = (name.encode("utf-8", "replace").decode() for name in (source, video))
    return Timeline(
        table=table,
        smoothed=smoothed,
        episodes=tuple(episodes),
        summary=summary,
        source=source,
        video=video,
        duration=duration,
        fps=fps,
        start=start,
        end=end,
        has_annotated_video=has_annotated_video,
        shows_film=has_annotated_video and video == FILM,
        smoothing=smoothing,
        min_episode=min_episode,
        baseline=baseline,
        names=_names(names or {}, table),
    )


def visible_spans(table: FrameTable, face_id: int) -> list[NDArray[np.intp]]:
    """Return the rows of a face, split where it was not seen for over a second (or over three sampling intervals).

    The face counts as seen for as long as a picture that shows it is shown.
    """
    rows = np.flatnonzero(table.face_id == face_id)
    times, shown = _milliseconds(table.timestamp[rows]), _milliseconds(table.shown()[rows])
    missing = times[1:] - (times + shown)[:-1]
    # Where it is known how long the picture was shown, exactly a second without the face is enough.
    gone = missing + (shown[:-1] > 0) > max(1000, 3 * _sampling_interval(table))
    return np.split(rows, np.flatnonzero(gone) + 1)


def _names(given: Mapping[int, str], table: FrameTable) -> dict[int, str]:
    """Return a unique one-line name for every face; "Face N" where none is given."""
    names: dict[int, str] = {}
    for face_id in table.face_ids:
        printable = "".join(c if c.isprintable() else " " for c in given.get(face_id, ""))
        name = " ".join(printable.split()) or default_name(face_id)
        while name in names.values():
            name += f" ({face_id})"
        names[face_id] = name
    return names


def _sampling_interval(table: FrameTable) -> int:
    """The median time between two sampled frames in milliseconds, at least 1.

    A picture that is shown for longer than STANDING_MS counts as if it were shown for STANDING_MS.
    """
    between = np.diff(_milliseconds(table.sample_times()))
    standing = _milliseconds(table.shown()[table.first_rows()])[: len(between)]
    between -= np.maximum(standing - STANDING_MS, 0)
    return max(1, round(float(np.median(between)))) if len(between) else 1


def _milliseconds(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.round(seconds * 1000).astype(np.int64)


def _edges(times: NDArray[np.int64], shown: NDArray[np.int64], interval: int, limit: int) -> NDArray[np.int64]:
    """(n + 1,) milliseconds: the time that each of n samples stands for, from edge i to edge i + 1.

    An edge lies halfway between the end of a sample's picture, where that is known, and the next sample. The first
    edge is the first sample; the last sample lasts for a sampling interval or as long as its picture is shown, but not
    beyond `limit`.
    """
    end = max(times[-1], min(times[-1] + max(interval, shown[-1]), limit))
    # Rounded up: a sample is never before its own edge.
    return np.concatenate([times[:1], ((times + shown)[:-1] + times[1:] + 1) // 2, [end]])


def _time_limits(table: FrameTable, duration: float, end: float | None) -> NDArray[np.int64]:
    """(R,) milliseconds: the latest time at which an episode can end whose last row is this one.

    Where it is known how long pictures are shown, that is the time of the next sampled frame.
    """
    unlimited = np.iinfo(np.int64).max
    limits = np.full(len(table), unlimited)
    shown, until_next = _milliseconds(table.shown()), table.until_next()
    followed = (shown > 0) & np.isfinite(until_next)
    limits[followed] = _milliseconds((table.timestamp + until_next)[followed])
    # The header of a file may name less time than its last picture lasts.
    known_end = int(_milliseconds(table.timestamp[-1:])[0] + shown[-1]) if len(table) and shown[-1] else 0
    video_end = max(round(duration * 1000), known_end) if duration else unlimited
    return np.minimum(limits, min(video_end, unlimited if end is None else round(end * 1000)))


def _episode(
    face_id: int,
    part: Segment,
    times: NDArray[np.int64],
    weights: NDArray[np.int64],
    smoothed: NDArray[np.float64],
    valence: NDArray[np.float64],
) -> Episode:
    """Return the episode of a segment, described by the samples within it, or by the nearest one where there is none.

    The confidence of "uncertain" is the probability of the most probable emotion.
    """
    first, last = np.searchsorted(times, (part.start, part.end))
    first = min(first, len(times) - 1)
    last = max(last, first + 1)
    within = smoothed[first:last]
    confidence = within.max(axis=1) if LABELS[part.label] == UNCERTAIN else within[:, part.label]
    peak = int(confidence.argmax())
    return Episode(
        face_id=face_id,
        emotion=LABELS[part.label],
        start=part.start / 1000,
        end=part.end / 1000,
        mean_confidence=round(_mean(confidence, weights[first:last]), 4),
        peak_time=int(times[first + peak]) / 1000,
        peak_confidence=round(float(confidence[peak]), 4),
        mean_valence=round(_mean(valence[first:last], weights[first:last]), 4),
    )


def _mean(values: NDArray[np.float64], milliseconds: NDArray[np.int64]) -> float:
    """Return the mean of values (n,), weighted by the milliseconds that each stands for."""
    return float(np.average(values, weights=np.maximum(milliseconds, 1)))


def _summary(
    face_id: int,
    on_screen: Sequence[tuple[int, int]],
    episodes: Sequence[Episode],
    rows: FrameTable,
    weights: NDArray[np.int64],
) -> FaceSummary:
    """Return the summary of a face from its visible spans (milliseconds), its episodes and its n rows.

    weights: (n,) milliseconds that each row stands for.
    """
    means = np.average(rows.probabilities, axis=0, weights=np.maximum(weights, 1))
    return FaceSummary(
        face_id=face_id,
        first_seen=on_screen[0][0] / 1000,
        last_seen=on_screen[-1][1] / 1000,
        on_screen=sum(end - start for start, end in on_screen) / 1000,
        episodes=len(episodes),
        mean_confidence=sum(e.mean_confidence * e.duration for e in episodes)
        / (sum(e.duration for e in episodes) or 1),
        shares=_shares(episodes),
        shares_of_rows={name: round(float((rows.emotion == name).mean()), 4) for name in EMOTIONS},
        mean_probabilities={name: round(float(mean), 4) for name, mean in zip(EMOTIONS, means, strict=True)},
        mean_valence=round(_mean(rows.valence, weights), 4),
    )


def _shares(episodes: Sequence[Episode]) -> dict[str, float]:
    """Return the share of each label in the time of some episodes."""
    total = sum(episode.duration for episode in episodes)
    return {
        label: sum(e.duration for e in episodes if e.emotion == label) / total if total else 0.0 for label in LABELS
    }
