"""A program as users write it, typed strictly. Its argument is the path of the demo video."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import torch

import ferwatch


def state() -> tuple[object, ...]:
    """What a library call must leave as it is."""
    fd = os.fstat(2)
    return (
        cv2.getNumThreads(),
        torch.get_num_threads(),
        dict(os.environ),
        list(sys.argv),
        sys.stderr,
        fd.st_dev,
        fd.st_ino,
    )


def pictures(video: Path, count: int) -> list[cv2.typing.MatLike]:
    capture = cv2.VideoCapture(str(video))
    read = [capture.read()[1] for _ in range(count)]
    capture.release()
    return read


def main() -> None:
    video = Path(sys.argv[1])
    cv2.setNumThreads(3)
    torch.set_num_threads(2)
    before = state()

    images = pictures(video, 12)
    first: ferwatch.FrameResult = ferwatch.analyze_image(images[0], model="cnn")
    assert len(first.faces) == 1, first
    face: ferwatch.FaceResult = first.faces[0]
    assert face.emotion in ferwatch.EMOTIONS
    assert face.bbox.width > 0

    with ferwatch.Analyzer(model="cnn", device="cpu") as analyzer:
        assert analyzer.image(images[0]) == first
        timed = [(index / 10, image) for index, image in enumerate(images)]
        results: list[ferwatch.FrameResult] = list(analyzer.track(timed))
        assert [round(result.timestamp, 1) for result in results] == [round(time, 1) for time, _ in timed]
        assert all(len(result.faces) == 1 for result in results)
        assert len(list(analyzer.track(images, fps=10))) == len(images)
        few = analyzer.track(video)
        assert next(few).index == 0
        few.close()
        assert len(list(analyzer.track([np.zeros((60, 80, 3), np.uint8)], fps=10))) == 1

    steps: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        steps.append((stage, done, total))

    run: ferwatch.Run = ferwatch.analyze(video, out="run", end=1.0, exports=["json"], progress=progress)
    assert (run.folder / "timeline.json") in run.files
    assert {stage for stage, _, _ in steps} == {"analysing", "timeline", "annotating"}
    for stage in ("analysing", "timeline", "annotating"):
        done = [step[1] for step in steps if step[0] == stage]
        totals = {step[2] for step in steps if step[0] == stage}
        assert done == sorted(done), stage
        assert totals == {done[-1]}, (stage, done, totals)

    found: dict[int, list[ferwatch.FrameResult]] = {}

    def work(number: int) -> None:
        with ferwatch.Analyzer() as own:
            found[number] = list(own.track(video, end=1.0))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found[0]) == 10
    assert found[0] == found[1]
    assert state() == before
    print("done")


if __name__ == "__main__":
    main()
