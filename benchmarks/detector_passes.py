"""Counts the detector passes a sample that FaceStream needs, and compares the faces it finds with those of another run.

python benchmarks/detector_passes.py VIDEO... --json new.json [--compare old.json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--sample-fps", type=float, default=10.0, help="samples a second (10); 0: every frame")
    parser.add_argument("--json", type=Path, help="write passes and faces of each sample to this file")
    parser.add_argument("--compare", type=Path, help="a file that --json wrote, of other code over the same videos")
    options = parser.parse_args()
    sampling = Sampling(fps=options.sample_fps) if options.sample_fps else Sampling()
    old = json.loads(options.compare.read_text()) if options.compare else {}
    results: dict[str, Any] = {}
    rows = []
    with MediaPipeDetector() as detector:
        for video in options.videos:
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
    print(table(["video", "samples", "faces", "passes a sample", *compared], rows))
    if options.json:
        options.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
