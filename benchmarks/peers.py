"""ferwatch beside `fer` on the same clip, taking turns, as a ratio of frames a second.

    python benchmarks/peers.py CLIP [--environment FOLDER] [--seconds 30] [--rounds 3] [--json FILE] [--weights FILE]

`fer` runs in an environment of its own, made in FOLDER at the first call and kept (it holds TensorFlow). It detects
with its default detector (Haar cascade), classifies every frame, and writes nothing. ferwatch does its whole job on
every frame, on all cores: rows, timeline and the annotated video. Each runs in a fresh process; `fer` does ten frames
first, ferwatch the whole clip. Clocks start after that. The fastest round of each counts. The processes take turns,
so that what else the machine does meets both alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from common import loop

# What `fer` 25.10.3 needs to import and run: it uses pkg_resources, which setuptools 80 and later warn about and drop.
# Installed without its own requirements, of which several are for what is not measured here (another detector, films).
PINS = (
    *("setuptools<80", "opencv-contrib-python==4.12.0.88", "tensorflow-cpu>=2.16,<2.21"),
    *("pandas", "requests", "tqdm", "Pillow"),
)
FER = "fer==25.10.3"

RUN_FER = """
import sys, time
import cv2
from fer.fer import FER

detector = FER()

def frames(limit):
    video = cv2.VideoCapture(sys.argv[1])
    count = faces = 0
    while count < limit:
        there, frame = video.read()
        if not there:
            break
        faces += len(detector.detect_emotions(frame))
        count += 1
    return count, faces

frames(10)
began = time.perf_counter()
count, faces = frames(float("inf"))
print("RESULT", count, faces, time.perf_counter() - began)
"""

RUN_FERWATCH = """
import json, sys, tempfile, time
from pathlib import Path
from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.executors import LocalProcesses, cores
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.models.classifier import Classifier
from ferwatch.models.checkpoint import load_checkpoint
from ferwatch.models.pretrained import shipped_weights
from ferwatch.utils.threads import use_single_threaded_libraries
from ferwatch.video.sampling import Sampling

use_single_threaded_libraries()
classifier = Classifier(load_checkpoint(Path(sys.argv[2]) if len(sys.argv) > 2 else shipped_weights("cnn"), "cnn"))
options = AnalysisOptions(sampling=Sampling(), weights=Path(sys.argv[2]) if len(sys.argv) > 2 else None)
with tempfile.TemporaryDirectory() as folder, LocalProcesses(cores()) as executor:
    for name in ("first", "run"):
        began = time.perf_counter()
        run = write_run(Path(sys.argv[1]), Path(folder) / name, options, classifier, executor=executor)
    took = time.perf_counter() - began
    facts = json.loads((run.folder / "run.json").read_text())
print("RESULT", facts["video"]["frames_decoded"], int((run.timeline.table.face_id > 0).sum()), took)
"""


def environment(folder: Path) -> Path:
    """The Python of an environment in which `fer` imports."""
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *PINS], check=True)
        subprocess.run([*pip, "--no-deps", FER], check=True)
        (folder / "made").touch()
    return python


def measure(command: list[str]) -> tuple[int, int, float]:
    """Frames, faces and seconds that a process of the above reports."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in ended.stdout.splitlines():
        if line.startswith("RESULT"):
            frames, faces, seconds = line.split()[1:]
            return int(frames), int(faces), float(seconds)
    raise SystemExit(f"{command[0]} failed:\n{ended.stderr[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--environment", type=Path, default=Path(tempfile.gettempdir()) / "ferwatch-benchmark-fer")
    parser.add_argument("--seconds", type=float, default=30, help="the clip is looped to this length (default: 30)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", type=Path, help="other weights of cnn")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    python = environment(args.environment)
    best: dict[str, float] = {"fer": 0.0, "ferwatch": 0.0}
    faces: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = str(loop(args.clip, Path(folder) / f"looped{args.clip.suffix}", args.seconds))
        weights = [str(args.weights)] if args.weights else []
        commands = {
            "fer": [str(python), "-c", RUN_FER, clip],
            "ferwatch": [sys.executable, "-c", RUN_FERWATCH, clip, *weights],
        }
        for number in range(1, args.rounds + 1):
            for name, command in commands.items():
                count, faces[name], seconds = measure(command)
                best[name] = max(best[name], count / seconds)
                print(f"round {number}: {name}: {count} frames, {count / seconds:.1f} frames/s", file=sys.stderr)
    ratio = best["ferwatch"] / best["fer"]
    for name, fps in best.items():
        print(f"{name:9} {fps:8.1f} frames/s, {faces[name]} faces")
    print(f"ferwatch, writing its video, over fer, writing nothing: {ratio:.2f}")
    if args.json:
        result = {"clip": args.clip.name, "frames": count, "fps": best, "faces": faces, "ratio": ratio}
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
