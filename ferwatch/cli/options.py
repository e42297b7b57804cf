"""Options of `run`, `batch` and `study` that say how a video is analysed: AnalysisOptions on the command line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ferwatch.errors import shown
from ferwatch.export.registry import EXPORTS
from ferwatch.timeline.build import MIN_EPISODE_SECONDS
from ferwatch.timeline.smoothing import SMOOTHING_SECONDS
from ferwatch.utils.timecode import parse_time
from ferwatch.utils.url import Url, parse_place
from ferwatch.video.sampling import Sampling

if TYPE_CHECKING:
    from ferwatch.pipeline.options import AnalysisOptions


class Time(click.ParamType):
    """Parses a time, in seconds or [HH:]MM:SS[.mmm], to seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else parse_time(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Number(click.FloatRange):
    """Parses a number of a range; unlike click's own type it takes neither "nan" nor "inf"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{shown(value)} is no number", param, ctx)
        return number


class Rectangle(click.ParamType):
    """Parses X,Y,WIDTH,HEIGHT in pixels."""

    name = "X,Y,W,H"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float, float]:
        try:
            x, y, width, height = (float(side) for side in str(value).split(","))
        except ValueError:
            self.fail(f"{shown(value)} is not X,Y,WIDTH,HEIGHT in pixels, such as 0,0,640,480", param, ctx)
        if not (width > 0 and height > 0 and math.isfinite(x + y + width + height)):
            self.fail("width and height have to be above 0", param, ctx)
        return x, y, width, height


class Place(click.ParamType):
    """Parses a path, or a URL of one of fsspec's file systems."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | Url:
        if value == "":
            self.fail("it is empty", param, ctx)
        return value if isinstance(value, Path | Url) else parse_place(str(value))


FILE = click.Path(path_type=Path)

export_option = click.option(
    "--export", "exports", multiple=True, type=click.Choice(list(EXPORTS)), help="One more file; may be repeated."
)
smoothing_option = click.option(
    "--smoothing",
    type=Number(min=0),
    metavar="S",
    help=f"Seconds; 0 turns it off.  [default: {SMOOTHING_SECONDS:g}]",
)
min_episode_option = click.option(
    "--min-episode",
    type=Number(min=0),
    metavar="S",
    help=f"Seconds: the shortest episode.  [default: {MIN_EPISODE_SECONDS:g}]",
)
region_option = click.option(
    "--region", type=Rectangle(), help="Keep only the faces whose centre lies in this rectangle, in pixels."
)
ignore_option = click.option(
    "--ignore",
    multiple=True,
    type=click.IntRange(min=1),
    metavar="ID",
    help="Leave a face out, by its face_id; may be repeated.",
)
device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True
)

labels_option = click.option(
    "--labels",
    type=click.Choice(["crowd", "fer2013"]),
    help="crowd: what people see; fer2013: the data set's label.  [default: crowd, where the weights have it]",
)
network_option = click.option("--network", metavar="file.py:Class", help="A network of your own, with its --weights.")

ANALYSIS_OPTIONS = (
    click.option(
        "--model", default="cnn", show_default=True, help="cnn, small-vit or vit-b-16; see 'ferwatch models'."
    ),
    click.option("--sample-fps", type=Number(min=0, min_open=True), help="Samples a second.  [default: 10]"),
    click.option("--every", type=click.IntRange(min=1), metavar="N", help="Every Nth frame."),
    click.option("--interval", type=Number(min=0, min_open=True), metavar="S", help="One sample every S seconds."),
    click.option("--all-frames", is_flag=True, help="Every frame."),
    click.option(
        "--decoder",
        type=click.Choice(["ffmpeg", "opencv"]),
        default="ffmpeg",
        show_default=True,
        help="ffmpeg shows pictures as players do; opencv is for plain videos.",
    ),
    click.option(
        "--stream",
        type=click.IntRange(min=0),
        metavar="N",
        help="Index of the video stream.  [default: the one that players show]",
    ),
    click.option(
        "--fps",
        type=Number(min=0, min_open=True),
        metavar="RATE",
        help="Frames a second of a raw stream without times.",
    ),
    export_option,
    click.option("--no-video", is_flag=True, help="Do not write annotated.mp4."),
    smoothing_option,
    min_episode_option,
    region_option,
    ignore_option,
    click.option(
        "--max-faces",
        type=click.IntRange(min=1),
        metavar="N",
        help="Largest number of faces that are analysed in one frame.  [default: 50]",
    ),
    click.option("--no-charts", is_flag=True, help="Draw no charts in annotated.mp4."),
    click.option("--blur-faces", is_flag=True, help="Make faces unrecognisable in everything that is written."),
    click.option("--weights", type=FILE, metavar="FILE", help="Other weights of this model."),
    network_option,
    labels_option,
    click.option("--face-model", type=FILE, metavar="FILE", help="Another MediaPipe face model."),
    device_option,
)


ENGINE_OPTIONS = (
    click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True),
    click.option(
        "--address", help="The Ray cluster, for instance auto or ray://HOST:10001.  [default: start one here]"
    ),
)


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where the work is done."""
    for option in reversed(ENGINE_OPTIONS):
        command = option(command)
    return command


def check_engine(engine: str, address: str | None, count: int | None, name: str) -> None:
    """Raise click.UsageError where options of the engine exclude each other.

    Args:
        count: how many processes were asked for, by the option `name`; None: it was not given.
    """
    if engine == "local" and address:
        raise click.UsageError("--address is for --engine ray")
    if address and count:
        raise click.UsageError(f"{name} is for this machine; the cluster at --address decides for itself")


def analysis_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a video is analysed; options_from() makes AnalysisOptions of their values."""
    for option in reversed(ANALYSIS_OPTIONS):
        command = option(command)
    return command


def options_from(values: dict[str, Any]) -> AnalysisOptions:
    """Return the AnalysisOptions that a command was called with; those that were not given have their defaults.

    Raises click.UsageError where options exclude each other, OptionError where a value is not allowed.
    """
    from ferwatch.pipeline.options import AnalysisOptions

    values = dict(values)
    sampling = _sampling(*(values.pop(name) for name in ("sample_fps", "every", "interval", "all_frames")))
    annotate, charts = not values.pop("no_video"), not values.pop("no_charts")
    given = {name: value for name, value in values.items() if value is not None}
    return AnalysisOptions(sampling=sampling, annotate=annotate, charts=charts, **given)


def _sampling(sample_fps: float | None, every: int | None, interval: float | None, all_frames: bool) -> Sampling:
    asked = [o is not None for o in (sample_fps, every, interval)] + [all_frames]
    if sum(asked) > 1:
        raise click.UsageError("--sample-fps, --every, --interval and --all-frames exclude each other")
    if all_frames or every is not None:
        return Sampling(every=every or 1)
    if interval is not None:
        return Sampling(fps=1 / interval)
    return Sampling(fps=sample_fps or 10.0)
