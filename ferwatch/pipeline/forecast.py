"""RunForecast: how the time of a run is spread over its stages, for an estimate of the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from heapq import heapreplace

import av

from ferwatch.errors import FerwatchError
from ferwatch.pipeline.cuts import cut_film
from ferwatch.render.annotated_video import drawing_seconds
from ferwatch.video.container import VideoInfo
from ferwatch.video.index import IndexMismatch, VideoSegment
from ferwatch.video.source import VideoRange

Forecast = Callable[[float, float], None]
"""Function that is called with two ratios: the time of annotated.mp4 divided by that of the analysis, 0 where there is
no such film; and the imbalance of the workers."""
TYPICAL_RATIO = 0.7
"""Time of the film divided by that of the analysis, told where nothing was measured: with one face and ten samples a
second."""


def imbalance(segments: Sequence[VideoSegment], workers: int) -> float:
    """Return the time until the last worker ends, divided by the mean time of the workers; 1: all end together."""
    ends = [0] * workers
    for segment in segments:
        heapreplace(ends, ends[0] + segment.pictures)
    return max(ends) * workers / sum(ends) if segments else 1.0


class RunForecast:
    """Measures the first pictures of an annotated video, and tells how the whole compares with the analysis.

    Both are measured in processor time, which other programs on the machine hardly change.

    Args:
        segments: those that workers are to analyse; none: one pass.
        annotate: whether there will be an annotated video.
        forecast: None: nothing is measured or told.
    """

    def __init__(
        self,
        source: VideoRange,
        info: VideoInfo,
        segments: Sequence[VideoSegment],
        workers: int,
        annotate: bool,
        forecast: Forecast | None,
    ) -> None:
        self._forecast = forecast
        self._imbalance = imbalance(segments, workers)
        self._seconds = 0.0
        self._first = 0
        self._began = self._searched = self._searched_processor = 0.0
        if forecast is None:
            return
        forecast(TYPICAL_RATIO if annotate else 0.0, self._imbalance)
        if not annotate:
            return
        if drawn := cut_film(source, info):
            try:
                self._seconds = drawing_seconds(source.path, info, drawn[0])
            except (IndexMismatch, FerwatchError, av.FFmpegError):
                return  # the run itself tells what is wrong

    def update_in_one_pass(self, done: int, seconds: float, processor: float) -> None:
        """Tell the forecast in an analysis whose pictures are decoded by other threads at the same time.

        Args:
            done: number of pictures that are decoded.
            seconds, processor: time that the search for faces in the latest one took, and the processor time of it.
        """
        if not self._first:
            self._first, self._began = done, time.monotonic()
            return
        self._searched += seconds
        self._searched_processor += processor
        if done > self._first and self._searched:
            # Where other programs take half of the processor, the film will take twice its processor time too.
            share = self._searched_processor / self._searched
            self.update(share * (time.monotonic() - self._began) / (done - self._first))

    def update(self, analysis_seconds: float) -> None:
        """Tell the forecast.

        Args:
            analysis_seconds: processor time of the analysis for a picture, so far; 0: unknown.
        """
        if self._forecast is not None and self._seconds and analysis_seconds:
            self._forecast(self._seconds / analysis_seconds, self._imbalance)
