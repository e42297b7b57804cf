"""The pair comparison agrees with a run over the same pixels, and tells a change from jitter."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import av
import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from ferwatch import track
from ferwatch.cli.main import cli
from ferwatch.compare.comparison import Side, compare, faces_to_compare, largest_changes
from ferwatch.errors import FerwatchError
from ferwatch.evaluation.metrics import jensen_shannon
from ferwatch.models.checkpoint import Checkpoint, save_checkpoint
from ferwatch.models.registry import MODELS
from ferwatch.pipeline.snapshot import Snapshot
from ferwatch.records import EMOTIONS, BoundingBox, Face, FaceResult, FrameResult

CONFIG = {"widths": (8, 16, 32), "blocks": 1}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cnn whose answers differ from face to face."""
    torch.manual_seed(1)
    network = MODELS["cnn"].build(**CONFIG)
    torch.nn.init.normal_(network.get_parameter("heads.fer2013.weight"), std=2.0)
    path = tmp_path_factory.mktemp("weights") / "cnn.safetensors"
    save_checkpoint(Checkpoint("cnn", network, MODELS["cnn"].input, config=CONFIG), path)
    return path


def frame_of(path: Path, number: int) -> np.ndarray:
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        for _ in range(number):
            next(frames)
        return next(frames).to_ndarray(format="bgr24")


