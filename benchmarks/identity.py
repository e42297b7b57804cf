"""Does an id stay with its person? IDF1 on films put together from clips and photographs of known people.

    python -m benchmarks.identity ../shared/people --films 200

The faces of each clip, and of each photograph under a moving camera, are searched once. A film strings such stretches
together: two to eight shots of two to five people, who follow each other at once, after black, or after a picture
without a face, all in one place of the picture; they come back with another part of their clip, under other light. In a
third of the films two people share the screen. What is measured is who is taken for whom, not how faces are found.

Every other person belongs to the first half of the people, the rest to the second, and no film has people of both. The
tracker's thresholds of similarity are tried on the first half; the second half says how well the one in use does.
`--fit CSV` fits the projection that ferwatch.faces.similarity ships to the Training images of FER2013.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ferwatch.evaluation.fer2013 import load
from ferwatch.faces import similarity, tracker
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.stream import FaceStream
from ferwatch.faces.track import Track
from ferwatch.records import Face, Frame, FrameFaces
from ferwatch.utils.files import weights_folder
from ferwatch.video.reader import VideoReader

Image = NDArray[np.uint8]
RATE = 10
"""Frames a second of the films."""
SIDE = 320
"""Side of each person's part of the picture, in pixels."""
TAKE_FRAMES = 100
"""Largest number of frames that are taken from a clip, from its start."""
SIMILARITIES = (0.5, 0.56, 0.62, 0.68, 0.74)
"""Thresholds that are tried on the first half."""
SHOTS = 8
"""Number of shots of each person that are compared with each other."""
PHOTOGRAPH_FRAMES = 25
"""Frames for which the camera moves over a photograph."""
SAME_PERSON = {"st_furious_talk": "furious", "st_happyenglish": "happyenglish"}
"""Beginnings of the names of clips that show one person."""
LEFT_OUT = {"lp_s13.mp4", "st_furious_talk1_clip1.mp4", "st_furious_talk1_clip2.mp4"}
"""Clips whose face is very small, or whose person may be another one's."""
Take = list[FrameFaces]
"""A stretch of one person's pictures, searched for faces."""


@dataclass(frozen=True)
class Film:
    """What is found in a film, and who is there."""

    frames: list[FrameFaces]
    people: list[tuple[str, ...]]
    """For each frame, who is shown, from left to right; empty where nobody is."""


def load_people(folder: Path, half: int) -> dict[str, list[Take]]:
    """The takes of every other person, beginning with number `half`."""
    paths: dict[str, list[Path]] = {}
    for path in sorted((folder / "clips").glob("*.mp4")):
        if path.name not in LEFT_OUT:
            name = next((person for start, person in SAME_PERSON.items() if path.name.startswith(start)), path.stem)
            paths.setdefault(name, []).append(path)
    paths.update({path.stem: [path] for path in sorted((folder / "stills").glob("*.jpg"))[::24]})
    with MediaPipeDetector() as detector:
        return {
            name: [list(FaceStream(detector).follow(_frames(path))) for path in paths[name]]
            for name in sorted(paths)[half::2]
        }


def _frames(path: Path) -> Iterator[Frame]:
    images = _moved_over(path) if path.suffix == ".jpg" else islice(_ten_a_second(path), TAKE_FRAMES)
    return (Frame(number, number / RATE, _square(image)) for number, image in enumerate(images))


def _ten_a_second(path: Path) -> Iterator[Image]:
    latest = -1.0
    with VideoReader(path) as reader:
        for frame in reader:
            if frame.timestamp - latest >= 0.999 / RATE:
                latest = frame.timestamp
                yield frame.image


