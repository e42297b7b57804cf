#!/usr/bin/env python3
"""What a video's labels make of faces that look down, up or aside.

python benchmarks/turned_faces.py --data fer2013.csv --ferplus fer2013new.csv [--json turned.json] [--png turned.png]

PublicTest's faces mostly look into the camera. Each is turned by its 3D mesh, as in face profiling (Zhu et al. 2016,
https://arxiv.org/abs/1511.07212), with eyes and mouth kept in place; the picture between the points of the mesh follows
them. People's votes are on the face as it was. Needs MediaPipe 0.10, which runs on Python up to 3.12.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import mediapipe
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ferwatch.evaluation.fer2013 import crowd_majority, load
from ferwatch.models.classifier import load_classifier
from ferwatch.records import EMOTIONS

POINTS = 468
"""Points of MediaPipe's face mesh."""
SIDE, MARGIN = 160, 80
"""Pixels of the enlarged face in which the mesh is looked for, and of the repeated edge around it."""
SOFTNESS = 0.6
"""Square pixels, added to each squared distance: how far the picture between the points is smoothed."""
CREASE_FOLLOWS = 0.45
"""How far the crease above an upper lid goes down with it."""

UPPER_LIDS = [173, 157, 158, 159, 160, 161, 246, 398, 384, 385, 386, 387, 388, 466]
LOWER_LIDS = [155, 154, 153, 145, 144, 163, 7, 382, 381, 380, 374, 373, 390, 249]
CREASES = [190, 56, 28, 27, 29, 30, 247, 414, 286, 258, 257, 259, 260, 467]
RIGHT_EYE, LEFT_EYE, MOUTH = [33, 133], [362, 263], [61, 291, 13, 14]
MOVERS = sorted({*UPPER_LIDS, *CREASES, *RIGHT_EYE, *LEFT_EYE, *MOUTH, *range(0, POINTS, 2)} - {*LOWER_LIDS})
"""Points that the picture follows. Not the lower lids, which would hold the upper ones back."""

TURNS = {
    "as it is": (0, 0, 0.0),
    "looks up by 17°": (-17, 0, 0.0),
    "looks aside by 17°": (0, 17, 0.0),
    "looks down by 17°": (17, 0, 0.0),
    "looks down by 17°, lids lowered": (17, 0, 0.8),
    "looks down by 26°, lids lowered": (26, 0, 0.8),
}
"""Name -> degrees down, degrees aside, and how far the upper lids come down to the lower ones."""


