"""Adds a source: an animated GIF, read with Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import DEMO, needs_weights
from PIL import Image, ImageSequence

import ferwatch
from ferwatch.records import Frame
from ferwatch.video.source import open_source


class GifSource:
    """Yields a Frame for every picture of a GIF, with the time for which it is shown."""

    def __init__(self, path: Path) -> None:
        self.gif = Image.open(path)

    def __iter__(self) -> Iterator[Frame]:
        timestamp = 0.0
        for index, picture in enumerate(ImageSequence.Iterator(self.gif)):
            duration = picture.info["duration"] / 1000
            yield Frame(index, timestamp, np.asarray(picture.convert("RGB"))[..., ::-1].copy(), duration)
            timestamp += duration


@needs_weights
def test_the_faces_of_a_gif_are_tracked(tmp_path: Path) -> None:
    with open_source(DEMO, end=0.6) as source:
        pictures = [Image.fromarray(frame.image[..., ::-1]) for frame in source][::5]
    pictures[0].save(tmp_path / "demo.gif", save_all=True, append_images=pictures[1:], duration=200)
    results = list(ferwatch.track(GifSource(tmp_path / "demo.gif")))
    assert [(r.timestamp, r.duration) for r in results] == [(pytest.approx(t), 0.2) for t in (0, 0.2, 0.4)]
    assert [[face.face_id for face in r.faces] for r in results] == [[1]] * 3
