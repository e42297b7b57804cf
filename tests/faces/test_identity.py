"""Who is who in real pictures: cuts between people, galleries, limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from conftest import shared

from ferwatch.faces.stream import FaceStream
from ferwatch.faces.tracker import FaceTracker
from ferwatch.records import Frame, FrameFaces
from ferwatch.video.reader import VideoReader


def ten_a_second(video: Path) -> Iterator[Frame]:
    latest = -1.0
    with VideoReader(video) as reader:
        for frame in reader:
            if frame.timestamp - latest >= 0.0999:
                latest = frame.timestamp
                yield frame


def follow(video: Path, detector, max_faces: int = 50) -> list[FrameFaces]:
    return list(FaceTracker().track(FaceStream(detector, max_faces).follow(ten_a_second(video))))


def test_four_women_in_one_place_are_four_faces(detector) -> None:
    """A second each, one after the other by hard cuts."""
    tracked = follow(shared("faults/id_hard_cut/four_persons.mp4"), detector)
    seconds = [{f.face_id for frame in tracked if int(frame.timestamp) == s for f in frame.faces} for s in range(4)]
    assert seconds == [{1}, {2}, {3}, {4}]


def test_people_one_after_another_with_black_in_between_are_as_many_faces(detector) -> None:
    clips = [shared(f"people/clips/{name}.mp4") for name in ("lp_d5", "lp_d8", "lp_d18", "lp_d19")]
    frames: list[Frame] = []
    for clip in clips:
        pictures = [frame.image for frame, _ in zip(ten_a_second(clip), range(10), strict=False)]
        for image in [*pictures, *[np.zeros_like(pictures[0])] * 4]:
            frames.append(Frame(len(frames), len(frames) / 10, image))
    tracked = FaceTracker().track(FaceStream(detector).follow(frames))
    shots = [{f.face_id for f in frame.faces} for frame in tracked if frame.index % 14 == 5]
    assert shots == [{1}, {2}, {3}, {4}]


def test_one_who_is_shown_again_after_another_is_known_again(detector) -> None:
    """Shot and reverse shot, each going on where it was left."""
    one, other = ([f.image for f in ten_a_second(shared(f"people/clips/{n}.mp4"))] for n in ("lp_d18", "lp_d7"))
    shots = [one[:15], other[:15], one[15:30], other[15:30]]
    frames = [Frame(i, i / 10, image) for i, image in enumerate(image for shot in shots for image in shot)]
    tracked = list(FaceTracker().track(FaceStream(detector).follow(frames)))
    ids = [{f.face_id for frame in tracked[i : i + 15] for f in frame.faces} for i in range(0, 60, 15)]
    assert ids == [{1}, {2}, {1}, {2}]


def test_a_gallery_of_25_has_25_faces_and_a_limit_says_what_it_leaves_out(detector) -> None:
    video = shared("faults/gallery_25/gal25.mp4")
    tracked = follow(video, detector)
    assert {len(frame.faces) for frame in tracked} == {25}
    assert {frame.left_out for frame in tracked} == {0}
    first = follow(video, detector, max_faces=20)[0]
    assert (len(first.faces), first.left_out) == (20, 5)