def find_meshes(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 48, 48) -> (N, 468, 3): x, y and z of the points in pixels of the image, z growing away from the camera; nan
    where no face is found, or less than 95% of it lies in the image."""
    meshes = np.full((len(images), POINTS, 3), np.nan, np.float32)
    with mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, min_detection_confidence=0.2) as finder:
        for mesh, image in zip(meshes, images, strict=True):
            large = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            picture = cv2.copyMakeBorder(large, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
            found = finder.process(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)).multi_face_landmarks
            if not found:
                continue
            points = np.array([(point.x, point.y, point.z) for point in found[0].landmark]) * len(picture)
            points = (points - [MARGIN, MARGIN, 0]) * len(image) / SIDE
            inside = ((points[:, :2] > -2) & (points[:, :2] < len(image) + 2)).all(axis=1)
            if inside.mean() >= 0.95:
                mesh[:] = points
    return meshes


def turn(faces: Tensor, meshes: Tensor, down: float, aside: float, lids: float) -> Tensor:
    """(N, 48, 48) and (N, 468, 3) -> (N, 48, 48) float, 0 to 255: the faces turned, with eyes and mouth in place.

    Args:
        down, aside: degrees.
        lids: how far the upper lids come down: 0 not at all, 1 to the lower lids.
    """
    side = faces.shape[-1]
    axis = torch.linspace(0, side - 1, 9)
    edge = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=2).view(-1, 2)
    edge = edge[((edge == 0) | (edge == side - 1)).any(dim=1)].expand(len(faces), -1, -1)  # stays where it is
    before = torch.cat([meshes[:, MOVERS, :2], edge], dim=1)
    after = torch.cat([turned_mesh(meshes, down, aside, lids)[:, MOVERS], edge], dim=1)
    # Where each pixel of the turned face comes from, on every other pixel: the mean way of the points, each weighed by
    # the fourth power of its distance (Shepard 1968, https://doi.org/10.1145/800186.810616).
    axis = torch.arange(0.5, side, 2)
    places = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=2).view(-1, 2).expand(len(faces), -1, -1)
    weights = (torch.cdist(places, after).square() + SOFTNESS).square().reciprocal()
    ways = weights @ (before - after) / weights.sum(dim=2, keepdim=True)
    ways = ways.view(len(faces), side // 2, side // 2, 2).permute(0, 3, 1, 2)
    ways = F.interpolate(ways, size=(side, side), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
    axis = torch.arange(side)
    pixels = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=2)
    grid = (pixels + ways + 0.5) / side * 2 - 1
    images = faces.float().unsqueeze(1)
    turned = F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return turned.squeeze(1).clamp(0, 255)


def turned_mesh(meshes: Tensor, down: float, aside: float, lids: float) -> Tensor:
    """(N, 468, 3) -> (N, 468, 2): where the points come to lie."""
    points = meshes.clone()
    lowering = (meshes[:, LOWER_LIDS] - meshes[:, UPPER_LIDS]) * lids
    points[:, UPPER_LIDS] += lowering
    points[:, CREASES] += CREASE_FOLLOWS * lowering
    x, y, z = (points - points.mean(dim=1, keepdim=True)).unbind(dim=2)
    pitch, yaw = torch.deg2rad(torch.tensor([float(down), float(aside)]))
    x, z = x * yaw.cos() - z * yaw.sin(), x * yaw.sin() + z * yaw.cos()
    y = y * pitch.cos() - z * pitch.sin()
    turned = torch.complex(x, y)
    wanted, are = eyes_and_mouth(torch.complex(meshes[:, :, 0], meshes[:, :, 1])), eyes_and_mouth(turned)
    target, source = wanted.mean(dim=1, keepdim=True), are.mean(dim=1, keepdim=True)
    # As in faces/align: in the plane, rotation and scale are one complex factor.
    factor = ((are - source).conj() * (wanted - target)).sum(dim=1, keepdim=True)
    factor = factor / (are - source).abs().square().sum(dim=1, keepdim=True)
    return torch.view_as_real((turned - source) * factor + target)


def eyes_and_mouth(points: Tensor) -> Tensor:
    """(N, 468) complex -> (N, 3)."""
    return torch.stack([points[:, part].mean(dim=1) for part in (RIGHT_EYE, LEFT_EYE, MOUTH)], dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ferplus", type=Path, required=True)
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--png", type=Path, help="write some of the turned faces, to be looked at")
    args = parser.parse_args()
    faces = load(args.data, "public_test", args.ferplus)
    assert faces.votes is not None
    majority, has_majority = crowd_majority(faces.votes)
    images, majority = faces.images[has_majority], majority[has_majority]
    meshes = find_meshes(images)
    has_mesh = np.isfinite(meshes[:, 0, 0])
    images, meshes, majority = images[has_mesh], meshes[has_mesh], majority[has_mesh]
    neutral, sad = (EMOTIONS.index(name) for name in ("neutral", "sad"))
    classifier = load_classifier(args.model)
    print(f"{len(images)} faces with a majority and a mesh")
    print("| the face | agrees with the majority | neutral taken for sad | neutral found | sad found |")
    print("| --- | --- | --- | --- | --- |")
    results, shown = {}, []
    for name, (down, aside, lids) in TURNS.items():
        pairs = zip(torch.from_numpy(images).split(64), torch.from_numpy(meshes).split(64), strict=True)
        turned = torch.cat([turn(some, mesh, down, aside, lids) for some, mesh in pairs]).round().byte().numpy()
        shown.append(np.vstack(turned[:8]))
        answers = classifier(turned).argmax(axis=1)
        of_neutral, of_sad = answers[majority == neutral], answers[majority == sad]
        figures = {
            "agreement": (answers == majority).mean(),
            "neutral taken for sad": (of_neutral == sad).mean(),
            "neutral found": (of_neutral == neutral).mean(),
            "sad found": (of_sad == sad).mean(),
        }
        results[name] = {key: round(float(value), 4) for key, value in figures.items()}
        print(f"| {name} | {' | '.join(f'{value:.1%}' for value in figures.values())} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    if args.png:
        cv2.imwrite(str(args.png), cv2.resize(np.hstack(shown), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))


if __name__ == "__main__":
    main()