def write_lossless(path: Path, image: np.ndarray) -> None:
    """Three equal frames that decode to exactly these pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = image.shape[0], image.shape[1], "bgr0"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="bgr0")))
        container.mux(stream.encode())


def test_one_image_agrees_with_a_run_over_the_same_pixels(
    clip: Callable[[str], Path], weights: Path, ferwatch: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    video = clip("single_face.mp4")
    pair = np.hstack([frame_of(video, 3), frame_of(video, 50)])
    cv2.imwrite(str(tmp_path / "pair.png"), pair)
    write_lossless(tmp_path / "pair.mkv", pair)
    done = ferwatch("compare", "pair.png", "--weights", weights, "--out", "out")
    assert done.returncode == 0, done.stderr
    ((said,),) = json.loads((tmp_path / "out" / "pair.json").read_text())["pairs"]

    first = next(iter(track(tmp_path / "pair.mkv", weights=weights)))
    assert len(first.faces) == 2
    for side, face in zip((said["left"], said["right"]), sorted(first.faces, key=lambda f: f.bbox[0]), strict=True):
        assert list(side["probabilities"]) == list(EMOTIONS)
        assert list(side["probabilities"].values()) == pytest.approx(face.probabilities, abs=5e-4)
        assert side["emotion"] == face.emotion
        assert side["box"] == pytest.approx(face.bbox, abs=0.06)
    moved = np.subtract(list(said["right"]["probabilities"].values()), list(said["left"]["probabilities"].values()))
    assert list(said["change"].values()) == pytest.approx(list(moved), abs=2e-6)
    assert said["left"]["jitter_from"] == "9 crops shifted by a pixel"
    with Image.open(tmp_path / "out" / "pair.png") as picture:
        picture.load()
        assert picture.size == (1536, 864)
    assert f"{said['left']['emotion']} -> {said['right']['emotion']}" in done.stdout


def test_command_on_a_video(clip: Callable[[str], Path], weights: Path, tmp_path: Path) -> None:
    video = str(clip("single_face.mp4"))
    with_weights = ["compare", video, "--weights", str(weights)]
    done = CliRunner().invoke(cli, [*with_weights, "--at", "0.2", "--at", "0:01.2", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.exception
    ((said,),) = json.loads((tmp_path / "pair.json").read_text())["pairs"]
    assert (said["left"]["timestamp"], said["right"]["timestamp"]) == (0.2, 1.2)
    assert said["left"]["jitter_from"] == "7 neighbouring frames"
    listed = CliRunner().invoke(cli, [*with_weights, "--pairs", "every:1s"])
    assert listed.exit_code == 0, listed.exception
    assert "face 1  0:00.000 -> 0:01.000" in listed.stdout
    assert f"--face 1 --weights {weights}\n" in listed.stdout
    for wrong in (
        [],
        ["--at", "1"],
        ["--pairs", "2s"],
        ["--at", "1", "--at", "x"],
        ["--pairs", "every:1", "--at", "1"],
    ):
        assert CliRunner().invoke(cli, ["compare", video, *wrong]).exit_code == 2
    nobody = [*with_weights, "--at", "0", "--at", "1", "--face", "7"]
    assert "there is no face 7; the faces found are: 1" in str(CliRunner().invoke(cli, nobody).exception)


def test_divergence() -> None:
    p, q = np.array([0.5, 0.5, 0, 0, 0, 0, 0]), np.array([0.5, 0, 0.5, 0, 0, 0, 0])
    assert jensen_shannon(p, p) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(np.eye(7)[0], np.eye(7)[4]) == pytest.approx(1)
    assert jensen_shannon(p, q) == pytest.approx(0.5)  # H(m) - (H(p) + H(q)) / 2 = 1.5 - 1


def face(number: int, x: float = 0.0, gray: int = 0) -> Face:
    return Face(
        BoundingBox(x, 0.0, 10.0, 10.0), np.zeros((6, 2), np.float32), 0.9, np.full((48, 48), gray, np.uint8), number
    )


def snapshot(*faces: Face) -> Snapshot:
    return Snapshot("a picture", np.zeros((10, 10, 3), np.uint8), list(faces))


def test_a_change_within_the_jitter_is_none() -> None:
    def classify(crops: np.ndarray) -> np.ndarray:
        """Gray 100 is 100% happy, gray 0 is 100% neutral."""
        happy = crops[:, 0, 0] / 100
        return np.stack([*[np.zeros(len(crops))] * 3, happy, *[np.zeros(len(crops))] * 2, 1 - happy], axis=1)

    def side(gray: int, spread: int) -> Side:
        crops = np.stack([np.full((48, 48), gray + d, np.uint8) for d in (-spread, 0, spread)])
        return Side(snapshot(), face(1, gray=gray), crops, "neighbouring frames")

    # 30 points of change; the two faces' jitter together is 1.4, then 14 points
    steady = compare(side(40, 1), side(70, 1), "cnn", classify)
    shaky = compare(side(40, 10), side(70, 10), "cnn", classify)
    assert steady.change[3] == shaky.change[3] == pytest.approx(0.3)
    assert steady.jitter[0, 3] == pytest.approx(0.01)
    assert steady.as_dict()["beyond_jitter"] == ["happy", "neutral"]
    assert shaky.as_dict()["beyond_jitter"] == []


def test_which_faces_are_compared() -> None:
    a, b, c = face(1, x=50), face(2, x=10), face(3, x=90)
    one = snapshot(a, b, c)
    assert [(left[1], right[1]) for left, right in faces_to_compare([one])] == [(b, a), (a, c)]
    pairs = faces_to_compare([one, snapshot(c, b)])
    assert [(left[1].face_id, right[1].face_id) for left, right in pairs] == [(2, 2), (3, 3)]
    ((left, right),) = faces_to_compare([one, snapshot(c, b)], face_id=3)
    assert left[1].face_id == right[1].face_id == 3
    with pytest.raises(FerwatchError, match="one face was found"):
        faces_to_compare([snapshot(a)])
    with pytest.raises(FerwatchError, match="no face was found"):
        faces_to_compare([one, snapshot()])
    with pytest.raises(FerwatchError, match="nobody is in both"):
        faces_to_compare([snapshot(a), snapshot(b)])


def test_largest_changes_come_first() -> None:
    def result(time: float, **happy: float) -> FrameResult:
        faces = []
        for name, p in happy.items():
            faces.append(FaceResult(int(name[1:]), 0.9, BoundingBox(0, 0, 1, 1), (0.0, 0.0, 0.0, p, 0.0, 0.0, 1 - p)))
        return FrameResult(round(10 * time), time, tuple(faces))

    run = [result(t / 10, f1=0.5) for t in range(100)]
    run[20] = result(2.0, f1=0.9, f2=0.1)
    run[40] = result(4.0, f2=0.2)  # face 1 is away
    run[60] = result(6.0, f1=0.4)
    found = largest_changes(run, interval=2.0)
    assert [(c.face_id, c.start, c.end) for c in found] == [(1, 0.0, 2.0), (2, 2.0, 4.0), (1, 6.0, 8.0)]
    assert found[0].divergence > found[1].divergence > found[2].divergence


def test_the_reports_pair(weights: Path, report: Callable[[str], Path], tmp_path: Path) -> None:
    """Only the two faces are found, whatever shapes the room's ornaments have."""
    pair = report("pair.jpg")
    done = CliRunner().invoke(cli, ["compare", str(pair), "--weights", str(weights), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.exception
    ((said,),) = json.loads((tmp_path / "pair.json").read_text())["pairs"]
    assert (said["left"]["face_id"], said["right"]["face_id"]) == (1, 2)
    assert said["left"]["box"][0] < 100 < 400 < said["right"]["box"][0]
