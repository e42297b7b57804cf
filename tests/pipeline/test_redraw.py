"""`ferwatch timeline` and annotated.mp4: after any call the film shows what the other files say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from clips import make_clip
from numpy.typing import NDArray
from tables import facts_of_run, showing, write_frames

from ferwatch.cli.timeline import timeline as command
from ferwatch.errors import DataError
from ferwatch.pipeline.rebuild import rebuild
from ferwatch.records import BoundingBox, FaceResult, FrameResult
from ferwatch.render.draw import bgr
from ferwatch.render.palette import PALETTE
from ferwatch.timeline.corrections import Corrections
from ferwatch.utils.files import fingerprint

FPS, SECONDS, SIDE, LINE = 5, 6, 64, 2
PLACES = {1: 30, 2: 330, 3: 500, 4: 30}
"""face_id -> left end of its box; face 4 is face 1 again, after 4 s."""
STORIES = {
    1: ["happy"] * 8 + ["sad"] * 12,
    2: ["surprise"] * 15 + ["neutral"] * 15,
    3: ["angry"] * 30,
    4: [""] * 20 + ["fear"] * 10,
}
Picture = NDArray[np.int16]


def left_of(face_id: int, number: int) -> int:
    """Where a box begins; face 3 never moves."""
    return PLACES[face_id] + (0 if face_id == 3 else 8 * (number // FPS % 3))


def frames() -> list[FrameResult]:
    results = []
    for number in range(FPS * SECONDS):
        faces = []
        for face_id, story in STORIES.items():
            if number < len(story) and story[number]:
                box = BoundingBox(left_of(face_id, number), 200, SIDE, SIDE)
                faces.append(FaceResult(face_id, 0.9, box, tuple(showing([story[number]])[0].tolist())))
        results.append(FrameResult(number, number / FPS, tuple(faces)))
    return results


def make_folder(folder: Path, video: Path, **settings: object) -> Path:
    """A finished run of the clip beside it, with its film."""
    folder.mkdir()
    write_frames(folder / "frames.csv", frames())
    facts = facts_of_run(seconds=SECONDS, fps=FPS)
    facts["settings"] |= {"annotated video": True, "video": {"name": video.name, **fingerprint(video)}, **settings}
    facts["timeline"]["media"] = "annotated.mp4"
    facts["video"]["file"] = video.name
    (folder / "run.json").write_text(json.dumps(facts))
    rebuild(folder, exports=["html", "json"], video=video)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    video = make_clip(folder / "talk.mp4", [i / FPS for i in range(FPS * SECONDS)], size=(640, 400), rate=FPS)
    make_folder(folder / "talk-ferwatch", video)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "talks")) / "talk-ferwatch"


def pictures(path: Path) -> list[Picture]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24").astype(np.int16) for frame in container.decode(video=0)]


def label_on(image: Picture, face_id: int, number: int) -> str | None:
    """The label whose colour the box of a face has; None where there is no box."""
    left = left_of(face_id, number)
    edge = image[204 : 196 + SIDE, left : left + LINE].mean(axis=(0, 1))
    if np.abs(edge - 110).max() < 12:  # the clip's grey
        return None
    return min(PALETTE, key=lambda label: float(np.abs(edge - np.array(bgr(label))).sum()))


def check_film(run: Path) -> None:
    """Every box has the label of its episode, and there are no others."""
    film, episodes = pictures(run / "annotated.mp4"), pd.read_csv(run / "episodes.csv")
    still = json.loads((run / "run.json").read_text())["summary"]["still"]
    assert len(film) == FPS * SECONDS
    for number in range(1, len(film), 3):
        now = episodes[(episodes.start <= number / FPS) & (number / FPS < episodes.end)]
        wanted = dict(zip(now.face_id, now.emotion, strict=True)) | dict.fromkeys(still, "uncertain")
        # Faces 1 and 4 stand in the same place.
        shown = {face: label_on(film[number], face, number) for face in (1, 2, 3)}
        assert {face: label for face, label in shown.items() if label} == {
            1 if face == 4 else face: label for face, label in wanted.items()
        }, number


def changed(run: Path, before: list[Picture], number: int, face_id: int, *, label: bool = False) -> bool:
    """Whether the inside of a face's box, or the line of its label above it, has changed in a frame."""
    left = left_of(face_id, number)
    rows = slice(178, 197) if label else slice(200 + 3 * LINE, 200 + SIDE - 3 * LINE)
    area = rows, slice(left + 3 * LINE, left + SIDE - 3 * LINE)
    return bool(np.abs(pictures(run / "annotated.mp4")[number][area] - before[number][area]).max() > 60)


