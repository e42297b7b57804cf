"""Tone-maps pictures of high dynamic range to the range of ordinary screens, as players do.

Transfer functions, primaries and reference levels are those of ITU-R BT.2100 and report BT.2408: diffuse white at 203
cd/m2 becomes the white of BT.709.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

TRANSFER = {16: "PQ", 18: "HLG"}
"""Code points of ITU-T H.273 for the transfer functions of high dynamic range."""
BT2020_PRIMARIES = 9
WHITE_NITS = 203.0
"""Light of diffuse white in cd/m2."""
PEAK_NITS = 1000.0
"""Light at and above this becomes full white."""
KNEE = 0.8
"""Fraction of white up to which light is kept as it is; above, highlights are compressed."""
DISPLAY_GAMMA = 2.4
STEPS = 4096
"""Entries of the table from linear light to 8 bits; they are even in the square root of light."""
BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
LUMA_BT2020 = np.array([[0.2627, 0.6780, 0.0593]], np.float32)


def dynamic_range(picture: VideoFrame) -> str:
    """Return "PQ" or "HLG" for a picture of high dynamic range, else "SDR"."""
    return TRANSFER.get(int(picture.color_trc), "SDR")


def tone_map(picture: VideoFrame) -> NDArray[np.uint8]:
    """Return a picture of high dynamic range as (H, W, 3) BGR for an ordinary screen.

    Light is scaled to diffuse white, brought to the primaries of BT.709, and compressed where the largest of the three
    colours is above the knee, so that hues are kept.
    """
    coded = picture.to_ndarray(format="rgb48le", threads=1)
    if dynamic_range(picture) == "PQ":
        light = _pq_light()[coded]
    else:
        light = _hlg_light()[coded]
        luma = cv2.transform(light, LUMA_BT2020)
        light *= np.power(np.maximum(luma, 1e-6), 0.2, dtype=np.float32)[..., None] * np.float32(PEAK_NITS / WHITE_NITS)
    if int(picture.color_primaries) == BT2020_PRIMARIES:
        light = np.asarray(cv2.transform(light, BT2020_TO_BT709), np.float32)
    largest = light.max(axis=2)
    if float(largest.max()) > KNEE:
        light *= _compression(largest)[..., None]
    codes = np.sqrt(np.clip(light, 0, 1)) * (STEPS - 1)
    return np.ascontiguousarray(_screen_values()[np.rint(codes).astype(np.uint16)][..., ::-1])


def _compression(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the factor for each pixel that brings light, 1 being white, to at most 1: Reinhard's curve above the knee.

    The curve leaves the straight line without a bend, and reaches 1 at the peak.
    """
    span = 1 - KNEE
    over = np.maximum(light - KNEE, 0) / span
    peak = (PEAK_NITS / WHITE_NITS - KNEE) / span
    curved = KNEE + span * np.minimum(over * (1 + over / peak**2) / (1 + over), 1)
    return np.where(light > KNEE, curved / np.maximum(light, KNEE), 1).astype(np.float32)


@lru_cache(maxsize=1)
def _pq_light() -> NDArray[np.float32]:
    """Return the light for each 16-bit PQ value, 1 being diffuse white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = np.power(np.arange(65536) / 65535, 1 / m2)
    nits = 10000 * np.power(np.maximum(power - c1, 0) / (c2 - c3 * power), 1 / m1)
    return (nits / WHITE_NITS).astype(np.float32)


@lru_cache(maxsize=1)
def _hlg_light() -> NDArray[np.float32]:
    """Return the light of the scene for each 16-bit HLG value, 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    value = np.arange(65536) / 65535
    return np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12).astype(np.float32)


@lru_cache(maxsize=1)
def _screen_values() -> NDArray[np.uint8]:
    """Return the 8-bit values of a BT.1886 screen for each step of light."""
    light = (np.arange(STEPS) / (STEPS - 1)) ** 2
    return np.rint(255 * light ** (1 / DISPLAY_GAMMA)).astype(np.uint8)
