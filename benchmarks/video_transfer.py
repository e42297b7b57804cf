"""Does what a model learnt on FER2013's stills hold on video?

    python benchmarks/video_transfer.py --data fer2013.csv --ferplus fer2013new.csv --model cnn --json transfer.json

Pastes PublicTest images at several sizes into backgrounds, encodes them as H.264, runs the main job's whole pipeline
on that video (decoding, detection, alignment, tracking, classification), and sets its answers against the labels and
against the model's direct answers to the same images; one line more says what alignment does by itself. With --ferplus
the answers are the crowd head's, and the labels what most of FER+'s voters chose; without it, FER2013's labels. A face
counts as found when the pipeline names one whose centre lies in the pasted image. Backgrounds: frames of videos without
faces, pictures, or by default photographs that scikit-image carries.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.evaluation.evaluate import tta_views
from ferwatch.evaluation.fer2013 import crowd_majority
from ferwatch.evaluation.fer2013 import load as load_faces
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.tracker import FaceTracker
from ferwatch.models.checkpoint import load_checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.models.pretrained import shipped_weights
from ferwatch.pipeline.segment import track
from ferwatch.records import EMOTIONS, FaceResult
from ferwatch.training.reframe import reframe
from ferwatch.video.reader import VideoReader

Classify = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
FPS = 25
HOLD = 5
"""Frames for which each image is shown; the middle one is judged."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="fer2013.csv or its folders")
    parser.add_argument("--ferplus", type=Path, help="fer2013new.csv: the labels are those of most voters")
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--images", type=int, default=400, help="how many images of PublicTest, drawn at random")
    parser.add_argument("--sides", type=int, nargs="+", default=[80, 100, 150, 200, 300, 400], help="pixels")
    parser.add_argument("--size", default="640x480", help="of the video")
    parser.add_argument("--crf", type=int, default=23, help="x264's quality; larger is worse")
    parser.add_argument("--background", type=Path, nargs="*", default=[], help="videos or pictures without faces")
    parser.add_argument("--tta", action="store_true", help="average each face over ten small shifts and mirror images")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    width, height = (int(n) for n in args.size.split("x"))
    labels = "crowd" if args.ferplus else "fer2013"
    classifier = Classifier(load_checkpoint(args.weights or shipped_weights(args.model), args.model), labels=labels)
    classify: Classify = averaged(classifier) if args.tta else classifier
    faces = load_faces(args.data, "public_test", args.ferplus)
    if faces.votes is not None:
        majority, has_majority = crowd_majority(faces.votes)
        faces = replace(faces, labels=majority).where(has_majority)
    rows = np.random.default_rng(0).permutation(len(faces))[: args.images]
    faces = faces.where(rows)
    backgrounds = [fill(image, width, height) for image in read_backgrounds(args.background)]
    direct = classify(faces.images).argmax(axis=1)
    reframed = float((classify(reframe(faces.images)).argmax(axis=1) == faces.labels).mean())

    print(f"{len(faces)} images of PublicTest in {args.size} at crf {args.crf}, {args.model}, labels {labels}")
    print(f"aligned by the detector, without a video: {reframed:.1%}\n")
    print(f"{'side':>6} {'found':>7} {'accuracy':>9} {'direct':>8} {'points':>7} {'same answer':>12} {'others':>7}")
    table = []
    for side in (s for s in args.sides if s <= min(width, height)):
        corners = np.random.default_rng(side).integers(0, (width - side + 1, height - side + 1), (len(faces), 2))
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "pasted.mp4"
            write_video(video, pasted(faces.images, corners, side, backgrounds), args.crf)
            found, strangers = answers(video, corners, side, classify)
        seen = np.array([i in found for i in range(len(faces))])
        through = np.array([found.get(i, -1) for i in range(len(faces))])
        row = {
            "side": side,
            "images": len(faces),
            "found": float(seen.mean()),
            "accuracy": float((through == faces.labels)[seen].mean()),
            "direct_accuracy": float((direct == faces.labels)[seen].mean()),
            "same_answer": float((through == direct)[seen].mean()),
            "other_faces_a_frame": strangers / (len(faces) * HOLD),
        }
        table.append(row)
        points = 100 * (row["accuracy"] - row["direct_accuracy"])
        print(
            f"{side:>6} {row['found']:>7.1%} {row['accuracy']:>9.1%} {row['direct_accuracy']:>8.1%} {points:>+7.1f} "
            f"{row['same_answer']:>12.1%} {row['other_faces_a_frame']:>7.3f}",
            flush=True,
        )
    if args.json:
        facts = {"model": args.model, "labels": labels, "size": args.size, "crf": args.crf, "tta": args.tta}
        args.json.write_text(json.dumps(facts | {"reframed": reframed, "sides": table}, indent=1) + "\n")


def averaged(classifier: Classifier) -> Classify:
    """The classifier's mean answer to ten views of each face."""
    return lambda crops: np.mean([classifier(view) for view in tta_views(crops)], axis=0)


def read_backgrounds(paths: list[Path]) -> Iterator[NDArray[np.uint8]]:
    """Pictures (H, W, 3) BGR: the files', one a second from a video's."""
    if not paths:
        import skimage.data

        for name in ("coffee", "rocket", "chelsea"):
            yield cv2.cvtColor(getattr(skimage.data, name)(), cv2.COLOR_RGB2BGR)
    for path in paths:
        picture = cv2.imread(str(path))
        if picture is not None:
            yield picture
        else:
            with VideoReader(path) as reader:
                yield from (frame.image for frame in reader if frame.index % 25 == 0)


def fill(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The middle of a picture, enlarged or reduced to fill the frame."""
    scale = max(width / image.shape[1], height / image.shape[0])
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


def pasted(
    images: NDArray[np.uint8], corners: NDArray[np.int64], side: int, backgrounds: list[NDArray[np.uint8]]
) -> Iterator[NDArray[np.uint8]]:
    """One frame for each image."""
    for i, (image, (x, y)) in enumerate(zip(images, corners, strict=True)):
        frame = backgrounds[i % len(backgrounds)].copy()
        frame[y : y + side, x : x + side] = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)[..., None]
        yield frame


def write_video(path: Path, pictures: Iterator[NDArray[np.uint8]], crf: int) -> None:
    """H.264 as most people's videos are; each picture is shown for HOLD frames."""
    with av.open(str(path), "w") as container:
        stream = None
        for picture in pictures:
            if stream is None:
                stream = container.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "veryfast"})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, FPS)
            for _ in range(HOLD):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        if stream is not None:
            container.mux(stream.encode(None))


def answers(video: Path, corners: NDArray[np.int64], side: int, classify: Classify) -> tuple[dict[int, int], int]:
    """What the pipeline says of each image that it found, and how many other faces it saw in all frames."""
    found: dict[int, int] = {}
    strangers = 0
    with VideoReader(video) as reader, MediaPipeDetector() as detector:
        for result in track(reader, detector, FaceTracker(), classify):
            image, frame = divmod(result.index, HOLD)
            there = [face for face in result.faces if inside(face, corners[image], side)]
            strangers += len(result.faces) - len(there)
            if there and frame == HOLD // 2:
                found[image] = EMOTIONS.index(max(there, key=lambda face: face.score).emotion)
    return found, strangers


def inside(face: FaceResult, corner: NDArray[np.int64], side: int) -> bool:
    x, y, w, h = face.bbox
    across, down = (x + w / 2 - corner[0]) / side, (y + h / 2 - corner[1]) / side
    return bool(0.15 < across < 0.85 and 0.15 < down < 0.95)


if __name__ == "__main__":
    main()
