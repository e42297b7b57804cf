"""From rows to a timeline: smoothed probabilities, episodes, and the summary of a run.

All times are whole milliseconds inside this module, which is what frames.csv resolves: comparisons are exact, so
that a recording whose times are all shifted gives the same episodes, shifted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ferwatch.recording import Recording
from ferwatch.records import EMOTIONS, Episode

UNCERTAIN = "uncertain"
"""The label of an episode in which no emotion stands out."""

LABELS = (*EMOTIONS, UNCERTAIN)
"""What an episode can be called, in the order of every table and legend."""

SMOOTHING = 0.2
"""Seconds: an interruption of one emotion by another has to weigh this many seconds of certainty to be believed."""

MINIMUM = 0.5
"""Seconds: the shortest episode. Expressions that people see as such last about 0.5 to 4 s (Ekman & Friesen 1982)."""

UNCERTAIN_BELOW = 0.3
"""Mean probability below which an emotion does not stand out: about twice chance."""

_LONGEST_GAP = 1_000
"""Milliseconds without the face after which it counts as gone; longer where samples are further apart."""


@dataclass(frozen=True)
class FaceSummary:
    """One face over the whole recording."""

    face_id: int
    first_seen: float  # seconds
    last_seen: float  # seconds, the end of the last stretch in which it was seen
    on_screen: float  # seconds
    episodes: int
    mean_confidence: float  # over the time of its episodes; 0 without any
    shares: dict[str, float]  # of the time of its episodes, by label; sum 1, or all 0 without any


@dataclass(frozen=True)
class Summary:
    """A whole recording; `dataclasses.asdict` of it goes into run.json."""

    sampled_frames: int
    frames_with_faces: int
    episodes: int
    shares: dict[str, float]  # as in FaceSummary, over the episodes of all faces
    faces: tuple[FaceSummary, ...]  # by face_id


@dataclass(frozen=True)
class Timeline:
    """All that a table, picture, page or export of one run needs."""

    recording: Recording
    smoothed: NDArray[np.float64]  # (R, 7), row by row beside recording.probabilities; NaN where there is no face
    episodes: tuple[Episode, ...]  # by face_id, then start; of one face they never overlap
    summary: Summary
    video: str = ""  # file name, relative to the run folder, of the video that players and coding tools should open
    duration: float = 0.0  # seconds, of the video
    fps: float = 0.0  # of the video; 0: unknown
    names: Mapping[int, str] = field(default_factory=dict)  # what people call a face; any text

    def name_of(self, face_id: int) -> str:
        """What to call a face where a person reads it."""
        return self.names.get(face_id, f"Face {face_id}")

    def episodes_of(self, face_id: int) -> list[Episode]:
        """The episodes of one face, by start."""
        return [episode for episode in self.episodes if episode.face_id == face_id]


def build_timeline(
    recording: Recording,
    *,
    smoothing: float = SMOOTHING,
    minimum: float = MINIMUM,
    uncertain_below: float = UNCERTAIN_BELOW,
    video: str = "",
    duration: float = 0.0,
    fps: float = 0.0,
    names: Mapping[int, str] | None = None,
) -> Timeline:
    """Smooths a recording and cuts it into episodes.

    A face is a set of stretches, each without a gap of more than a second (or three sampling intervals, if longer). A
    stretch is cut into episodes so that the probability of the labels, integrated over time, less `smoothing` / 2 for
    every change is as large as possible, under the constraint that no episode is shorter than `minimum`. That is the
    best path of a semi-Markov model with linear scores and a minimum dwell time (Sarawagi & Cohen 2004, semi-Markov
    conditional random fields), found exactly by optimal partitioning (Jackson et al. 2005). "uncertain" takes part as
    a label whose probability is `uncertain_below` throughout. Episodes of one stretch tile it: one ends where the next
    starts, halfway between samples. A stretch shorter than `minimum` has no episode.

    Probabilities are smoothed by a Gaussian kernel in time with a standard deviation of `smoothing` / 2, symmetric, so
    that nothing comes late (Nadaraya 1964; Watson 1964), and within each stretch alone.

    With `smoothing` 0 the smoothed probabilities are the raw ones, and the episodes are the runs of the raw labels,
    however short; `minimum` and `uncertain_below` have no part in it.

    duration: seconds of the video, 0 where unknown; no episode goes beyond it.
    """
    times = _milliseconds(recording.timestamp)
    interval = _sampling_interval(recording)
    video_end = round(duration * 1000) or None
    smoothed = np.full_like(recording.probabilities, np.nan)
    episodes: list[Episode] = []
    faces = []
    for face_id in recording.face_ids:
        own: list[Episode] = []
        on_screen = []
        for rows in _stretches(np.flatnonzero(recording.face_id == face_id), times, interval):
            at, raw = times[rows], recording.probabilities[rows]
            edges = _edges(at, interval, video_end)
            weights = np.diff(edges)
            smooth = _smooth(at, weights, raw, smoothing * 1000 / 2)
            if smoothing:
                cuts = _segment(edges, raw, smoothing * 1000 / 2, math.ceil(minimum * 1000), uncertain_below, interval)
            else:
                cuts = _runs(edges, raw)
            own += [_episode(face_id, cut, at, weights, smooth) for cut in cuts]
            smoothed[rows] = smooth
            on_screen.append((int(edges[0]), int(edges[-1])))
        episodes += own
        faces.append(
            FaceSummary(
                face_id=face_id,
                first_seen=on_screen[0][0] / 1000,
                last_seen=on_screen[-1][1] / 1000,
                on_screen=sum(end - start for start, end in on_screen) / 1000,
                episodes=len(own),
                mean_confidence=sum(e.mean_confidence * e.duration for e in own) / (sum(e.duration for e in own) or 1),
                shares=_shares(own),
            )
        )
    summary = Summary(
        sampled_frames=len(np.unique(recording.frame)),
        frames_with_faces=len(np.unique(recording.frame[recording.face_id > 0])),
        episodes=len(episodes),
        shares=_shares(episodes),
        faces=tuple(faces),
    )
    return Timeline(recording, smoothed, tuple(episodes), summary, video, duration, fps, dict(names or {}))


@dataclass(frozen=True)
class _Cut:
    """A stretch of time under one label, in milliseconds."""

    start: int
    end: int
    label: int  # index into LABELS


def _sampling_interval(recording: Recording) -> int:
    """The usual time between two sampled frames in milliseconds; 0 for fewer than two."""
    between = np.diff(_milliseconds(recording.sample_times()))
    return round(float(np.median(between))) if len(between) else 0


def _milliseconds(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.round(seconds * 1000).astype(np.int64)


def _stretches(rows: NDArray[np.intp], times: NDArray[np.int64], interval: int) -> list[NDArray[np.intp]]:
    """The rows of a face, parted where it is gone."""
    gone = np.diff(times[rows]) > max(_LONGEST_GAP, 3 * interval)
    return np.split(rows, np.flatnonzero(gone) + 1)


def _edges(times: NDArray[np.int64], interval: int, video_end: int | None) -> NDArray[np.int64]:
    """(n + 1,) milliseconds: the time that each of n samples stands for, from edge i to edge i + 1.

    Halfway between samples; the first begins at itself, and the last lasts as long as its picture is usually shown.
    """
    end = times[-1] + interval
    if video_end is not None:
        end = max(times[-1], min(end, video_end))
    return np.concatenate([times[:1], (times[:-1] + times[1:]) // 2, [end]])


def _smooth(
    times: NDArray[np.int64], weights: NDArray[np.int64], raw: NDArray[np.float64], deviation: float
) -> NDArray[np.float64]:
    """Each row (n, 7) averaged with its neighbours in time under a Gaussian of this standard deviation (milliseconds)."""
    if not deviation:
        return raw
    reach = 3 * deviation
    furthest = int((np.searchsorted(times, times + reach, side="right") - np.arange(len(times))).max()) - 1
    weights = np.maximum(weights, 1)  # samples of one and the same millisecond
    weight = weights.astype(np.float64)
    total = raw * weight[:, None]
    for step in range(1, furthest + 1):
        away = (times[step:] - times[:-step]) / deviation
        kernel = np.where(away <= 3, np.exp(-(away**2) / 2), 0)
        for here, there in ((slice(None, -step), slice(step, None)), (slice(step, None), slice(None, -step))):
            share = kernel * weights[there]
            total[here] += share[:, None] * raw[there]
            weight[here] += share
    return total / weight[:, None]


def _segment(
    edges: NDArray[np.int64],
    raw: NDArray[np.float64],
    price: float,
    minimum: int,
    uncertain_below: float,
    interval: int,
) -> list[_Cut]:
    """The best cuts of one stretch, see build_timeline; none where it is shorter than `minimum`.

    price: of a change, in milliseconds of certainty, besides that of half a sample: a single sample never interrupts.
    """
    n = len(raw)
    price += interval / 2
    # A sample beside missing ones stands for a longer time, but not for all of it.
    trusted = np.minimum(np.diff(edges), 2 * interval)
    scores = np.column_stack([raw, np.full(n, uncertain_below)]) * trusted[:, None]
    # gained[i, k]: what label k gains over the samples before i.
    gained = np.vstack([np.zeros(len(LABELS)), np.cumsum(scores, axis=0)])

    # best[i]: of all ways to cut the samples before i. The last episode starts at some sample j, far enough back, and has
    # some label k: it adds gained[i, k] - gained[j, k]. opened[k] is the largest best[j] - gained[j, k], and since[k] that j.
    # Plain lists: at eight labels they are several times faster than arrays.
    times = edges.tolist()
    best = [0.0] + [-math.inf] * n
    opened, since = [-math.inf] * len(LABELS), [0] * len(LABELS)
    start, label = [0] * (n + 1), [0] * (n + 1)
    j = 0
    for i in range(1, n + 1):
        while j < i and times[i] - times[j] >= minimum:
            for k, before in enumerate(gained[j].tolist()):
                if best[j] - before > opened[k]:
                    opened[k], since[k] = best[j] - before, j
            j += 1
        totals = [ahead + until for ahead, until in zip(opened, gained[i].tolist(), strict=True)]
        total = max(totals)
        label[i] = totals.index(total)
        start[i] = since[label[i]]
        best[i] = total - price
    if best[n] == -math.inf:
        return []
    parts = []
    i = n
    while i > 0:
        parts.append((start[i], i, label[i]))
        i = start[i]
    return _place_changes(parts[::-1], edges, gained, minimum, interval)


def _place_changes(
    parts: list[tuple[int, int, int]],
    edges: NDArray[np.int64],
    gained: NDArray[np.float64],
    minimum: int,
    interval: int,
) -> list[_Cut]:
    """Puts each change at its mean position, weighted by how well each position explains the samples around it.

    The best position alone is arbitrary where samples at a change are missing or show a third label. A sample on the
    wrong side makes a position less likely by a factor of exp(4 x the difference of its two probabilities).
    """
    cuts = []
    begin = int(edges[0])
    for (first, _, before), (middle, last, after) in zip(parts, parts[1:], strict=False):
        places = np.arange(first + 1, last)
        ends = edges[places]
        allowed = (ends - begin >= minimum) & (edges[last] - ends >= minimum)
        fit = (gained[places, before] - gained[places, after])[allowed]
        weights = np.exp(4 * (fit - fit.max()) / interval)
        change = round(float(np.average(ends[allowed] - edges[middle], weights=weights))) + int(edges[middle])
        cuts.append(_Cut(begin, change, before))
        begin = change
    return [*cuts, _Cut(begin, int(edges[-1]), parts[-1][2])]


def _runs(edges: NDArray[np.int64], raw: NDArray[np.float64]) -> list[_Cut]:
    """The runs of the raw labels of one stretch."""
    labels = raw.argmax(axis=1)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1])
    ends = np.append(starts[1:], len(labels))
    cuts = [_Cut(int(edges[i]), int(edges[j]), int(labels[i])) for i, j in zip(starts, ends, strict=True)]
    return [cut for cut in cuts if cut.end > cut.start]


def _episode(
    face_id: int, cut: _Cut, times: NDArray[np.int64], weights: NDArray[np.int64], smoothed: NDArray[np.float64]
) -> Episode:
    """Describes a cut by the samples within it, or by the nearest one where none is. "uncertain" has the confidence of
    whatever emotion leads."""
    first, last = np.searchsorted(times, (cut.start, cut.end))
    if first == last:
        first = min(first, len(times) - 1)
        last = first + 1
    within = smoothed[first:last]
    confidence = within.max(axis=1) if LABELS[cut.label] == UNCERTAIN else within[:, cut.label]
    peak = int(confidence.argmax())
    return Episode(
        face_id=face_id,
        emotion=LABELS[cut.label],
        start=cut.start / 1000,
        end=cut.end / 1000,
        mean_confidence=float(np.average(confidence, weights=np.maximum(weights[first:last], 1))),
        peak_time=int(times[first + peak]) / 1000,
        peak_confidence=float(confidence[peak]),
    )


def _shares(episodes: Sequence[Episode]) -> dict[str, float]:
    """The share of each label in the time of some episodes."""
    total = sum(episode.duration for episode in episodes)
    return {
        label: sum(e.duration for e in episodes if e.emotion == label) / total if total else 0.0 for label in LABELS
    }
