"""The colour of each emotion, the same in the annotated video, the timeline picture and the page."""

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
"""RGB hex of every name in records.EMOTIONS, and of "uncertain".

After Okabe and Ito, "Color Universal Design" (2008), with a yellow that also shows on white and a grey each for
"neutral" and "uncertain". Any two differ by CIEDE2000 of 10 or more for normal sight and for protanopes,
deuteranopes and tritanopes (simulated after Machado et al. 2009).
"""
