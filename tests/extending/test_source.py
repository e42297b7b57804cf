"""Adds a source: an animated GIF, read with Pillow."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from conftest import DEMO, needs_weights
from PIL import Image, ImageSequence

import ferwatch
from ferwatch.records import Frame
from ferwatch.video.container import VideoInfo
from ferwatch.video.source import open_source


class GifSource(AbstractContextManager["GifSource"]):
    def __init__(self, path: Path) -> None:
        self.gif, self.warnings, self.frames_decoded = Image.open(path), [], 0
        self.info = VideoInfo(path, *self.gif.size, 5.0, self.gif.n_frames, None, 0, "gif", 0.0, False, "container")
        self.close = self.gif.close

    def __iter__(self) -> Iterator[Frame]:
        for picture in ImageSequence.Iterator(self.gif):
            image = np.asarray(picture.convert("RGB"))[..., ::-1].copy()
            yield Frame(self.frames_decoded, self.frames_decoded / 5, image, picture.info["duration"] / 1000)
            self.frames_decoded += 1

    def __exit__(self, *error: object) -> None:
        self.close()


@needs_weights
def test_the_faces_of_a_gif_are_tracked(tmp_path: Path) -> None:
    with open_source(DEMO, end=0.6) as source:
        pictures = [Image.fromarray(frame.image[..., ::-1]) for frame in source][::5]
    pictures[0].save(tmp_path / "demo.gif", save_all=True, append_images=pictures[1:], duration=200)
    results = list(ferwatch.track(GifSource(tmp_path / "demo.gif")))
    assert [(r.timestamp, r.duration, len(r.faces)) for r in results] == [(0.0, 0.2, 1), (0.2, 0.2, 1), (0.4, 0.2, 1)]