def _moved_over(path: Path) -> Iterator[Image]:
    """Yield a photograph as a camera sees it that comes nearer and drifts."""
    image = np.asarray(cv2.imread(str(path)), np.uint8)
    height, width = image.shape[:2]
    for step in range(PHOTOGRAPH_FRAMES):
        scale = 0.6 + 0.2 * step / PHOTOGRAPH_FRAMES
        matrix = np.array([[scale, 0, width * (0.9 - scale) / 2], [0, scale, height * (1 - scale) / 2]])
        yield np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _square(image: Image) -> Image:
    """The middle of a wide picture, the upper part of a tall one."""
    height, width = image.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 4
    part = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def make_film(people: dict[str, list[Take]], seed: int) -> Film:
    """One film with people chosen at random."""
    random = np.random.default_rng(seed)
    cast = [str(name) for name in random.choice(sorted(people), random.integers(2, 6), replace=False)]
    seats = 2 if random.random() < 1 / 3 else 1
    frames: list[FrameFaces] = []
    shown: list[tuple[str, ...]] = []

    def append(faces: tuple[Face, ...], brightness: Image, who: tuple[str, ...]) -> None:
        frames.append(FrameFaces(len(frames), len(frames) / RATE, faces, 1 / RATE, brightness))
        shown.append(who)

    before: tuple[str, ...] = ()
    for _ in range(random.integers(2, 9)):
        now = before
        while now == before:
            now = tuple(str(name) for name in random.choice(cast, seats, replace=False))
        before, length = now, int(random.integers(6, 26))
        for parts in zip(*(_shot(people[name], length, random) for name in now), strict=True):
            faces = [_moved(face, seat * SIDE) for seat, part in enumerate(parts) for face in part.faces]
            append(tuple(faces), np.hstack([_brightness(part)[:, ::seats] for part in parts]), now)
        pause = random.choice(["cut", "black", "empty"], p=[0.7, 0.2, 0.1])
        cells = random.integers(60, 200, (9, 16)).astype(np.uint8)
        if pause == "black":
            for _ in range(random.integers(2, 7)):
                append((), np.zeros_like(cells), ())
        elif pause == "empty":
            for _ in range(random.integers(5, 25)):
                append((), cells, ())
    return Film(frames, shown)


def _shot(takes: list[Take], length: int, random: np.random.Generator) -> Iterator[FrameFaces]:
    """Yield a part of one of a person's takes, played to and fro where it is short, under some light."""
    take = takes[random.integers(len(takes))]
    light = random.uniform(0.75, 1.2)
    begin = int(random.integers(max(1, len(take) - length + 1)))
    there_and_back = [*range(len(take)), *range(len(take) - 2, 0, -1)]
    for step in range(length):
        frame = take[there_and_back[(begin + step) % len(there_and_back)]]
        faces = (replace(face, crop=_lit(face.crop, light)) for face in frame.faces)
        yield replace(frame, faces=tuple(faces), brightness=_lit(_brightness(frame), light))


def _lit(image: Image, light: float) -> Image:
    return np.clip(image * light, 0, 255).astype(np.uint8)


def _brightness(frame: FrameFaces) -> Image:
    assert frame.brightness is not None
    return frame.brightness


def _moved(face: Face, right: float) -> Face:
    """A face some pixels further to the right."""
    landmarks = face.landmarks + np.array((right, 0), np.float32)
    return replace(face, bbox=face.bbox._replace(x=face.bbox.x + right), landmarks=landmarks)


def count_matches(film: Film, tracked: Iterable[FrameFaces]) -> tuple[Counter[tuple[str, int]], int, int]:
    """Frames in which a person and an id are in one place, by both; appearances of people; faces with an id."""
    matches: Counter[tuple[str, int]] = Counter()
    detections = 0
    for who, frame in zip(film.people, tracked, strict=True):
        detections += len(frame.faces)
        for face in frame.faces:
            seat = int(face.bbox.x + face.bbox.width / 2 >= SIDE)
            if seat < len(who):
                matches[who[seat], face.face_id] += 1
    return matches, sum(map(len, film.people)), detections


