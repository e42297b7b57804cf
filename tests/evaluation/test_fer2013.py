"""FER2013 and FER+ as files: what is read, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferwatch.errors import DataError
from ferwatch.evaluation.fer2013 import FerSplit, clean, load, load_votes, without_copies_mask
from ferwatch.records import EMOTIONS

PIXELS = " ".join(["7"] * 2304)


def write(path: Path, *lines: str, head: str = "emotion,pixels,Usage") -> Path:
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def test_a_csv_gives_the_pixels_and_labels_of_its_split(tmp_path: Path) -> None:
    image = np.arange(2304).reshape(48, 48) % 256
    rows = [f"3,{' '.join(map(str, image.ravel()))},PublicTest", f"0,{PIXELS},Training", f"6,{PIXELS},PublicTest"]
    faces = load(write(tmp_path / "fer2013.csv", *rows), "public_test")
    assert faces.labels.tolist() == [3, 6]
    assert np.array_equal(faces.images[0], image)
    assert (faces.images[1] == 7).all()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"7,{PIXELS},Training", "line 3: the emotion is '7'"),
        (f"happy,{PIXELS},Training", "line 3: the emotion is 'happy'"),
        ("3,1 2 3,Training", "line 3: 3 pixels instead of 2304"),
        (f"3,{PIXELS[:-1]}x,Training", "line 3: the pixels are no numbers"),
        (f"3,{PIXELS[:-1]}{9**30},Training", "line 3: the pixels are no numbers"),
        (f"3,{PIXELS[:-1]}256,Training", "line 3: a pixel is outside 0 to 255"),
        (f"3,{PIXELS[:-1]}-1,Training", "line 3: a pixel is outside 0 to 255"),
        (f"3,{PIXELS},Trianing", "line 3: the Usage 'Trianing' is unknown"),
        ("3", "line 3: it has fewer fields"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    path = write(tmp_path / "fer2013.csv", f"3,{PIXELS},Training", line)
    with pytest.raises(DataError, match=told):
        load(path, "train")


def test_a_missing_column_an_empty_split_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lacks the column Usage"):
        load(write(tmp_path / "a.csv", f"3,{PIXELS}", head="emotion,pixels"), "train")
    with pytest.raises(DataError, match="holds no image of the split private_test"):
        load(write(tmp_path / "b.csv", f"3,{PIXELS},Training"), "private_test")
    with pytest.raises(DataError, match=r"none\.csv cannot be read: No such file or directory$"):
        load(tmp_path / "none.csv", "train")
    (tmp_path / "c.csv").write_bytes(b"\xff\xfe\x00junk")
    with pytest.raises(DataError, match=r"c\.csv is no fer2013\.csv: it is no table of text"):
        load(tmp_path / "c.csv", "train")


def test_folders_give_the_same_as_the_csv_and_name_a_file_that_is_no_face(tmp_path: Path) -> None:
    image = np.arange(2304, dtype=np.uint8).reshape(48, 48)
    for emotion in ("sad", "angry"):
        (tmp_path / "train" / emotion).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "train" / emotion / "00001.png"), image)
    faces = load(tmp_path, "train")
    assert [EMOTIONS[label] for label in faces.labels] == ["angry", "sad"]
    assert np.array_equal(faces.images[1], image)

    bad = tmp_path / "train" / "sad" / "00002.png"
    bad.write_text("no image")
    with pytest.raises(DataError, match=r"00002\.png cannot be read as an image"):
        load(tmp_path, "train")
    cv2.imwrite(str(bad), image[:40])
    with pytest.raises(DataError, match=r"00002\.png is 48x40, not 48x48"):
        load(tmp_path, "train")


def test_votes_go_by_rows(tmp_path: Path) -> None:
    head = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    lines = [
        "Training,fer0.png,4,0,0,1,3,2,0,0,0,0",
        "Training,,0,0,0,0,0,0,0,0,0,0",
        "PublicTest,x,1,9,0,0,0,0,0,0,0,0",
    ]
    path = write(tmp_path / "fer2013new.csv", *lines, head=head)
    assert load_votes(path, "train", 2).tolist() == [[4, 0, 0, 1, 3, 2, 0, 0, 0], [0] * 9]
    with pytest.raises(DataError, match="has 1 lines of PublicTest; the data has 3"):
        load_votes(path, "public_test", 3)


def test_cleaning_leaves_out_blanks_second_copies_and_contradictions() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 48, 48)).astype(np.uint8)
    images[1] = images[0]  # a second copy
    images[3] = images[2]  # a copy with another label
    images[4] = 128
    faces = clean(FerSplit(images, np.array([1, 1, 2, 3, 4, 5])))
    assert faces.labels.tolist() == [1, 5]
    assert np.array_equal(faces.images, images[[0, 5]])


def test_copies_between_splits_are_found() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 48)).astype(np.uint8)
    labels = np.zeros(4, np.int64)
    assert without_copies_mask(FerSplit(images, labels), FerSplit(images[1:2], labels[:1])).tolist() == [
        True,
        False,
        True,
        True,
    ]


def test_fer2013s_known_copies_are_found() -> None:
    import sys

    shared = Path(__file__).parents[3] / "shared" / "fer2013"
    if not shared.exists():
        pytest.skip("FER2013 is not here: it lies in ../shared/fer2013")
    sys.path.insert(0, str(shared))
    import expand

    public, train = (FerSplit(*expand.load(split)) for split in ("public_test", "train"))
    assert (~without_copies_mask(public, train)).sum() == 280  # counted on their own by the project's issue 3
    assert 27_000 < len(clean(train)) < len(train) - 106 - 12
