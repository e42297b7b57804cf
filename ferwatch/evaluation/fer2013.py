"""Reads FER2013 and FER+ into arrays."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ferwatch.errors import DataError, shown
from ferwatch.records import EMOTIONS, FACE_SIZE

SPLITS = {"train": "Training", "public_test": "PublicTest", "private_test": "PrivateTest"}
"""Split -> its name in the column Usage of fer2013.csv."""

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "public_test": ("public_test", "publictest", "test"),
    "private_test": ("private_test", "privatetest"),
}
"""Split -> the names that its folder may have, in lower case; Kaggle's data set has `test`."""

CLASS_FOLDERS = {
    **{emotion: emotion for emotion in EMOTIONS},
    **{"anger": "angry", "disgusted": "disgust", "fearful": "fear", "happiness": "happy", "sadness": "sad"},
    "surprised": "surprise",
}
"""Name of a class's folder, in lower case -> its emotion."""

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown")
"""Choices of a FER+ voter in the order of fer2013new.csv; its last column, NF (no face), is left out."""

VOTE_OF_EMOTION = (4, 5, 6, 1, 3, 2, 0)
"""Index in VOTES of each of EMOTIONS."""


@dataclass(frozen=True)
class FerSplit:
    """The faces of one split of FER2013."""

    images: NDArray[np.uint8]
    """(N, 48, 48) gray."""
    labels: NDArray[np.int64]
    """(N,) indices into EMOTIONS."""
    votes: NDArray[np.float32] | None = None
    """(N, 9) counts of FER+ votes in the order of VOTES, zeros where nobody voted; None without FER+."""

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> FerSplit:
        """Return the faces that a mask (N,) or an array of indices selects."""
        return FerSplit(self.images[rows], self.labels[rows], None if self.votes is None else self.votes[rows])


def load(data: Path, split: str, ferplus: Path | None = None, *, may_be_empty: bool = False) -> FerSplit:
    """Return one split of FER2013, from fer2013.csv or from folders SPLIT/EMOTION/*.png.

    Raises DataError, naming the line or the file, where the data is not in that form, or the split is empty and
    `may_be_empty` is not set.
    """
    if data.is_dir():
        if ferplus is not None:
            raise DataError(f"{ferplus} goes by the rows of fer2013.csv; give that file instead of the folder {data}")
        faces = _load_folders(data, split)
    else:
        faces = _load_csv(data, split)
    if len(faces) == 0 and not may_be_empty:
        raise _no_images(data, split)
    if ferplus is None:
        return faces
    return FerSplit(faces.images, faces.labels, load_votes(ferplus, split, len(faces)))


