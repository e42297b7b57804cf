"""Does an id stay with its person? IDF1 on films made up from clips and photographs of known people.

    python -m benchmarks.identity ../shared/people --films 200

Each film shows two to five people in two to eight shots: moving pictures from another part of the person's clip, or a
photograph that the camera moves over. Shots follow each other at once, after black, or after a picture without a face.
People come back; in a third of the films two share the screen. Thresholds were chosen on films with one half of the
people (--half 0); the docs report the other half (--half 1).

`--fit CSV` fits the projection that ferwatch.faces.similarity ships to the Training images of FER2013.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ferwatch.evaluation.fer2013 import load
from ferwatch.faces import similarity
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.stream import FaceStream
from ferwatch.faces.tracker import FaceTracker
from ferwatch.records import Frame, FrameFaces
from ferwatch.video.reader import VideoReader

Image = NDArray[np.uint8]
RATE = 10
"""Frames a second of the films."""
SIDE = 320
"""Height of the films, and width of each person's part of the picture, in pixels."""
SAME_PERSON = {"st_furious_talk": "furious", "st_happyenglish": "happyenglish"}
"""Beginnings of the names of clips that show one person."""
LEFT_OUT = {"lp_s13.mp4", "st_furious_talk1_clip1.mp4", "st_furious_talk1_clip2.mp4"}
"""Clips whose face is very small, or whose person is not known to be another one."""
Shown = tuple[str | None, str | None]
"""The people in the left and in the right half of a frame; None: nobody. A film of one person has a left half only."""


def load_people(folder: Path, half: int) -> dict[str, list[list[Image]]]:
    """Every other person's takes: each a list of square pictures, ten a second, or of one photograph."""
    paths: dict[str, list[Path]] = {}
    for path in sorted((folder / "clips").glob("*.mp4")):
        if path.name not in LEFT_OUT:
            name = next((person for start, person in SAME_PERSON.items() if path.name.startswith(start)), path.stem)
            paths.setdefault(name, []).append(path)
    paths.update({path.stem: [path] for path in sorted((folder / "stills").glob("*.jpg"))[::12]})
    chosen = sorted(paths)[half::2]
    return {name: [list(_pictures(path)) for path in paths[name]] for name in chosen}


def _pictures(path: Path) -> Iterator[Image]:
    if path.suffix == ".jpg":
        yield _square(np.asarray(cv2.imread(str(path)), np.uint8))
        return
    latest = -1.0
    with VideoReader(path) as reader:
        for frame in reader:
            if frame.timestamp - latest >= 0.999 / RATE:
                latest = frame.timestamp
                yield _square(frame.image)


def _square(image: Image) -> Image:
    """The middle of a wide picture, the upper part of a tall one."""
    height, width = image.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 4
    part = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def make_film(people: dict[str, list[list[Image]]], seed: int) -> Iterator[tuple[Image, Shown]]:
    """Yield the frames of one film, each with the people in it."""
    random = np.random.default_rng(seed)
    cast = [str(name) for name in random.choice(sorted(people), random.integers(2, 6), replace=False)]
    split = bool(random.random() < 1 / 3)
    before: list[str] = []
    for _ in range(random.integers(2, 9)):
        while True:  # at least one of those on the screen is another person than before
            now = [str(name) for name in random.choice(cast, 2 if split else 1, replace=False)]
            if now != before:
                break
        before, length = now, int(random.integers(6, 26))
        halves = [list(_shot(people[name], length, random)) for name in now]
        for pictures in zip(*halves, strict=True):
            yield np.hstack(pictures), (now[0], now[1] if split else None)
        pause = random.choice(["cut", "black", "empty"], p=[0.7, 0.2, 0.1])
        width = SIDE * len(now)
        if pause != "cut":
            level = 0 if pause == "black" else 255
            texture = cv2.resize(random.integers(60, 200, (6, 6, 3)).astype(np.uint8), (width, SIDE))
            for _ in range(random.integers(2, 7) if pause == "black" else random.integers(5, 25)):
                yield np.minimum(texture, level).astype(np.uint8), (None, None)


