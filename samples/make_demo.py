"""Makes demo.mp4: a short video call of two portraits in the public domain that change expression at known times.

    python samples/make_demo.py samples/demo.mp4

Needs scikit-image beside ferwatch's own dependencies. Takes some minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import matplotlib.cbook
import numpy as np
import skimage.data
from numpy.typing import NDArray
from portrait import CHEEKS, LIPS, Array, Expression, Face, Portrait, smoothstep

WIDTH, HEIGHT, FPS, RATE = 640, 360, 25, 48000
DURATION, EASE, SLIDE, GAP = 16.0, 0.4, 0.6, 6

# When each expression begins to appear, in seconds; it has settled EASE later.
FIRST = [(0.0, "neutral"), (2.0, "happy"), (4.5, "neutral"), (6.0, "surprise"), (8.5, "neutral")]
FIRST += [(10.0, "sad"), (12.5, "neutral"), (13.5, "happy")]
SECOND = [(0.0, "neutral"), (9.0, "happy"), (11.0, "neutral")]
JOINS, LEAVES = 7.0, 12.0  # the second person's tile begins to slide in, and out; each takes SLIDE


def astronaut() -> tuple[Portrait, dict[str, Expression]]:
    """Eileen Collins, photographed smiling with her teeth showing."""
    photograph = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
    portrait = Portrait(cv2.resize(photograph, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    neutral = Face(portrait).mouth(0.76, 0.20, 0.03, lips=(0.11, 0.15), gape=(-0.02, -0.02)).move(CHEEKS, 0, 0.05)
    surprise = Face(portrait).mouth(0.63, 0.30, 0.03, lips=(0.10, 0.13), gape=(0.16, 0.20)).jaw(0.23)
    surprise.move(CHEEKS, 0, 0.05).brows(inner=(0, -0.14), outer=(0, -0.14)).lids(-0.055, 0.025)
    sad = Face(portrait).mouth(0.74, 0.17, 0.15, lips=(0.09, 0.16), gape=(-0.02, -0.02)).move(CHEEKS, 0, 0.03)
    sad.brows(inner=(0.06, -0.18), outer=(0, 0.07)).lids(0.05, 0)
    return portrait, {
        "happy": Face(portrait).with_folds(1),
        "neutral": neutral.with_folds(0),
        "surprise": surprise.with_folds(0),
        "sad": sad.with_folds(0.2),
    }


def admiral() -> tuple[Portrait, dict[str, Expression]]:
    """Grace Hopper, photographed with a neutral face."""
    photograph = cv2.imread(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    portrait = Portrait(cv2.resize(photograph, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA))
    places = portrait.place(portrait.points[LIPS])[:, 0]
    across = places / places.max()
    smile = Face(portrait).move(LIPS, 0.09 * across, 0.03 - 0.17 * across**2).move(CHEEKS, 0, -0.06).lids(0, -0.02)
    return portrait, {"neutral": Face(portrait).with_folds(1), "happy": smile.with_folds(1)}


@dataclass(frozen=True)
class Person:
    """Somebody in the call: a portrait with its expressions, when it shows them, and the camera before it."""

    portrait: Portrait
    expressions: dict[str, Expression]
    schedule: list[tuple[float, str]]
    blinks: tuple[float, ...]
    aim: tuple[float, float]
    """The point of the photograph in the middle of the picture."""
    zoom: float
    liveliness: float
    """How far the head sways."""

    def at(self, time: float, width: int) -> Array:
        """(HEIGHT, width, 3): what the camera sees."""
        expression = self.expressions[self.schedule[0][1]]
        for begins, name in self.schedule[1:]:
            expression = expression.towards(self.expressions[name], float(smoothstep((time - begins) / EASE)))
        closed = max((float(smoothstep(1.3 - abs(time - blink) / 0.11)) for blink in self.blinks), default=0.0)
        # Periods without a common measure, so that the sway does not look like a loop.
        wave = np.array([np.sin(time / period * 2 * np.pi) for period in (5.3, 3.7, 7.1, 4.3, 9.7)])
        shift, turn = self.liveliness * 0.05 * wave[:2] * (1, 0.5), self.liveliness * 0.12 * wave[2:4] * (1, 0.6)
        zoom = self.zoom * (1 + 0.015 * wave[4])
        pixels = np.stack(np.meshgrid(np.arange(width) - width / 2, np.arange(HEIGHT) - HEIGHT / 2), axis=-1)
        return self.portrait.draw(expression, closed, shift, turn, self.aim + pixels / zoom)


def pictures() -> Iterator[NDArray[np.uint8]]:
    """Every frame, (HEIGHT, WIDTH, 3), BGR."""
    first = Person(*astronaut(), FIRST, (1.2, 3.7, 5.2, 9.2, 13.1, 15.1), aim=(450, 228), zoom=0.8, liveliness=1.0)
    second = Person(*admiral(), SECOND, (), aim=(184, 190), zoom=1.0, liveliness=0.4)
    tile = (WIDTH - GAP) // 2
    for time in np.arange(round(DURATION * FPS)) / FPS:
        joined = float(smoothstep((time - JOINS) / SLIDE) - smoothstep((time - LEAVES) / SLIDE))
        edge = WIDTH - round((tile + GAP) * joined)
        picture = np.full((HEIGHT, WIDTH, 3), 24.0)
        picture[:, :edge] = first.at(time, edge)
        if edge + GAP < WIDTH:
            picture[:, edge + GAP :] = second.at(time, tile)[:, : WIDTH - edge - GAP]
        yield np.clip(np.round(picture), 0, 255).astype(np.uint8)


def sound() -> NDArray[np.float32]:
    """(2, n): a soft chord struck whenever somebody's expression begins to change, the second person's an octave up."""
    chords = {"neutral": (196.0, 293.7), "happy": (261.6, 329.6, 392.0), "surprise": (349.2, 440.0, 587.3)}
    chords["sad"] = (220.0, 261.6, 329.6)
    time = np.arange(round(DURATION * RATE)) / RATE
    wave = np.zeros((2, len(time)))
    for schedule, octave, sides in ((FIRST, 1, (1.0, 0.7)), (SECOND, 2, (0.4, 0.7))):
        for begins, name in schedule:
            if octave == 2 and begins < JOINS:
                begins = JOINS
            since = np.maximum(time - begins, 0)
            swell = (time >= begins) * np.minimum(since / 0.02, 1) * np.exp(-since / 0.9)
            for pitch in chords[name]:
                for harmonic, level in ((1, 1.0), (2, 0.3), (3, 0.1)):
                    wave += np.outer(sides, level * swell * np.sin(2 * np.pi * pitch * octave * harmonic * since))
    fade_out = np.clip((DURATION - time) / 0.3, 0, 1)
    return (0.08 * wave * fade_out).astype(np.float32)


def make(path: Path) -> None:
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as out:
        video = out.add_stream("libx264", rate=FPS, options={"crf": "21", "preset": "slow", "threads": "1"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="stereo", bit_rate=96000)
        heard, chunk = sound(), RATE // FPS
        for number, picture in enumerate(pictures()):
            seen = av.VideoFrame.from_ndarray(picture, format="bgr24")
            seen.pts, seen.time_base = number, Fraction(1, FPS)
            out.mux(video.encode(seen))
            samples = np.ascontiguousarray(heard[:, number * chunk : (number + 1) * chunk])
            struck = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            struck.rate, struck.pts, struck.time_base = RATE, number * chunk, Fraction(1, RATE)
            out.mux(audio.encode(struck))
        out.mux(video.encode())
        out.mux(audio.encode())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make(Path(sys.argv[1]))
