"""Counts the detector passes a sample that FaceStream needs, and compares the faces it finds with those of another run.

    python benchmarks/detector_passes.py VIDEO... [--call LARGE SMALL SMALL SMALL] --json new.json [--compare old.json]

--call makes a video call of 60 s at 1920x1080 from four clips of one face each, repeated: the first one 1080 pixels
high at the left edge, the others 360 pixels high, one below the other, at the right edge.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from common import table
from numpy.typing import NDArray

from ferwatch.faces.detection import Thresholds, is_same_box
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.stream import FaceStream
from ferwatch.faces.tracker import FaceTracker
from ferwatch.records import BoundingBox, Detection
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling

Samples = list[list[list[float]]]
"""For each sample its faces: face_id, x, y, width, height."""


CALL_SECONDS = 60
CALL_FPS = 30
CALL_SIZE = (1920, 1080)
"""Width and height in pixels."""


def make_call(clips: Sequence[Path], out: Path) -> Path:
    """Write the video call that the module's description gives, without sound."""
    width, height = CALL_SIZE
    sources = [endless_pictures(clip) for clip in clips]
    with av.open(str(out), "w") as target:
        track = target.add_stream("libx264", rate=CALL_FPS, options={"preset": "veryfast"})
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        for number in range(CALL_FPS * CALL_SECONDS):
            shown = np.zeros((height, width, 3), np.uint8)
            for place, source in enumerate(sources):
                image = next(source)
                side = height if place == 0 else height // 3
                scaled = cv2.resize(image, (round(image.shape[1] * side / image.shape[0]), side))
                x, y = (0, 0) if place == 0 else (width - scaled.shape[1], (place - 1) * side)
                shown[y : y + side, x : x + scaled.shape[1]] = scaled
            picture = av.VideoFrame.from_ndarray(shown, format="bgr24")
            picture.pts = number
            target.mux(track.encode(picture))
        target.mux(track.encode(None))
    return out


def endless_pictures(clip: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures of a clip, (H, W, 3) BGR, again and again."""
    while True:
        with av.open(str(clip)) as source:
            for picture in source.decode(video=0):
                yield picture.to_ndarray(format="bgr24")


class CountingDetector:
    """A FaceDetector that counts its passes."""

    def __init__(self, detector: MediaPipeDetector) -> None:
        self._detector = detector
        self.passes = 0

    @property
    def thresholds(self) -> Thresholds:
        return self._detector.thresholds

    def detect(self, image: NDArray[Any]) -> list[Detection]:
        self.passes += 1
        return self._detector.detect(image)


def follow(video: Path, sampling: Sampling, detector: CountingDetector) -> Samples:
    """Return the faces of each sample of a video."""
    with VideoReader(video, sampling) as reader:
        tracked = FaceTracker().track(FaceStream(detector).follow(reader))
        return [[[f.face_id, *(round(side, 1) for side in f.bbox)] for f in frame.faces] for frame in tracked]


def different(old: Samples, new: Samples) -> Iterator[int]:
    """Yield the samples in which not the same faces were found: as many, each with a partner in the same place."""
    for number, (a, b) in enumerate(zip(old, new, strict=True)):
        boxes = [BoundingBox(*face[1:]) for face in a], [BoundingBox(*face[1:]) for face in b]
        if len(a) != len(b) or not all(any(is_same_box(x, y) for y in boxes[1]) for x in boxes[0]):
            yield number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--call", nargs=4, type=Path, metavar="CLIP", help="four clips to make a video call from")
    parser.add_argument("--sample-fps", type=float, default=10.0, help="samples a second (10); 0: every frame")
    parser.add_argument("--json", type=Path, help="write passes and faces of each sample to this file")
    parser.add_argument("--compare", type=Path, help="a file that --json wrote, of other code over the same videos")
    options = parser.parse_args()
    sampling = Sampling(fps=options.sample_fps) if options.sample_fps else Sampling()
    old = json.loads(options.compare.read_text()) if options.compare else {}
    results: dict[str, Any] = {}
    rows = []
    with MediaPipeDetector() as detector, tempfile.TemporaryDirectory() as folder:
        call = [make_call(options.call, Path(folder) / "call.mp4")] if options.call else []
        for video in [*options.videos, *call]:
            counting = CountingDetector(detector)
            samples = follow(video, sampling, counting)
            results[video.name] = {"passes": counting.passes, "samples": samples}
            faces = sum(map(len, samples))
            row = [video.name, len(samples), faces, f"{counting.passes / max(1, len(samples)):.2f}"]
            if video.name in old:
                before = old[video.name]
                differing = list(different(before["samples"], samples))
                row += [f"{before['passes'] / max(1, len(samples)):.2f}", sum(map(len, before["samples"]))]
                row += [len(differing), " ".join(map(str, differing[:12]))]
            rows.append(row)
    compared = ["passes before", "faces before", "samples that differ", "which"] if old else []
    if not rows:
        parser.error("name a video, or --call with four clips")
    print(table(["video", "samples", "faces", "passes a sample", *compared], rows))
    if options.json:
        options.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