def _shot(takes: list[list[Image]], length: int, random: np.random.Generator) -> Iterator[Image]:
    """Yield a part of one of a person's takes, played to and fro where it is short; over a photograph the camera
    moves. Brightness differs from shot to shot."""
    take = takes[random.integers(len(takes))]
    light = random.uniform(0.8, 1.15)
    begin = int(random.integers(max(1, len(take) - length + 1)))
    zoom, drift = random.uniform(1.02, 1.2, 2), random.uniform(-6, 6, (2, 2))
    there_and_back = [*range(len(take)), *range(len(take) - 2, 0, -1)]
    for step in range(length):
        image, done = take[there_and_back[(begin + step) % len(there_and_back)]], step / length
        if len(take) == 1:
            scale = zoom[0] + done * (zoom[1] - zoom[0])
            at = SIDE / 2 * (1 - scale) + drift[0] + done * (drift[1] - drift[0])
            matrix = np.array([[scale, 0, at[0]], [0, scale, at[1]]])
            image = cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
        yield np.clip(image * light, 0, 255).astype(np.uint8)


def count_matches(shown: Iterable[Shown], frames: Iterable[FrameFaces]) -> tuple[Counter[tuple[str, int]], int, int]:
    """Frames in which a person and an id are at one place, by both; appearances of people; detections.

    A detection is at a person's place where its centre lies in the person's half of the picture.
    """
    matches: Counter[tuple[str, int]] = Counter()
    people = detections = 0
    for (left, right), frame in zip(shown, frames, strict=True):
        people += (left is not None) + (right is not None)
        detections += len(frame.faces)
        for face in frame.faces:
            person = left if face.bbox.x + face.bbox.width / 2 < SIDE else right
            if person is not None:
                matches[person, face.face_id] += 1
    return matches, people, detections


def idf1(matches: Counter[tuple[str, int]], people: int, detections: int) -> float:
    """IDF1 (Ristani et al. 2016): 2 IDTP / (appearances + detections), IDTP under the best one-to-one assignment of
    people and ids over the whole film."""
    names, ids = sorted({name for name, _ in matches}), sorted({number for _, number in matches})
    table = np.array([[matches[name, number] for number in ids] for name in names]).reshape(len(names), len(ids))
    rows, columns = linear_sum_assignment(table, maximize=True)
    return 2 * float(table[rows, columns].sum()) / max(people + detections, 1)


def films(people: dict[str, list[list[Image]]], count: int) -> Iterator[tuple[list[Shown], list[FrameFaces]]]:
    """Yield, film by film, who is shown and which faces are found, without ids."""
    with MediaPipeDetector() as detector:
        for seed in range(count):
            images, shown = zip(*make_film(people, seed), strict=True)
            frames = (Frame(i, i / RATE, image, 1 / RATE) for i, image in enumerate(images))
            yield list(shown), list(FaceStream(detector).follow(frames))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", type=Path, help="a folder with clips/ and stills/")
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--half", type=int, choices=(0, 1), default=1)
    parser.add_argument("--fit", type=Path, metavar="CSV", help="FER2013; writes the projection and stops")
    arguments = parser.parse_args()
    if arguments.fit:
        target = Path(similarity.__file__).with_name(similarity.PROJECTION_FILE)
        np.savez(target, **similarity.fit_projection(load(arguments.fit, "train").images[::2]))
        return
    people = load_people(arguments.people, arguments.half)
    scores, totals = [], np.zeros(2)
    switches = new_ids = 0
    for shown, found in films(people, arguments.films):
        matches, appearances, detections = count_matches(shown, FaceTracker().track(found))
        scores.append(idf1(matches, appearances, detections))
        totals += (scores[-1] * (appearances + detections), appearances + detections)
        names, ids = {name for name, _ in matches}, {number for _, number in matches}
        switches += sum(len({name for name, other in matches if other == number}) > 1 for number in ids)
        new_ids += len(ids) - len(names)
    print(f"{len(scores)} films with {len(people)} people: IDF1 {totals[0] / totals[1]:.3f} over all frames,")
    print(f"{np.mean(scores):.3f} in the mean of films, {np.median(scores):.3f} in the median;")
    print(f"{sum(score >= 0.95 for score in scores)} films have 0.95 or more.")
    print(f"{switches} ids stand for two people; there are {new_ids} more ids than people in all films together.")


if __name__ == "__main__":
    main()