def test_the_film_follows_every_correction_and_setting(run: Path) -> None:
    first, before = (run / "annotated.mp4").read_bytes(), pictures(run / "annotated.mp4")
    check_film(run)
    for settings in ({"min_episode": 1.9}, {"min_episode": 0.5, "baseline": "0-2"}):
        rebuild(run, **settings)  # type: ignore[arg-type]
        assert (run / "annotated.mp4").read_bytes() != first
        check_film(run)
    rebuild(run, reset=True)
    assert (run / "annotated.mp4").read_bytes() == first

    rebuild(run, corrections=Corrections(ignore=(2,)))
    check_film(run)
    assert all(label_on(image, 2, number) is None for number, image in enumerate(pictures(run / "annotated.mp4")))
    rebuild(run, corrections=Corrections(merge={4: 1}))
    check_film(run)
    assert changed(run, before, 25, 4, label=True)
    assert not changed(run, before, 15, 1, label=True)
    rebuild(run, corrections=Corrections(names={1: "Zoë"}, keep=(3,)))
    check_film(run)
    assert changed(run, before, 15, 1, label=True)
    assert label_on(pictures(run / "annotated.mp4")[9], 3, 9) == "angry"


def test_a_still_face_has_no_chart(run: Path) -> None:
    """Right of the box, where a chart would stand, the picture is the clip's grey."""
    number = 9

    def beside(face_id: int) -> Picture:
        right = left_of(face_id, number) + SIDE + 8
        return pictures(run / "annotated.mp4")[number][200 : 200 + SIDE, right : right + 40]

    assert np.abs(beside(3) - 110).max() < 15
    assert np.abs(beside(1) - 110).max() > 60
    rebuild(run, corrections=Corrections(keep=(3,)))
    assert np.abs(beside(3) - 110).max() > 60


def test_it_is_not_drawn_where_it_would_look_the_same(run: Path) -> None:
    before = (run / "annotated.mp4").stat()
    rebuild(run, exports=["vtt"])
    after = (run / "annotated.mp4").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_a_video_that_was_renamed_is_found_by_its_content(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (run.parent / "talk.mp4").rename(tmp_path / "elsewhere" / "renamed.mp4")
    make_clip(run.parent / "talk.mp4", [0.0, 0.2])  # a namesake
    monkeypatch.chdir(tmp_path / "elsewhere")
    rebuild(run, corrections=Corrections(ignore=(2,)))
    check_film(run)


def test_without_its_video_the_old_film_is_put_aside_and_a_line_says_so(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far").mkdir()
    monkeypatch.chdir(tmp_path)
    old = (run / "annotated.mp4").read_bytes()
    gone = (run.parent / "talk.mp4").rename(tmp_path / "far" / "talk.mp4")
    for _ in range(2):
        call = CliRunner().invoke(command, [str(run), "--ignore", "2"], catch_exceptions=False)
        (note,) = [line for line in call.stderr.splitlines() if "note" in line]
        assert "talk.mp4 was not found" in note
        assert f"ferwatch timeline {run} --video FILE" in note
        assert not (run / "annotated.mp4").exists()
        assert (run / "annotated.outdated.mp4").read_bytes() == old
        assert "annotated.mp4" not in (run / "timeline.html").read_text(encoding="utf-8")
        assert json.loads((run / "run.json").read_text())["timeline"]["media"] == ""

    call = CliRunner().invoke(command, [str(run), "--video", str(gone)], catch_exceptions=False)
    assert "note" not in call.stderr
    check_film(run)
    assert "annotated.mp4" in (run / "timeline.html").read_text(encoding="utf-8")
    assert not (run / "annotated.outdated.mp4").exists()


def test_another_video_is_refused(run: Path, tmp_path: Path) -> None:
    other = make_clip(tmp_path / "other.mp4", [0.0, 0.2])
    with pytest.raises(DataError, match=r"is not the video of this run, talk\.mp4"):
        rebuild(run, video=other)
    facts = json.loads((run / "run.json").read_text())
    facts["settings"]["video"] = None  # as in a run of an early version
    (run / "run.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match="does not record the content of the run's video"):
        rebuild(run, video=other)


def test_a_film_that_the_user_has_deleted_stays_away(run: Path) -> None:
    (run / "annotated.mp4").unlink()
    rebuild(run, corrections=Corrections(ignore=(2,)))
    assert not (run / "annotated.mp4").exists()
    assert json.loads((run / "run.json").read_text())["timeline"]["media"] == "../talk.mp4"


def test_a_face_that_is_ignored_stays_blurred(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "g.mp4", [i / FPS for i in range(30)], size=(640, 400), rate=FPS, grain=True)
    plain = make_folder(tmp_path / "plain", video)
    blurred = make_folder(tmp_path / "blurred", video, **{"blurred faces": True})
    for run in (plain, blurred):
        rebuild(run, corrections=Corrections(ignore=(2,)))
    number = 12
    left = left_of(2, number)
    grain = [
        pictures(run / "annotated.mp4")[number][210:250, left + 8 : left + 56].std(axis=(0, 1)).max()
        for run in (plain, blurred)
    ]
    assert grain[1] < grain[0] / 3