def idf1(matches: Counter[tuple[str, int]], people: int, detections: int) -> float:
    """IDF1 (Ristani et al. 2016): 2 IDTP / (appearances + detections), IDTP under the best one-to-one assignment of
    people and ids over the whole film."""
    names, ids = sorted({name for name, _ in matches}), sorted({number for _, number in matches})
    table = np.array([[matches[name, number] for number in ids] for name in names]).reshape(len(names), len(ids))
    rows, columns = linear_sum_assignment(table, maximize=True)
    return 2 * float(table[rows, columns].sum()) / max(people + detections, 1)


def measure(films: Sequence[Film], min_similarity: float) -> str:
    """Return a table row of how the tracker does on films with a threshold; IDF1 comes first."""
    scores, totals = [], np.zeros(2)
    mixed = further = 0
    with patch.multiple(tracker, NEW_SCENE_SIMILARITY=min_similarity, RECOGNITION_SIMILARITY=min_similarity):
        for film in films:
            matches, appearances, detections = count_matches(film, tracker.FaceTracker().track(film.frames))
            scores.append(idf1(matches, appearances, detections))
            totals += (scores[-1] * (appearances + detections), appearances + detections)
            names, ids = {name for name, _ in matches}, {number for _, number in matches}
            mixed += sum(len({name for name, other in matches if other == number}) > 1 for number in ids)
            further += len(ids) - len(names)
    enough = sum(score >= 0.95 for score in scores)
    return f"{totals[0] / totals[1]:.3f} | {np.mean(scores):.3f} | {enough} of {len(scores)} | {mixed} | {further}"


def compare_shots(people: dict[str, list[Take]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the similarities of all pairs of shots of one person, and of all pairs of shots of two people."""
    random = np.random.default_rng(1)
    tracks: list[tuple[str, Track]] = []
    for name, takes in people.items():
        for _ in range(SHOTS):
            track = None
            for number, frame in enumerate(_shot(takes, int(random.integers(6, 26)), random)):
                for face in frame.faces[:1]:
                    time = number / RATE
                    track = track or Track(face, time, time)
                    track.add(face, time, similarity.gradient_descriptor(face.crop))
            if track is not None and track.confirmed:
                tracks.append((name, track))
    pairs = list(combinations(tracks, 2))
    values = np.array([one.similarity(*other.views) for (_, one), (_, other) in pairs])
    same = np.array([name == other for (name, _), (other, _) in pairs])
    return values[same], values[~same]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", type=Path, help="a folder with clips/ and stills/")
    parser.add_argument("--films", type=int, default=200, help="number of films with people of the second half")
    parser.add_argument("--fit", type=Path, metavar="CSV", help="FER2013; writes the projection and stops")
    arguments = parser.parse_args()
    if arguments.fit:
        target = weights_folder() / similarity.PROJECTION_FILE
        np.savez(target, **similarity.fit_projection(load(arguments.fit, "train").images[::2]))
        return
    halves = [load_people(arguments.people, half) for half in (0, 1)]
    print("| people | similarity | IDF1 | mean of films | films with 0.95 | ids of two people | ids too many |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    films = [make_film(halves[0], seed) for seed in range(arguments.films // 2)]
    for value in SIMILARITIES:
        print(f"| first half, {len(halves[0])} | {value} | {measure(films, value)} |", flush=True)
    films = [make_film(halves[1], seed) for seed in range(arguments.films)]
    in_use = tracker.RECOGNITION_SIMILARITY
    print(f"| second half, {len(halves[1])} | {in_use} | {measure(films, in_use)} |")
    for name, people in zip(("first", "second"), halves, strict=True):
        same, different = compare_shots(people)
        print(
            f"{name} half: {np.mean(same >= in_use):.1%} of {len(same)} pairs of shots of one person reach {in_use}, "
            f"{np.mean(different >= in_use):.2%} of {len(different)} pairs of two people; the largest similarity of "
            f"two people is {different.max():.2f}"
        )


if __name__ == "__main__":
    main()
