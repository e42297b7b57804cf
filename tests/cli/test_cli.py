"""The command line as a user meets it: what it prints, where, and its exit codes."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CLIPS, DEMO, ROOT, Result

from ferwatch.errors import WeightsError
from ferwatch.models.pretrained import shipped_weights

Ferwatch = Callable[..., Result]


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "frames.csv", encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def test_main_job_leaves_a_whole_run_folder(ferwatch: Ferwatch, tmp_path: Path) -> None:
    done = ferwatch(DEMO, "--end", "1.5")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no chatter of MediaPipe, TensorFlow Lite or FFmpeg, and no bar in a pipe
    folder = tmp_path / "demo-ferwatch"
    assert {f.name for f in folder.iterdir()} == {
        *("frames.csv", "episodes.csv", "timeline.png", "annotated.mp4", "run.json")
    }
    assert "face 1" in done.stdout
    assert "demo-ferwatch" in done.stdout
    facts = json.loads((folder / "run.json").read_text())
    assert facts["counts"]["frames_sampled"] == len({row["frame"] for row in rows(folder)}) == 15


def test_quiet_prints_nothing(ferwatch: Ferwatch) -> None:
    done = ferwatch(DEMO, "--end", "0.5", "--no-video", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_row_adds_up(ferwatch: Ferwatch, tmp_path: Path) -> None:
    ferwatch(DEMO, "--end", "2", "--every", "5", "--no-video", "--out", "run")
    for row in rows(tmp_path / "run"):
        if row["success"] == "1":
            seven = {
                name: float(row[name]) for name in ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
            }
            assert sum(seven.values()) == pytest.approx(1, abs=0.0005)
            assert float(row["confidence"]) == max(seven.values()) == seven[row["emotion"]]


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        (("--all-frames", "--end", "0.4"), list(range(10))),
        (("--every", "4", "--end", "0.4"), [0, 4, 8]),
        (("--interval", "0.2", "--end", "0.9"), [0, 5, 10, 15, 20]),
        (("--sample-fps", "5", "--start", "0:01", "--end", "0:00:01.5"), [25, 30, 35]),
    ],
)
def test_sampling_options(ferwatch: Ferwatch, tmp_path: Path, options: tuple[str, ...], frames: list[int]) -> None:
    """The demo has 25 frames a second; frame numbers count from the file's first frame."""
    done = ferwatch(DEMO, *options, "--no-video", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert [int(row["frame"]) for row in rows(tmp_path / "run")] == frames


def test_blurring_leaves_the_table_alone(ferwatch: Ferwatch, tmp_path: Path) -> None:
    for name, extra in (("plain", []), ("blurred", ["--blur-faces"])):
        ferwatch(DEMO, "--end", "0.5", "--out", name, *extra)
    assert (tmp_path / "plain/frames.csv").read_bytes() == (tmp_path / "blurred/frames.csv").read_bytes()
    assert (tmp_path / "plain/annotated.mp4").read_bytes() != (tmp_path / "blurred/annotated.mp4").read_bytes()


def test_timeline_again_writes_the_same_bytes(ferwatch: Ferwatch, tmp_path: Path) -> None:
    ferwatch(DEMO, "--end", "2", "--no-video", "--export", "json", "--export", "srt", "--out", "run")
    done = ferwatch("timeline", "run", "--export", "json", "--export", "srt", "--out", "again")
    assert done.returncode == 0, done.stderr
    for file in (tmp_path / "again").iterdir():
        assert file.read_bytes() == (tmp_path / "run" / file.name).read_bytes(), file.name


def test_a_run_is_not_overwritten_unasked(ferwatch: Ferwatch, tmp_path: Path) -> None:
    options = (DEMO, "--end", "0.3", "--no-video", "--out", "run")
    ferwatch(*options)
    first = (tmp_path / "run/run.json").read_bytes()
    (tmp_path / "run/notes.txt").write_text("mine")
    refused = ferwatch(*options)
    assert refused.returncode == 1
    assert "--overwrite" in refused.stderr
    assert (tmp_path / "run/run.json").read_bytes() == first
    assert ferwatch(*options, "--overwrite").returncode == 0
    assert (tmp_path / "run/notes.txt").read_text() == "mine"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
def test_a_standard_output_that_is_full_is_named() -> None:
    command = [sys.executable, "-m", "ferwatch", "models"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1, "ferwatch: standard output cannot be written: No space left on device\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nowhere.mp4",), 1, "nowhere.mp4"),
        (("--", "-nowhere.mp4"), 1, "-nowhere.mp4"),
        ((DEMO, "--model", "resnet"), 1, "small-vit"),
        ((DEMO, "--weights", "none.safetensors"), 1, "none.safetensors"),
        ((DEMO, "--face-model", "none.tflite"), 1, "none.tflite"),
        ((DEMO, "--every", "2", "--all-frames"), 2, "exclude each other"),
        ((DEMO, "--start", "soon"), 2, "soon"),
        ((DEMO, "--blur-faces", "--region", "0,0,9,9"), 1, "leave annotated.mp4 out, or analyse"),
        (("timeline", "nowhere"), 1, "nowhere"),
        ((), 2, "Usage"),
    ],
)
def test_errors_are_one_line(ferwatch: Ferwatch, arguments: tuple[str | Path, ...], code: int, says: str) -> None:
    done = ferwatch(*arguments)
    assert done.returncode == code
    assert says in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.startswith("ferwatch: ")
        assert done.stderr.count("\n") == 1


