"""With --blur-faces and any other flag of `ferwatch run`, no byte that is written shows or links an unblurred face."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import FACE_MODEL, needs_weights
from extending.test_network import FILE

import ferwatch
from ferwatch.cli.main import cli
from ferwatch.cli.run import run as run_command
from ferwatch.export.registry import EXPORTS, run_files
from ferwatch.faces.align import align
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.model_file import find_face_model
from ferwatch.faces.search import search_image
from ferwatch.faces.similarity import gradient_descriptor, similarity
from ferwatch.faces.tracker import NEW_SCENE_SIMILARITY
from ferwatch.models.checkpoint import Checkpoint, save_checkpoint
from ferwatch.models.registry import get_model, register_network
from ferwatch.records import Face
from ferwatch.utils.files import weights_folder

pytestmark = needs_weights
RATE = 25
END = "0.5"
WRITTEN = {*run_files(), "frames.csv", "run.json", "annotated.mp4"}


@dataclass(frozen=True)
class Original:
    """A video in a folder that names a person, and the faces of each of its pictures."""

    video: Path
    faces: tuple[tuple[Face, ...], ...]
    network: tuple[str, ...]
    """Arguments for a network of one's own."""


@pytest.fixture(scope="session")  # once in a process: the network's name can be given once
def original(
    tmp_path_factory: pytest.TempPathFactory, clip_of_a_second: bytes, detector: MediaPipeDetector
) -> Original:
    folder = tmp_path_factory.mktemp("patients") / "Jane Doe"
    folder.mkdir()
    video = folder / "session.mp4"
    video.write_bytes(clip_of_a_second)
    (folder / "mine.py").write_text(FILE.replace("class Linear", "class OneLayer"))
    source, weights = f"{folder / 'mine.py'}:OneLayer", folder / "linear.safetensors"
    model = get_model(register_network(source))
    save_checkpoint(Checkpoint("OneLayer", model.build(), model.input, source=source), weights)
    faces = tuple(tuple(search_image(picture, detector)) for picture in pictures_of(video))
    assert all(faces[: RATE // 2]), "each picture shows a face"
    (first, *_), (second, *_) = faces[0], faces[5]
    assert likeness(first, second.crop) > NEW_SCENE_SIMILARITY, "the check of the check"
    return Original(video, faces, ("--network", source, "--weights", str(weights)))


def pictures_of(video: Path) -> list[np.ndarray]:
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def likeness(face: Face, crop: np.ndarray) -> float:
    return similarity([gradient_descriptor(face.crop)], [gradient_descriptor(crop)])


ALONE: dict[str, tuple[str, ...] | Callable[[Original], tuple[str, ...]]] = {
    "model": ("--model", "small-vit"),
    "sample_fps": ("--sample-fps", "5"),
    "every": ("--every", "4"),
    "interval": ("--interval", "0.2"),
    "all_frames": ("--all-frames",),
    "decoder": ("--decoder", "opencv"),
    "stream": ("--stream", "0"),
    "exports": (),  # every case has all of them
    "no_video": ("--no-video",),
    "smoothing": ("--smoothing", "0"),
    "min_episode": ("--min-episode", "0.1"),
    "region": ("--region", "0,0,640,360", "--no-video"),
    "ignore": ("--ignore", "1"),
    "max_faces": ("--max-faces", "1"),
    "no_charts": ("--no-charts",),
    "blur_faces": ("--blur-faces",),
    "weights": ("--weights", str(weights_folder() / "cnn.safetensors")),
    "network": lambda original: original.network,
    "labels": ("--labels", "fer2013"),
    "face_model": lambda _: ("--face-model", str(FACE_MODEL or find_face_model())),
    "device": ("--device", "cpu"),
    "start": ("--start", "0.2"),
    "end": ("--end", "0.4"),
    "threads": ("--threads", "2"),
    "engine": ("--engine", "local"),
    "overwrite": ("--overwrite",),  # a run that shows faces
    "resume": ("--resume",),  # an interrupted run that shows faces
    "quiet": ("--quiet",),
}
"""Parameter of the command -> arguments with which it runs."""
REFUSED = {
    "fps": (("--fps", "25"), "times of its own"),
    "address": (("--address", "auto"), "--address is for --engine ray"),
    "region": (("--region", "0,0,640,360"), "would stay recognisable"),
}
"""Parameter of the command -> arguments with which nothing is written, and the reason."""
IN_EVERY_CASE = {"videos", "out"}
EXCLUSIVE = ({"sample_fps", "every", "interval", "all_frames"}, {"model", "weights", "network"})


def combinations(count: int, seed: int) -> list[tuple[str, ...]]:
    draw = random.Random(seed)
    found: list[tuple[str, ...]] = []
    while len(found) < count:
        names = tuple(sorted(draw.sample(sorted({*ALONE} - {"resume"}), 5)))  # a run is resumed with its own settings
        if all(len(group & {*names}) <= 1 for group in EXCLUSIVE):
            found.append(names)
    return found


def test_every_flag_of_the_command_has_a_case() -> None:
    assert {parameter.name for parameter in run_command.params} == {*ALONE, *REFUSED, *IN_EVERY_CASE}


@pytest.mark.parametrize("names", [*((name,) for name in ALONE), *combinations(6, seed=25)], ids="+".join)
def test_no_output_shows_or_links_a_face(
    names: tuple[str, ...], original: Original, tmp_path: Path, detector: MediaPipeDetector
) -> None:
    out = tmp_path / "run"
    if "overwrite" in names:
        ferwatch.analyze(original.video, out, end=0.3)
    if "resume" in names:
        interrupted_run(original.video, out)
    arguments: list[str] = []
    for name in names:
        case = ALONE[name]
        arguments += case(original) if callable(case) else case
    done = call(original.video, out, *arguments)
    assert done.exit_code == 0, done.output + repr(done.exception)
    shown = {file.name for file in out.rglob("*") if file.is_file()}
    assert shown - {"frames.measured.csv"} == WRITTEN - ({"annotated.mp4"} if "--no-video" in arguments else set())
    check(out, original, 0.2 if "start" in names else 0.0, detector)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_leaves_nothing(name: str, original: Original, tmp_path: Path) -> None:
    arguments, reason = REFUSED[name]
    done = call(original.video, tmp_path / "run", *arguments)
    assert done.exit_code != 0
    assert reason in done.output + str(done.exception)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def call(video: Path, out: Path, *arguments: str) -> object:
    exports = [word for name in EXPORTS for word in ("--export", name)]
    end = () if "--end" in arguments else ("--end", END)
    return CliRunner().invoke(cli, ["run", str(video), "--out", str(out), "--blur-faces", *exports, *end, *arguments])


def interrupted_run(video: Path, out: Path) -> None:
    """Leave a run without blurring that was interrupted after it had saved crops of faces."""

    def stop(_stage: str, _done: int, _total: int) -> None:
        if any(out.rglob("*.npz")):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        ferwatch.analyze(video, out, end=float(END), annotate=False, progress=stop)
    assert any(out.rglob("*.npz")), "the check of the check"


def check(out: Path, original: Original, start: float, detector: MediaPipeDetector) -> None:
    for file in (file for file in out.rglob("*") if file.is_file()):
        data = file.read_bytes()
        text = data.decode("latin-1")
        assert "Jane Doe" not in text, file.name
        assert str(original.video.parents[1]) not in text, file.name
        assert not re.search(r'(?:[/\\]|file:|(?:src|href|MEDIA_URL)=")session\.mp4', text), file.name
        for faces in original.faces:
            for face in faces:
                assert not any(row.tobytes() in data for row in face.crop[20:28]), f"{file.name} holds a crop"
        for picture in pictures_in(file, data):
            assert not search_image(picture, detector), file.name
    (observation,) = json.loads((out / "episodes.boris").read_text("ascii"))["observations"].values()
    assert {*observation["file"]["1"], *observation["media_info"]["fps"]} <= {"annotated.mp4"}
    film = out / "annotated.mp4"
    for number, picture in enumerate(pictures_of(film) if film.exists() else ()):
        for face in original.faces[number + round(start * RATE)]:
            assert likeness(face, align(picture, face.landmarks)) < NEW_SCENE_SIMILARITY, (
                f"{film.name}, picture {number}"
            )


def pictures_in(file: Path, data: bytes) -> list[np.ndarray]:
    """The pictures of a film, and every other picture that a file is or holds, as bytes or in base64."""
    if file.suffix == ".mp4":
        return pictures_of(file)[::4]
    held = [data[found.start() :] for found in re.finditer(rb"\x89PNG\r\n|\xff\xd8\xff", data)]
    held += [base64.b64decode(found[1]) for found in re.finditer(rb"data:image/[^;]+;base64,([\w+/=]+)", data)]
    pictures = [cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) for each in held]
    assert file.suffix != ".png" or pictures, "the check of the check"
    return [picture for picture in pictures if picture is not None]
