"""The forward pass of one face as pictures, as a table and as a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ferwatch.explain.attention import read_transformer
from ferwatch.explain.cnn_figures import feature_pictures, kernel_pictures, overview_picture
from ferwatch.explain.figures import answer_picture, input_picture, occlusion_picture
from ferwatch.explain.html_page import page
from ferwatch.explain.occlusion import occlude
from ferwatch.explain.trace import Trace, format_table, trace, write_table
from ferwatch.explain.vit_figures import transformer_pictures
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.models.preprocess import preprocess
from ferwatch.records import Face
from ferwatch.utils.files import atomic_write, make_folder


@dataclass(frozen=True)
class Inside:
    """What look_inside found and wrote."""

    trace: Trace
    probabilities: NDArray[np.float64]
    """(7,), as the Classifier gives them."""
    files: list[Path]


def look_inside(
    image: NDArray[np.uint8],
    face: Face,
    checkpoint: Checkpoint,
    out: Path,
    *,
    labels: str | None = None,
    html: bool = False,
    on_picture: Callable[[str], None] = lambda _: None,
) -> Inside:
    """Writes the forward pass of one face into the folder `out`: numbered PNGs, layers.csv and layers.txt.

    Args:
        image: (H, W, 3) BGR, the frame that the face was found in.
        labels: "crowd", "fer2013", or None for crowd where the checkpoint has that head.
        html: also index.html, one self-contained page with all of it.
        on_picture: told the name of each file as it is written.

    Raises OutputError where the folder cannot be written.
    """
    classifier = Classifier(checkpoint, labels=labels)
    network: Any = checkpoint.network
    probabilities = classifier(face.crop[None])[0]
    x = preprocess(torch.from_numpy(face.crop[None]), checkpoint.input)
    recorded = trace(network, x, classifier.labels)
    with torch.inference_mode():
        features = network.forward_features(recorded.input)[0].double().numpy()

    reading = read_transformer(network, recorded)
    pictures = [input_picture(image, face, recorded, checkpoint.input, probabilities, checkpoint.model)]
    if reading:
        pictures += [*kernel_pictures(recorded), *transformer_pictures(face.crop, network, recorded, reading)]
    else:
        pictures += [overview_picture(face.crop, recorded, probabilities), *kernel_pictures(recorded)]
        pictures += feature_pictures(face.crop, recorded)
    pictures.append(answer_picture(recorded, features, checkpoint, probabilities))
    pictures.append(occlusion_picture(face.crop, occlude(classifier, face.crop), probabilities))

    make_folder(out)
    files = []
    for number, picture in enumerate(pictures, start=1):
        files.append(out / f"{number:02d}-{picture.name}.png")
        picture.write(files[-1])
        on_picture(files[-1].name)
    files += [out / "layers.csv", out / "layers.txt"]
    write_table(recorded, out / "layers.csv")
    with atomic_write(out / "layers.txt") as temp_path:
        temp_path.write_text(format_table(recorded), encoding="utf-8")
    if html:
        files.append(out / "index.html")
        with atomic_write(files[-1]) as temp_path:
            temp_path.write_text(page(checkpoint, pictures, recorded, probabilities), encoding="utf-8")
    return Inside(recorded, probabilities, files)
