"""Frames training faces as the detector frames those of a video."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.search import search_image

SIDE = 160
"""Pixels of the enlarged face."""
MARGIN = 80
"""Pixels of the picture around it."""


def reframe(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 48, 48) -> (N, 48, 48): each face found and aligned anew in a picture that it fills by half; one that is not
    found stays as it is.

    FER2013 shows nothing around its faces. In every other picture their edge is repeated outwards, in the others one
    gray surrounds them, for in a video what is around a face goes on in either way.
    """
    aligned = images.copy()
    grays = np.random.default_rng(0).integers(0, 256, len(images))
    with MediaPipeDetector() as detector:
        for i, (image, gray) in enumerate(zip(images, grays, strict=True)):
            large = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            kind = cv2.BORDER_REPLICATE if i % 2 else cv2.BORDER_CONSTANT
            picture = cv2.copyMakeBorder(large, MARGIN, MARGIN, MARGIN, MARGIN, kind, value=[int(gray)])
            faces = search_image(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), detector, small_faces=False)
            if faces:
                aligned[i] = max(faces, key=lambda face: face.score).crop
    return aligned