def test_help_is_quick_and_has_an_example(ferwatch: Ferwatch) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = ferwatch("--help")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.5
    assert "ferwatch interview.mp4" in done.stdout
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ferwatch", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    assert not any(name in loaded for name in ("torch", "mediapipe", "cv2"))


@pytest.mark.parametrize("command", ["run", "compare", "timeline", "look-inside", "evaluate", "train", "models"])
def test_every_command_has_help_with_an_example(ferwatch: Ferwatch, command: str) -> None:
    done = ferwatch(command, "--help")
    assert done.returncode == 0
    assert "\n  ferwatch " in done.stdout


@pytest.mark.parametrize("stop", ["SIGINT", "SIGTERM"])
def test_an_interrupt_that_a_library_turns_into_an_error_of_its_own(stop: str) -> None:
    """As matplotlib's compiled code does where the signal comes while it reads its arguments."""
    program = f"""
import os, signal, time
from ferwatch.cli import main as cli
signal.signal(signal.SIGINT, signal.default_int_handler)
def drawing(**_):
    try:
        os.kill(os.getpid(), signal.{stop})
        time.sleep(5)
    except KeyboardInterrupt:
        raise TypeError("incompatible function arguments") from None
cli.cli.main = drawing
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "ferwatch: interrupted\n")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_keeps_its_rows(tmp_path: Path, stop: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ferwatch", str(DEMO), "--all-frames", "--out", "run"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a job in the background ignores
    ) as process:  # fmt: skip
        partial = tmp_path / "run/frames.partial.csv"
        for _ in range(600):
            if partial.exists() and partial.read_text().count("\n") > 20:
                break
            time.sleep(0.1)
        process.send_signal(stop)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    # click ends the line of ^C first
    assert said.strip() == "ferwatch: interrupted; the same command with --resume continues this run"
    assert {f.name for f in (tmp_path / "run").iterdir()} == {"frames.partial.csv", "resume.json", "segments.partial"}
    with open(partial, encoding="utf-8", newline="") as f:
        assert len({len(line) for line in csv.reader(f)}) == 1  # whole lines only


@pytest.mark.parametrize("model", ["cnn", "small-vit", "vit-b-16"])
@pytest.mark.parametrize("name", CLIPS)
def test_every_model_on_every_clip(
    ferwatch: Ferwatch, clip: Callable[[str], Path], tmp_path: Path, name: str, model: str
) -> None:
    try:
        shipped_weights(model)
    except WeightsError as error:
        pytest.skip(str(error))
    done = ferwatch(clip(name), "--model", model, "--sample-fps", "2", "--end", "4", "--no-video", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert any(row["success"] == "1" for row in rows(tmp_path / "run"))


def test_neutral_then_happy(ferwatch: Ferwatch, clip: Callable[[str], Path], tmp_path: Path) -> None:
    """The face is neutral up to 0.5 s and smiles from 0.8 s on, as anybody who watches the clip sees."""
    ferwatch(clip("single_face.mp4"), "--all-frames", "--no-video", "--out", "run")
    seen = rows(tmp_path / "run")
    assert {row["face_id"] for row in seen} == {"1"}
    early = [row["emotion"] == "neutral" for row in seen if float(row["timestamp"]) < 0.5]
    late = [row["emotion"] == "happy" for row in seen if float(row["timestamp"]) >= 0.8]
    assert sum(early) >= 0.9 * len(early) > 0
    assert sum(late) >= 0.95 * len(late) > 0


def test_face_then_none(ferwatch: Ferwatch, clip: Callable[[str], Path], tmp_path: Path) -> None:
    """A face up to frame 71; after that a title, in whose blurred letters MediaPipe sees faces."""
    ferwatch(clip("face_noface.mov"), "--all-frames", "--no-video", "--out", "run")
    seen = rows(tmp_path / "run")
    wrong = [row for row in seen if (row["success"] == "1") != (int(row["frame"]) <= 71)]
    assert len(wrong) <= 0.02 * len(seen)
