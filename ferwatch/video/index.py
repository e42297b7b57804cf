"""The index of a video: the times and key frames of its pictures, read from the packets without decoding.

With it a video is cut into segments that can be decoded independently. A segment has to give exactly the pictures that
the index promises; where the packets do not promise them (missing or repeated times, clocks that restart, damage), or
the decoder does not keep the promise (open GOPs, damage), the video is decoded in one pass instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import heappop, heappush
from itertools import groupby, pairwise
from math import floor
from pathlib import Path
from typing import NamedTuple

import av

from ferwatch.video.clock import PacketClock, PictureClock, container_start, ends_early, shown_until
from ferwatch.video.container import VideoInfo, choose_stream, open_container
from ferwatch.video.sampling import Sampler, Sampling, TimedPicture

MAX_EXTRA_DECODING = 0.15
"""Fraction of a video's pictures that are decoded twice stays below this. Such pictures lie between a key frame and the
beginning of a segment. Decoding is a quarter of the work at 640x360, half of it in the largest pictures."""


class IndexMismatch(Exception):
    """A segment does not hold the pictures that the index promises."""


class IndexedPicture(NamedTuple):
    """A picture as its packet describes it. Times are in units of `time_base`."""

    pts: int
    duration: int | None
    time_base: Fraction
    seek_time: int
    """Time to seek to so that decoding begins with this packet, if it is a key frame."""
    is_keyframe: bool


class Sample(NamedTuple):
    """A frame that is analysed."""

    number: int
    """Position in presentation order, from 0."""
    timestamp: float
    """Seconds."""
    length: float
    """Seconds for which the frame is shown."""


@dataclass(frozen=True)
class VideoSegment:
    """A segment of a video, which can be decoded by itself."""

    number: int
    """Position of the segment in time, in units of the period between possible cuts."""
    seek_time: int
    """Time to seek to so that decoding begins with the key frame before the segment, in the stream's time base."""
    keyframe: int
    """Presentation time of that key frame, in the same unit."""
    pts: tuple[int, ...]
    """Presentation times of all pictures from the first sample to the last, in units of the stream's time base."""
    samples: tuple[Sample, ...]
    pictures: int
    """Number of pictures from the first sample to the next segment, sampled or not."""


def read_index(path: Path, info: VideoInfo) -> list[TimedPicture[IndexedPicture]] | None:
    """Return all pictures of a video in presentation order, or None where its packets do not promise each of them.

    Raises VideoError where the file cannot be opened.
    """
    if info.timestamp_source != "container":
        return None
    with open_container(path) as container:
        stream, _ = choose_stream(container, path, info.stream)
        if container.format.name == "avi":  # its packets carry no presentation times
            return None
        # FFmpeg seeks MP4 and Matroska by the key frames that they list, other formats by decoding times.
        seeks_presentation_time = any(name in container.format.name for name in ("mp4", "matroska"))
        time_base = stream.time_base
        packet_clock = PacketClock.for_container(container)
        pictures: list[IndexedPicture] = []
        packets = 0
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                packet_clock.advance(packet)
                seek_time = packet.pts if seeks_presentation_time else packet.dts
                if packet.pts is None or time_base is None or seek_time is None or packet.is_corrupt:
                    return None
                if not packets and not packet.is_keyframe:
                    return None
                packets += 1
                if not packet.is_discard:
                    pictures.append(
                        IndexedPicture(packet.pts, packet.duration, time_base, seek_time, packet.is_keyframe)
                    )
        except (av.FFmpegError, IndexError):
            return None
        pictures.sort()
        if not pictures or packet_clock.jumps or any(a.pts == b.pts for a, b in pairwise(pictures)):
            return None
        clock = PictureClock(container_start(container), info.fps, timed=True)
        timed = [TimedPicture(n, clock.time(n, p), clock.length(p), p) for n, p in enumerate(pictures)]
        last = timed[-1]
        length = packet_clock.last_length(last.length)
        length = max(length, shown_until(path, container, stream, info) - last.timestamp)
        timed[-1] = replace(last, length=length)
        declared, end = info.frames_declared, last.timestamp + length
        is_cut_off = packets < declared if declared else ends_early(path, end, info.duration)
        return None if clock.held or is_cut_off else timed