def _load_csv(path: Path, split: str) -> FerSplit:
    images, labels = [], []
    limit = csv.field_size_limit(1_000_000)  # of the whole process: it is set back below
    try:
        with open(path, encoding="utf-8-sig", newline="") as f:
            lines = csv.DictReader(f, skipinitialspace=True)
            missing = {"emotion", "pixels", "Usage"} - set(lines.fieldnames or [])
            if missing:
                raise DataError(f"{path} is no fer2013.csv: it lacks the column {', '.join(sorted(missing))}")
            for line in lines:
                _check_length(line, f"{path}, line {lines.line_num}")
                if line["Usage"] != SPLITS[split]:
                    if line["Usage"] not in SPLITS.values():
                        raise DataError(f"{path}, line {lines.line_num}: the Usage {shown(line['Usage'])} is unknown")
                    continue
                labels.append(_label(line["emotion"], f"{path}, line {lines.line_num}"))
                images.append(_pixels(line["pixels"], f"{path}, line {lines.line_num}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, "fer2013.csv", error) from None
    finally:
        csv.field_size_limit(limit)
    return FerSplit(np.array(images, np.uint8).reshape(-1, FACE_SIZE, FACE_SIZE), np.array(labels, np.int64))


def _check_length(line: dict[str, str | None], place: str) -> None:
    if None in line.values():
        raise DataError(f"{place}: it has fewer fields than the first line")


def _unreadable(path: Path, name: str, error: OSError | UnicodeDecodeError | csv.Error) -> DataError:
    """Return the error for a file that is not the CSV file `name`, or cannot be read."""
    if isinstance(error, OSError):
        return DataError(f"{path} cannot be read: {error.strerror}")
    cause = "no table of text" if isinstance(error, UnicodeDecodeError) else f"damaged, {error}"
    return DataError(f"{path} is no {name}: it is {cause}")


def _label(text: str, place: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) >= len(EMOTIONS):
        raise DataError(f"{place}: the emotion is {shown(text)}, not 0 to {len(EMOTIONS) - 1}")
    return int(text)


def _pixels(text: str, place: str) -> NDArray[np.int64]:
    try:
        pixels = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{place}: the pixels are no numbers ({error})") from None
    if pixels.size != FACE_SIZE**2:
        raise DataError(f"{place}: {pixels.size} pixels instead of {FACE_SIZE**2}")
    if pixels.min() < 0 or pixels.max() > 255:
        raise DataError(f"{place}: a pixel is outside 0 to 255")
    return pixels


def _load_folders(root: Path, split: str) -> FerSplit:
    images, labels = [], []
    for folder in _folders(root):
        if folder.name.lower() not in SPLIT_FOLDERS[split]:
            continue
        for class_folder in _folders(folder):
            emotion = CLASS_FOLDERS.get(class_folder.name.lower())
            if emotion is None:
                raise DataError(
                    f"{class_folder} is no class of FER2013; the folders of classes are called {', '.join(EMOTIONS)}"
                )
            for path in sorted(class_folder.iterdir()):
                if path.name.startswith("."):  # .DS_Store, and what macOS writes beside files
                    continue
                image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
                if image is None:
                    raise DataError(f"{path} cannot be read as an image")
                if image.shape != (FACE_SIZE, FACE_SIZE):
                    raise DataError(f"{path} is {image.shape[1]}x{image.shape[0]}, not {FACE_SIZE}x{FACE_SIZE}")
                images.append(image)
                labels.append(EMOTIONS.index(emotion))
    order = np.argsort(np.array(labels, np.int64), kind="stable")
    faces = FerSplit(np.array(images, np.uint8).reshape(-1, FACE_SIZE, FACE_SIZE), np.array(labels, np.int64))
    return faces.where(order)


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def _no_images(data: Path, split: str) -> DataError:
    if not data.is_dir():
        return DataError(f"{data} holds no image of the split {split} ({SPLITS[split]})")
    found = ", ".join(folder.name for folder in _folders(data)) or "none"
    return DataError(
        f"{data} holds no image of the split {split}: a folder {' or '.join(SPLIT_FOLDERS[split])} is looked for; the "
        f"folders found are: {found}"
    )


def load_votes(path: Path, split: str, rows: int) -> NDArray[np.float32]:
    """Return the counts (rows, 9) of FER+ votes of a split; fer2013new.csv has one line per line of fer2013.csv.

    Raises DataError where the file is not of that form or has another number of lines.
    """
    votes = []
    try:
        with open(path, encoding="utf-8-sig", newline="") as f:
            lines = csv.DictReader(f)
            missing = {"Usage", *VOTES} - set(lines.fieldnames or [])
            if missing:
                raise DataError(f"{path} is no fer2013new.csv: it lacks the column {', '.join(sorted(missing))}")
            for line in lines:
                _check_length(line, f"{path}, line {lines.line_num}")
                if line["Usage"] != SPLITS[split]:
                    continue
                try:
                    votes.append([float(line[name]) for name in VOTES])
                    if not all(0 <= count < math.inf for count in votes[-1]):
                        raise ValueError("a count of votes cannot be that")
                except ValueError as error:
                    raise DataError(f"{path}, line {lines.line_num}: {error}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, "fer2013new.csv", error) from None
    if len(votes) != rows:
        raise DataError(f"{path} has {len(votes)} lines of {SPLITS[split]}; the data has {rows}")
    return np.array(votes, np.float32)


def clean(faces: FerSplit) -> FerSplit:
    """Return a training set without blank images, second copies, and copies whose labels contradict each other."""
    copies: dict[bytes, list[int]] = defaultdict(list)
    for row, image in enumerate(faces.images):
        if image.std() > 1:
            copies[image.tobytes()].append(row)
    agreed = [rows[0] for rows in copies.values() if len(set(faces.labels[rows])) == 1]
    return faces.where(np.array(sorted(agreed), np.int64))


def without_copies_mask(faces: FerSplit, others: FerSplit) -> NDArray[np.bool_]:
    """Return a mask (N,) of the faces of which `others` holds no exact copy."""
    known = {image.tobytes() for image in others.images}
    return np.array([image.tobytes() not in known for image in faces.images], bool)


def crowd_majority(votes: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the emotion with the most votes (N,), and whether it has a majority: more than any other choice (N,)."""
    seven = votes[:, VOTE_OF_EMOTION]
    majority = seven.argmax(axis=1)
    most = seven.max(axis=1)
    return majority, (most > 0) & ((votes >= most[:, None]).sum(axis=1) == 1)


def class_shares(faces: FerSplit, head: str) -> NDArray[np.float64]:
    """Return the shares (7,) of the emotions in the targets of a head: FER2013's labels, or FER+'s votes.

    Raises DataError for the crowd head where the faces have no votes.
    """
    if head == "fer2013":
        counts = np.bincount(faces.labels, minlength=len(EMOTIONS)).astype(np.float64)
    elif faces.votes is None:
        raise DataError("the crowd head's prior correction goes by FER+'s votes: give fer2013new.csv with --ferplus")
    else:
        counts = faces.votes[:, VOTE_OF_EMOTION].sum(axis=0, dtype=np.float64)
    counts = np.maximum(counts, 1)
    return counts / counts.sum()
