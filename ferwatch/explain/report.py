"""Writes the forward pass of one face as pictures, a layer table and an HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ferwatch.explain.attention import analyze_attention
from ferwatch.explain.cnn_figures import feature_pictures, kernel_pictures, layer_maps, overview_picture
from ferwatch.explain.figures import answer_picture, input_picture, occlusion_picture
from ferwatch.explain.html_page import render_page
from ferwatch.explain.occlusion import occlude
from ferwatch.explain.trace import Trace, format_table, record_forward, write_table
from ferwatch.explain.vit_figures import transformer_pictures
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.models.classifier import Classifier
from ferwatch.models.preprocess import preprocess
from ferwatch.records import Face
from ferwatch.utils.files import atomic_write, make_folder


@dataclass(frozen=True)
class InsideResult:
    """The recorded forward pass, its answer, and the files written."""

    trace: Trace
    probabilities: NDArray[np.float64]
    """(7,) calibrated probabilities in the order of EMOTIONS."""
    files: list[Path]


def look_inside(
    image: NDArray[np.uint8],
    face: Face,
    checkpoint: Checkpoint,
    out: Path,
    *,
    labels: str | None = None,
    html: bool = False,
) -> InsideResult:
    """Write the forward pass of one face into a folder: numbered PNGs, layers.csv and layers.txt.

    Args:
        image: (height, width, 3) BGR, the frame that the face was found in.
        face: the face, with its (48, 48) aligned crop.
        out: folder to write into; it is made where it is missing.
        labels: "crowd", "fer2013", or None for crowd where the checkpoint has that head.
        html: also write index.html, one self-contained page with all pictures and the layer table.

    Raises OutputError where the folder cannot be written.
    """
    classifier = Classifier(checkpoint, labels=labels)
    network: Any = checkpoint.network
    probabilities = classifier(face.crop[None])[0]
    x = preprocess(torch.from_numpy(face.crop[None]), checkpoint.input)
    trace = record_forward(network, x, classifier.labels)
    with torch.inference_mode():
        features = network.forward_features(trace.input)[0].double().numpy()

    analysis = analyze_attention(network, trace)
    pictures = [input_picture(image, face, trace, checkpoint.input, probabilities, checkpoint.model)]
    if analysis:
        pictures += [*kernel_pictures(trace), *transformer_pictures(face.crop, network, trace, analysis)]
    elif layer_maps(trace):
        pictures += [overview_picture(face.crop, trace, probabilities), *kernel_pictures(trace)]
        pictures += feature_pictures(face.crop, trace)
    pictures.append(answer_picture(trace, features, checkpoint, probabilities))
    pictures.append(occlusion_picture(face.crop, occlude(classifier, face.crop), probabilities))

    make_folder(out)
    files = []
    for number, picture in enumerate(pictures, start=1):
        files.append(out / f"{number:02d}-{picture.name}.png")
        picture.write(files[-1])
    files += [out / "layers.csv", out / "layers.txt"]
    write_table(trace, out / "layers.csv")
    with atomic_write(out / "layers.txt") as temp_path:
        temp_path.write_text(format_table(trace), encoding="utf-8")
    if html:
        files.append(out / "index.html")
        with atomic_write(files[-1]) as temp_path:
            temp_path.write_text(render_page(checkpoint, pictures, trace, probabilities), encoding="utf-8")
    return InsideResult(trace, probabilities, files)
