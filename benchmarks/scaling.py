"""Time and peak memory of the main job against the length of the video and against the faces in a frame.

    python benchmarks/scaling.py CLIP [--minutes 1 10 60 1] [--faces 1 5 20] [--json FILE]

Each case is `ferwatch.analyze` in a process of its own, so that the system's peak of its memory is that case's alone;
the clock starts after a first second of video, with imports and models loaded.
The lengths are the clip at 640x360, repeated; the first comes once more at the end, to show how far the machine's own
speed has moved in between; the faces are copies of its picture side by side in 1280x720.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from common import Clock, loop, table


def tiled(clip: Path, out: Path, copies: int, width: int, height: int) -> Path:
    """The clip's pictures at another size, each shown `copies` times in a grid, without sound."""
    columns = math.ceil(math.sqrt(copies))
    rows = math.ceil(copies / columns)
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        track = target.add_stream("libx264", rate=Fraction(stream.average_rate or 25).limit_denominator(1001))
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        for number, picture in enumerate(source.decode(stream)):
            image = picture.to_ndarray(format="bgr24")
            scale = min(width // columns / image.shape[1], height // rows / image.shape[0])
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            frame = np.zeros((height, width, 3), np.uint8)
            for copy in range(copies):
                y, x = copy // columns * (height // rows), copy % columns * (width // columns)
                frame[y : y + small.shape[0], x : x + small.shape[1]] = small
            shown = av.VideoFrame.from_ndarray(frame, format="bgr24").reformat(format="yuv420p")
            shown.pts = number
            target.mux(track.encode(shown))
        target.mux(track.encode(None))
    return out


def one_case(clip: Path, out: Path, model: str, weights: Path | None, video: bool) -> dict[str, Any]:
    """Runs in its own process; the peak includes the libraries, as a user sees it."""
    from ferwatch.models.checkpoint import load_checkpoint
    from ferwatch.models.classifier import Classifier
    from ferwatch.models.pretrained import shipped_weights
    from ferwatch.pipeline.analyze import write_run
    from ferwatch.pipeline.options import AnalysisOptions
    from ferwatch.utils.threads import use_single_threaded_libraries

    use_single_threaded_libraries()

    classifier = Classifier(load_checkpoint(weights or shipped_weights(model), model))
    write_run(clip, out.with_name("first"), AnalysisOptions(annotate=video, end=1), classifier)
    with Clock() as clock:
        run = write_run(clip, out, AnalysisOptions(annotate=video), classifier)
    facts = json.loads((out / "run.json").read_text())
    frames = facts["video"]["frames_decoded"]
    rows = facts["counts"]["rows"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "frames": frames,
        "faces_a_sample": round(rows / max(1, run.summary.sampled_frames), 2),
        "seconds": round(clock.wall, 2),
        "ms_a_frame": round(1000 * clock.wall / frames, 4),
        "cpu_ms_a_frame": round(1000 * clock.cpu / frames, 4),
        "peak_mb": round(peak / 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 10, 60, 1])
    parser.add_argument("--faces", type=int, nargs="*", default=[1, 5, 20])
    parser.add_argument("--no-video", action="store_true", help="without the annotated video")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()

    cases: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        videos = []
        if args.minutes:
            small = tiled(args.clip, scratch / "640x360.mp4", 1, 640, 360)
            videos += [(f"{m:g} min", small, 60 * m) for m in args.minutes]
        videos += [(f"{n} faces", tiled(args.clip, scratch / f"{n}.mp4", n, 1280, 720), 60) for n in args.faces]
        for name, short, seconds in videos:
            video = loop(short, scratch / "looped.mp4", seconds)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                out = Path(tempfile.mkdtemp(dir=scratch)) / "run"
                case = alone.submit(one_case, video, out, args.model, args.weights, not args.no_video).result()
            cases.append({"case": name} | case)
            print(f"{name}: done", file=sys.stderr)
    print(table(list(cases[0]), [list(case.values()) for case in cases]))
    if args.json:
        args.json.write_text(json.dumps({"clip": args.clip.name, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