def plan_segments(
    pictures: Sequence[TimedPicture[IndexedPicture]],
    sampling: Sampling,
    start: float,
    end: float | None,
    period: float,
    *,
    at_keyframes: bool = False,
) -> list[VideoSegment]:
    """Return the segments of a range, in order. Together they hold each sample once.

    A video is cut at multiples of the period, so that less than MAX_EXTRA_DECODING of it is decoded twice and the
    longest segment is as short as it can be: with key frames that are far apart, segments are longer.

    Args:
        pictures: from read_index.
        start, end: seconds; None: to the end.
        period: seconds.
        at_keyframes: cut at the first key frame after each multiple instead, where there is one before the next
            multiple, so that nothing is decoded twice. The sampling has to be that of every frame.
    """
    sampler = Sampler(sampling, start, end)
    samples = [Sample(s.number, s.timestamp, s.length) for s in sampler.select(pictures)]
    if not samples:
        return []
    keyframe_before = [0] * len(pictures)
    for number, picture in enumerate(pictures):
        keyframe_before[number] = number if picture.picture.is_keyframe or not number else keyframe_before[number - 1]
    # Period -> number of its first sample; samples before that belong to the period before. Without an entry: all are
    # of the period.
    first_of_period = {floor(samples[0].timestamp / period): 0}
    if at_keyframes:
        for sample in samples:
            if keyframe_before[sample.number] == sample.number:
                first_of_period.setdefault(floor(sample.timestamp / period), sample.number)

    def period_of(sample: Sample) -> int:
        number = floor(sample.timestamp / period)
        return number - 1 if sample.number < first_of_period.get(number, 0) else number

    periods = [list(group) for _, group in groupby(samples, period_of)]
    extra = [max(0, before[-1].number + 1 - keyframe_before[after[0].number]) for before, after in pairwise(periods)]
    cuts = _choose_cuts(extra, MAX_EXTRA_DECODING * sampler.frames_in_range)
    groups: list[list[Sample]] = [list(periods[0])]
    for place, following in enumerate(periods[1:]):
        if place in cuts:
            groups.append([])
        groups[-1] += following
    range_end = samples[0].number + sampler.frames_in_range
    ends = [group[0].number for group in groups[1:]] + [range_end]
    return [
        VideoSegment(
            number=floor(group[0].timestamp / period),
            seek_time=pictures[keyframe_before[group[0].number]].picture.seek_time,
            keyframe=pictures[keyframe_before[group[0].number]].picture.pts,
            pts=tuple(p.picture.pts for p in pictures[group[0].number : group[-1].number + 1]),
            samples=tuple(group),
            pictures=end_number - group[0].number,
        )
        for group, end_number in zip(groups, ends, strict=True)
    ]


def _choose_cuts(extra: Sequence[int], limit: float) -> set[int]:
    """Return the places to cut at, for which less than `limit` pictures in all are decoded twice.

    Up to half of the limit goes into making the longest segment as short as possible, the rest into further cuts from
    the end of the video on: short segments there let all workers end at about the same time.

    Args:
        extra: pictures that are decoded twice for a cut at each place.
    """
    low, high = 1, len(extra) + 1  # periods in the longest segment
    while low < high:
        length = (low + high) // 2
        if sum(extra[place] for place in _cheapest_cuts(extra, length)) < limit / 2:
            high = length
        else:
            low = length + 1
    cuts = _cheapest_cuts(extra, low)
    spent = sum(extra[place] for place in cuts)
    for place in sorted(set(range(len(extra))) - cuts, reverse=True):
        if spent + extra[place] < limit:
            spent += extra[place]
            cuts.add(place)
    return cuts


def _cheapest_cuts(extra: Sequence[int], length: int) -> set[int]:
    """Return the cuts for which fewest pictures are decoded twice, with at most `length` periods in a segment."""
    # Dynamic programming: previous[p] is the period before which the last cut lies if there are p periods. A cut at
    # place p lies before period p + 1. The heap holds (cost of the cheapest cuts up to a period, that period).
    heap = [(0, 0)]
    previous = [0]
    for period, cost in enumerate([*extra, 0], start=1):
        while heap[0][1] < period - length:
            heappop(heap)
        previous.append(heap[0][1])
        heappush(heap, (heap[0][0] + cost, period))
    cuts = set()
    period = previous[-1]
    while period:
        cuts.add(period - 1)
        period = previous[period]
    return cuts
