"""How near the main job comes to what its stages cost: each stage alone, the ceiling they imply, and the whole job.

    python benchmarks/throughput.py CLIP [--json FILE] [--model cnn ...] [--weights FILE]

A stage alone is run over the whole clip in one thread, its input prepared outside its clock; its processor time counts
all threads of its library. The ceiling is the number of cores over the sum of the processor seconds a frame of the
stages that the case needs: what a job that wastes nothing would do. The whole job is `write_run`, start to end, with
a worker process for each core that has its model loaded before. Frames are those of the video, sampled or not. Stages
and whole jobs take turns, so that what else the machine does meets both alike; the fastest round of the stages counts,
and the fastest whole job.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from common import Clock, cores, loop, table
from numpy.typing import NDArray

from ferwatch.errors import WeightsError
from ferwatch.faces.align import align
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.stream import FaceStream
from ferwatch.faces.tracker import FaceTracker
from ferwatch.models.checkpoint import load_checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.models.pretrained import shipped_weights
from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.executors import LocalProcesses
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.segment import FACES_PER_PASS
from ferwatch.render.draw import draw
from ferwatch.render.interpolate import FaceInterpolator
from ferwatch.timeline.table import read_frames_csv
from ferwatch.utils.threads import use_single_threaded_libraries
from ferwatch.video.encoding import to_picture
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling
from ferwatch.video.writer import annotated_video

MODELS = ("cnn", "small-vit", "vit-b-16")
SAMPLINGS = {"all frames": Sampling(), "10 a second": Sampling(fps=10)}
SOME = 16
"""Frames held in memory between two stages while one of them is timed."""

T = TypeVar("T")


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    items = iter(items)
    while chunk := list(islice(items, SOME)):
        yield chunk


def stages_alone(clip: Path, sampling: Sampling, classifiers: dict[str, Classifier], scratch: Path) -> dict[str, float]:
    """Processor milliseconds a frame of the video for each stage; encoding includes the copying of the sound.

    Detection is what is left of the processor time of decoding, detecting and aligning together without the other two,
    which are timed once more by themselves.
    """
    clocks = {name: Clock() for name in ("decode", "detect", "align", "decode all", "draw", "encode", *classifiers)}
    some = next(iter(classifiers.values()))

    with VideoReader(clip, sampling) as reader, clocks["decode"]:
        for _ in reader:
            pass
        decoded = reader.frames_decoded
    with VideoReader(clip, sampling) as reader, MediaPipeDetector() as detector, clocks["detect"]:
        found = list(FaceStream(detector).follow(reader))
    clocks["detect"].cpu -= clocks["decode"].cpu
    faces = {frame.index: frame.faces for frame in found}
    with VideoReader(clip, sampling) as reader:
        for frame in reader:
            with clocks["align"]:
                for face in faces[frame.index]:
                    align(frame.image, face.landmarks)
    clocks["detect"].cpu -= clocks["align"].cpu

    named = list(FaceTracker().track(found))
    crops = [face.crop for frame in named for face in frame.faces]
    for name, classifier in classifiers.items():
        passes = [crops[i : i + FACES_PER_PASS] for i in range(0, len(crops), FACES_PER_PASS)]
        classify_all(classifier, passes[:1])
        with clocks[name]:
            classify_all(classifier, passes)

    write_run(clip, scratch / "rows", AnalysisOptions(sampling=sampling, annotate=False), some)
    overlay = FaceInterpolator(read_frames_csv(scratch / "rows" / "frames.csv"))
    sides: dict[int, int] = {}
    with VideoReader(clip) as reader, ExitStack() as ending:
        writer = ending.enter_context(annotated_video(scratch / "alone.mp4", reader.info))
        every = chunks(reader)
        while True:
            with clocks["decode all"]:
                chunk = next(every, None)
            if chunk is None:
                break
            with clocks["draw"]:
                drawn = [draw(frame.image, overlay.at(frame.timestamp), sides) for frame in chunk]
            with clocks["encode"]:
                for frame, image in zip(chunk, drawn, strict=True):
                    writer.write(to_picture(image), frame.timestamp, frame.duration)
        with clocks["encode"]:
            ending.close()
    return {name: 1000 * clock.cpu / decoded for name, clock in clocks.items()}


def classify_all(classifier: Classifier, passes: list[list[NDArray[np.uint8]]]) -> None:
    for crops in passes:
        classifier(np.stack(crops))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--model", action="append", choices=MODELS, help="may be repeated; default: all with weights")
    parser.add_argument("--weights", type=Path, help="other weights, of the one --model")
    parser.add_argument("--seconds", type=float, default=60, help="the clip is looped to this length (default: 60)")
    parser.add_argument("--rounds", type=int, default=6, help="the fastest counts (default: 6)")
    parser.add_argument("--workers", type=int, default=cores(), help="worker processes (default: one a core)")
    args = parser.parse_args()
    use_single_threaded_libraries()  # as the command line does
    classifiers = {}
    for model in args.model or MODELS:
        try:
            classifiers[model] = Classifier(load_checkpoint(args.weights or shipped_weights(model), model))
        except WeightsError as error:
            print(f"left out: {error}")
    if not classifiers:
        raise SystemExit("no model to measure")

    cases = []
    with tempfile.TemporaryDirectory() as folder, LocalProcesses(args.workers) as executor:
        scratch = Path(folder)
        clip = loop(args.clip, scratch / f"looped{args.clip.suffix}", args.seconds)
        with VideoReader(clip) as reader:
            frames = sum(1 for _ in reader)
        for model, classifier in classifiers.items():  # starts the workers
            write_run(
                clip,
                scratch / f"first-{model}",
                AnalysisOptions(model=model, weights=args.weights, annotate=False),
                classifier,
                executor=executor,
            )
        for sampled, sampling in SAMPLINGS.items():
            rounds: list[dict[str, float]] = []
            runs: dict[tuple[str, bool], list[Clock]] = {(m, video): [] for m in classifiers for video in (True, False)}
            for _ in range(args.rounds):
                rounds.append(stages_alone(clip, sampling, classifiers, Path(tempfile.mkdtemp(dir=scratch))))
                for (model, annotate), clocks in runs.items():
                    out = Path(tempfile.mkdtemp(dir=scratch)) / "run"
                    options = AnalysisOptions(model=model, weights=args.weights, sampling=sampling, annotate=annotate)
                    with Clock() as clock:
                        write_run(clip, out, options, classifiers[model], executor=executor)
                    clocks.append(clock)
            alone = min(rounds, key=lambda stages: sum(stages.values()))
            for (model, annotate), clocks in runs.items():
                needed = {name: alone[name] for name in ("decode", "detect", "align")} | {"classify": alone[model]}
                if annotate:
                    needed |= {"decode again": alone["decode all"], "draw": alone["draw"], "encode": alone["encode"]}
                ceiling = 1000 * cores() / sum(needed.values())
                best = min(clocks, key=lambda clock: clock.wall)
                cases.append(
                    {
                        "model": model,
                        "sampling": sampled,
                        "video": annotate,
                        "stages": {name: round(ms, 4) for name, ms in needed.items()},
                        "ceiling_fps": round(ceiling, 2),
                        "whole_fps": round(frames / best.wall, 2),
                        "ratio": round(frames / best.wall / ceiling, 4),
                    }
                )
    print(f"{args.clip.name} looped to {frames} frames; {cores()} cores; processor milliseconds a frame of the video\n")
    names = ("decode", "detect", "align", "classify", "decode again", "draw", "encode")
    print(
        table(
            ("case", *names, "ceiling", "whole", "ratio"),
            [
                (
                    f"{c['model']}, {c['sampling']}, {'with' if c['video'] else 'no'} video",
                    *(c["stages"].get(name, "") for name in names),
                    *(c["ceiling_fps"], c["whole_fps"], c["ratio"]),
                )
                for c in cases
            ],
        )
    )
    if args.json:
        head = {"clip": args.clip.name, "frames": frames, "cores": cores()}
        args.json.write_text(json.dumps(head | {"cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
