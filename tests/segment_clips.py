"""Clips of all kinds that are analysed and drawn in segments, or have to be decoded in one pass."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from conftest import DEMO

OPEN_GOP = "open-gop=1"
CLIPS = {
    "plain.mp4": {},
    "b-frames.mp4": {"bf": "3"},
    "open-gop.mkv": {"bf": "3", "x264-params": OPEN_GOP},
    "open-gop.ts": {"bf": "3", "x264-params": OPEN_GOP},
    "variable.mp4": {"bf": "2"},
    "edit-list.mp4": {"bf": "2", "g": "24"},
    "late-sound.mp4": {},
    "damaged.mp4": {},
    "damaged.ts": {},
    "few-key-frames.mp4": {"g": "1000"},
}


def demo_pictures() -> list[np.ndarray]:
    """The demo, small: 13 s at 25 pictures a second."""
    with av.open(str(DEMO)) as source:
        found = [p.to_ndarray(width=320, height=180, format="bgr24") for p in source.decode(video=0)]
    return found[:325]


def clip_of(path: Path, pictures: list[np.ndarray]) -> Path:
    """The pictures as a clip that is what its name says."""
    name = path.stem
    with av.open(str(path), "w") as out:
        options = {"g": "25", "sc_threshold": "0", "preset": "veryfast", **CLIPS[path.name]}
        track = out.add_stream("libx264", rate=25, options=options)
        track.width, track.height, track.pix_fmt = 320, 180, "yuv420p"
        track.codec_context.time_base = Fraction(1, 12_800)
        packets = []
        for number, image in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            time = number / 25 + (0.012 * (number % 3) if name == "variable" else 0)
            frame.pts, frame.time_base = round(12_800 * time), Fraction(1, 12_800)
            packets += track.encode(frame)
        packets += track.encode(None)
        if name == "late-sound":
            sound = out.add_stream("aac", rate=44_100, layout="mono")
            for number in range(300):
                part = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                part.sample_rate, part.pts = 44_100, 44_100 + 1024 * number
                packets += sound.encode(part)
            packets += sound.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            if name == "edit-list":  # negative times: players leave out what lies before 0
                packet.pts -= round(Fraction(1, 2) / packet.time_base)
                packet.dts -= round(Fraction(1, 2) / packet.time_base)
            out.mux(packet)
    if name == "damaged":
        data = bytearray(path.read_bytes())
        place = len(data) // 2
        data[place : place + 3000] = np.random.default_rng(1).integers(0, 256, 3000, np.uint8).tobytes()
        path.write_bytes(data)
    return path
