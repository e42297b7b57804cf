"""The colour of each emotion, the same in the annotated video, the timeline picture and the page."""

from __future__ import annotations

DARK_INK = "#111111"
LIGHT_INK = "#FFFFFF"

PALETTE: dict[str, str] = {
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#F0C430",
    "sad": "#0072B2",
    "surprise": "#56B4E9",
    "neutral": "#5E6470",
    "uncertain": "#D0D3D8",
}
"""Label of an episode -> its colour, "#RRGGBB".

After Okabe and Ito, "Color Universal Design" (2008), with a yellow that also shows on white and a grey each for
"neutral" and "uncertain". Any two differ by CIEDE2000 of 10 or more for normal sight and for protanopes,
deuteranopes and tritanopes (simulated after Machado et al. 2009).
"""


def ink_on(colour: str) -> str:
    """Return the ink, dark or light, with the higher contrast on a colour "#RRGGBB" (WCAG 2 relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    # Contrast is (lighter + 0.05) / (darker + 0.05); on this luminance black and white have the same.
    return DARK_INK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else LIGHT_INK
