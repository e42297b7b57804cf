"""AnalysisOptions: the options of an analysis, for the command line, the Python API and batches."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypedDict

from ferwatch.errors import OptionError, shown
from ferwatch.export.registry import EXPORTS
from ferwatch.pipeline.arguments import to_path
from ferwatch.records import Region
from ferwatch.timeline.build import MIN_EPISODE_SECONDS
from ferwatch.timeline.smoothing import SMOOTHING_SECONDS
from ferwatch.video.sampling import Sampling

DEFAULT_SAMPLING = Sampling(fps=10)
"""Ten frames a second."""
CHOICES = {
    "labels": (None, "crowd", "fer2013"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "decoder": ("ffmpeg", "opencv"),
}
"""Option -> the values that it can have."""


@dataclass(frozen=True)
class AnalysisOptions:
    """Options of an analysis and of its outputs; the same for every video of a batch.

    Raises OptionError where a value is not allowed.
    """

    model: str = "cnn"
    """A classifier of `ferwatch models`."""
    network: str | None = None
    """A network of one's own, as "file.py:Class", instead of a named model; needs `weights`."""
    weights: Path | None = None
    """A checkpoint other than the shipped one."""
    labels: Literal["crowd", "fer2013"] | None = None
    """Head of the checkpoint: "crowd", what people see, or "fer2013", the data set's label; None: "crowd" where the
    checkpoint has it."""
    face_model: Path | None = None
    """A MediaPipe face detection model other than the short-range one that comes with MediaPipe."""
    device: str = "auto"
    """One of "auto", "cpu", "cuda" and "mps"."""
    threads: int | None = None
    """Processor cores to use: with more than one, worker processes take a segment of the video each, and the program's
    main script has to be importable, as multiprocessing requires it. None: one in the Python API, all on the command
    line."""
    sampling: Sampling = DEFAULT_SAMPLING
    """Selection of the frames that are analysed."""
    start: float = 0.0
    """Seconds: nothing before it is analysed."""
    end: float | None = None
    """Seconds: nothing from it on is analysed; None: to the end."""
    decoder: Literal["ffmpeg", "opencv"] = "ffmpeg"
    """Library that decodes the video."""
    stream: int | None = None
    """Index of the video stream among the file's streams; None: the one that players show."""
    fps: float | None = None
    """Frames a second of a raw stream that holds no times; None: as its header says, or 25."""
    max_faces: int = 50
    """Largest number of faces that are analysed in one frame."""
    region: Region | None = None
    """x, y, width and height in pixels: only faces whose centre lies within are analysed."""
    ignore: tuple[int, ...] = ()
    """face_ids of faces that are left out; an id is known after a first run, and the same in every later one."""
    exports: tuple[str, ...] = ()
    """Names of export formats."""
    annotate: bool = True
    """Write annotated.mp4."""
    charts: bool = True
    """Draw a chart of the seven probabilities beside each face of annotated.mp4."""
    blur_faces: bool = False
    """Make faces unrecognisable in everything that is written."""
    smoothing: float = SMOOTHING_SECONDS
    """Width of the smoothing in seconds; 0 turns smoothing off."""
    min_episode: float = MIN_EPISODE_SECONDS
    """Seconds: the shortest episode."""

    def __new__(cls, *_values: Any, **options: Any) -> AnalysisOptions:
        _check_names(options)  # Python would raise TypeError
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for names, kind, said in KINDS:
            for name in names:
                value = getattr(self, name)
                is_left_out = value is None and name in MAY_BE_NONE
                if not is_left_out and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
                    raise OptionError(f"{name}={shown(value)}: give {said}")
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if not isinstance(value, str | None) or value not in choices:
                known = ", ".join(str(choice) for choice in choices if choice)
                raise OptionError(f"{name}={shown(value)}: choose one of {known}")
        for export in self.exports:
            if not isinstance(export, str) or export not in EXPORTS:
                raise OptionError(f"there is no export {shown(export)}; choose among {', '.join(EXPORTS)}")
        for name in ("start", "end", "smoothing", "min_episode"):
            check_seconds(name, getattr(self, name))
        if self.end is not None and not self.start < self.end:
            raise OptionError(f"the end, {self.end:g} s, does not lie after the start, {self.start:g} s")
        for name in ("threads", "max_faces"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise OptionError(f"{name}={shown(value)}: give 1 or more")
        if not all(isinstance(face, Integral) and face >= 1 for face in self.ignore):
            raise OptionError(f"ignore={shown(self.ignore)}: give face ids, whole numbers from 1 on")
        check_region(self.region)
        if self.blur_faces and self.annotate and self.region is not None:
            raise OptionError(
                "faces outside the region would stay recognisable in annotated.mp4: leave annotated.mp4 out, or "
                "analyse all faces and give the region to 'ferwatch timeline' afterwards"
            )
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise OptionError(f"fps={shown(self.fps)}: give a number of frames a second above 0")
        for name in NAMES:
            object.__setattr__(self, name, _plain(getattr(self, name)))


def _plain(value: Any) -> Any:
    """Return a value with Python's numbers for those of NumPy, which JSON does not know, and lists as tuples."""
    if isinstance(value, tuple | list):
        return tuple(map(_plain, value))
    if isinstance(value, int | float) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def check_seconds(name: str, value: float | None) -> None:
    """Raise OptionError where a value is no number of seconds; None: the option is not given."""
    if value is not None and not 0 <= value < math.inf:
        raise OptionError(f"{name}={shown(value)}: give a number of seconds, 0 or more")


def check_region(region: Region | None) -> None:
    """Raise OptionError where a region is no rectangle; None: the option is not given."""
    if region is None:
        return
    has_sides = isinstance(region, tuple | list) and len(region) == 4
    if (
        not has_sides
        or not all(isinstance(side, Real) and math.isfinite(side) for side in region)
        or min(region[2:]) <= 0
    ):
        raise OptionError(f"region={shown(region)}: give x, y, width and height in pixels; the sides are above 0")


def check_region_in_picture(path: Path, region: Region | None, width: int, height: int) -> None:
    """Raise OptionError where a region has no part in a picture of this width and height, in pixels.

    Args:
        path: the video, the image or the run, for the message.
    """
    if region is None:
        return
    x, y, wide, high = region
    if x >= width or y >= height or x + wide <= 0 or y + high <= 0:
        sides = ",".join(f"{side:g}" for side in region)
        raise OptionError(f"{path}: the region {sides} lies outside the picture, which is {width}x{height}")


KINDS: tuple[tuple[tuple[str, ...], type, str], ...] = (
    (("start", "end", "fps", "smoothing", "min_episode"), Real, "a number"),
    (("threads", "stream", "max_faces"), Integral, "a whole number"),
    (("annotate", "charts", "blur_faces"), bool, "True or False"),
    (("model", "device"), str, "a name"),
    (("network",), str, "file.py:Class"),
    (("weights", "face_model"), Path, "a path"),
    (("sampling",), Sampling, "a Sampling, such as Sampling(fps=10)"),
    (("exports", "ignore"), tuple, "a list"),
)
"""Fields of AnalysisOptions, the type that they have, and its name for a message."""
MAY_BE_NONE = ("end", "fps", "threads", "stream", "network", "weights", "face_model")


class AnalysisKeywords(TypedDict, total=False):
    """The fields of AnalysisOptions as keyword arguments; paths may be strings, and exports any iterable."""

    model: str
    network: str | None
    weights: Path | str | None
    labels: Literal["crowd", "fer2013"] | None
    face_model: Path | str | None
    device: str
    threads: int | None
    sampling: Sampling
    start: float
    end: float | None
    decoder: Literal["ffmpeg", "opencv"]
    stream: int | None
    fps: float | None
    max_faces: int
    region: Region | None
    ignore: Iterable[int]
    exports: Iterable[str]
    annotate: bool
    charts: bool
    blur_faces: bool
    smoothing: float
    min_episode: float


NAMES = tuple(field.name for field in fields(AnalysisOptions))
LOADING_OPTIONS = ("model", "network", "weights", "labels", "face_model", "device", "threads")
"""The options that an Analyzer is loaded with; the others may differ from video to video."""


USES = {
    "analyze": ("exports", "annotate", "charts", "blur_faces", "smoothing", "min_episode", "threads"),
    "video files": ("sampling", "start", "end", "decoder", "stream"),
    "videos": ("fps",),
}
"""Use -> the options that nothing else needs."""
UNUSED: dict[str, tuple[object, ...]] = {"annotate": (False,), "charts": (False,), "threads": (None, 1)}
"""Option -> the values that ask for nothing; of all others, the default."""


def refuse_unused(options: AnalysisOptions, given: Iterable[str], uses: Iterable[str]) -> None:
    """Raise OptionError where an option that was given in a call would have no effect.

    Args:
        given: names of the options that were given in the call.
        uses: keys of USES that the call is not.
    """
    standard = AnalysisOptions()
    for use in uses:
        for name in USES[use]:
            if name in given and getattr(options, name) not in UNUSED.get(name, (getattr(standard, name),)):
                raise OptionError(f"{name} is for {use}: leave it out here")


def loading_options(options: AnalysisOptions) -> AnalysisOptions:
    """Return the options that decide what is loaded, all others at their defaults."""
    return AnalysisOptions(**{name: getattr(options, name) for name in LOADING_OPTIONS})


def with_absolute_paths(options: AnalysisOptions) -> AnalysisOptions:
    """Return the options with their files named absolutely, for workers whose working directory is another one."""
    network = options.network
    if network is not None:
        file, _, name = network.rpartition(":")
        network = f"{Path(file).absolute()}:{name}"
    weights, face_model = (path and path.absolute() for path in (options.weights, options.face_model))
    return replace(options, network=network, weights=weights, face_model=face_model)


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if name not in NAMES:
            close = get_close_matches(name, NAMES, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"the options are {', '.join(NAMES)}"
            raise OptionError(f"there is no option {shown(name)}; {hint}")


def change_options(options: AnalysisOptions, changes: dict[str, Any]) -> AnalysisOptions:
    """Return the options with some changed, given as in AnalysisKeywords.

    Raises OptionError where an option is unknown, or its value cannot be.
    """
    _check_names(changes)
    changes = dict(changes)
    for name in ("weights", "face_model"):
        if changes.get(name) is not None:
            changes[name] = to_path(name, changes[name])
    if isinstance(exports := changes.get("exports"), str):
        changes["exports"] = (exports,)
    elif isinstance(exports, Iterable):
        changes["exports"] = tuple(exports)
    if isinstance(ignore := changes.get("ignore"), Iterable):
        faces = tuple(ignore)
        changes["ignore"] = tuple(sorted(set(faces))) if all(isinstance(f, Integral) for f in faces) else faces
    return replace(options, **changes)
