"""With --blur-faces no output shows or links the original, and no run folder tells where its files lay."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import DEMO, needs_weights

import ferwatch
from ferwatch.export.registry import EXPORTS
from ferwatch.faces.mediapipe import MediaPipeDetector
from ferwatch.faces.search import search_image
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.rebuild import rebuild
from ferwatch.study.build import run_study
from ferwatch.study.clips import write_clips
from ferwatch.study.highlights import find_highlights
from ferwatch.study.runs import read_run

pytestmark = needs_weights
END = 1.2


def texts(folder: Path) -> dict[str, str]:
    """Every file of a run folder as text, also those that are none."""
    return {file.name: file.read_bytes().decode("latin-1") for file in folder.iterdir()}


def linked(folder: Path) -> set[str]:
    """What the page plays, and what ELAN and BORIS open."""
    page = re.findall(r'<video src="([^"]*)"', (folder / "timeline.html").read_text("utf-8"))
    eaf = re.findall(r'(?:RELATIVE_)?MEDIA_URL="([^"]*)"', (folder / "episodes.eaf").read_text("utf-8"))
    (observation,) = json.loads((folder / "episodes.boris").read_text("ascii"))["observations"].values()
    return {
        name.removeprefix("./") for name in (*page, *eaf, *observation["file"]["1"], *observation["media_info"]["fps"])
    }


def frames(video: Path) -> list[np.ndarray]:
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("start", [0.0, 0.4])
@pytest.mark.parametrize("annotate", [True, False])
def test_no_output_shows_or_links_the_original(tmp_path: Path, start: float, annotate: bool) -> None:
    video = tmp_path / "patients" / "Jane Doe" / "session.mp4"
    video.parent.mkdir(parents=True)
    shutil.copyfile(DEMO, video)
    run = tmp_path / "run"
    ferwatch.analyze(
        video, run, start=start, end=END, annotate=annotate, blur_faces=True, exports=list(EXPORTS), smoothing=0
    )
    for again in (False, True):
        if again:  # `ferwatch timeline` must not bring the link back
            rebuild(run, exports=list(EXPORTS))
        assert linked(run) == ({"annotated.mp4"} if annotate else set())
        for name, text in texts(run).items():
            assert "Jane Doe" not in text, name
            assert str(tmp_path) not in text, name

    # The times of what links the film are the film's.
    length = END - start
    if annotate:
        with av.open(str(run / "annotated.mp4")) as container:
            assert container.duration is not None
            assert container.duration / av.time_base == pytest.approx(length, abs=0.1)
        slots = re.findall(r'TIME_VALUE="(\d+)"', (run / "episodes.eaf").read_text("utf-8"))
        assert slots
        assert min(map(int, slots)) <= 50
        assert max(map(int, slots)) <= 1000 * length + 50
        page = (run / "timeline.html").read_text("utf-8")
        assert f'"videoStart":{start}' in page.replace(": ", ":")


def test_faces_of_the_blurred_film_are_not_found(tmp_path: Path) -> None:
    ferwatch.analyze(DEMO, tmp_path / "plain", end=0.6, charts=False)
    ferwatch.analyze(DEMO, tmp_path / "blurred", end=0.6, charts=False, blur_faces=True)
    with MediaPipeDetector() as detector:
        found = {
            name: sum(len(search_image(frame, detector)) for frame in frames(tmp_path / name / "annotated.mp4")[::5])
            for name in ("plain", "blurred")
        }
    assert found["plain"] >= 3
    assert found["blurred"] == 0


def test_run_json_names_files_without_their_folders(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from ferwatch.cli.main import cli

    arguments = [str(DEMO), "--end", "0.4", "--no-video", "--export", "html", "--export", "eaf", "--out"]
    done = CliRunner().invoke(cli, [*arguments, str(tmp_path / "run"), "--quiet"])
    assert done.exit_code == 0, done.output
    for name, text in texts(tmp_path / "run").items():
        assert str(DEMO.parent) not in text, name
        assert str(tmp_path) not in text, name
    assert json.loads((tmp_path / "run/run.json").read_text())["video"]["file"] == DEMO.name
    assert cv2.imread(str(tmp_path / "run/timeline.png")) is not None


def test_no_face_is_left_unblurred_because_it_is_not_analysed(tmp_path: Path) -> None:
    with pytest.raises(ferwatch.FerwatchError, match="outside the region would stay recognisable"):
        ferwatch.analyze(DEMO, tmp_path / "region", blur_faces=True, region=(0, 0, 100, 100))
    two = {"start": 8.0, "end": 8.6, "blur_faces": True, "max_faces": 1}
    with pytest.raises(ferwatch.FerwatchError, match=r"2 faces were found .* --max-faces"):
        ferwatch.analyze(DEMO, tmp_path / "limit", **two)
    run = ferwatch.analyze(DEMO, tmp_path / "tables", annotate=False, **two)
    assert any("2 faces were found" in warning for warning in run.warnings)


def test_studies_and_clips_of_blurred_recordings_show_and_link_no_face(tmp_path: Path) -> None:
    video = tmp_path / "recordings" / "session.mp4"
    video.parent.mkdir()
    with av.open(str(DEMO)) as film, av.open(str(video), "w") as out:
        stream = film.streams.video[0]
        track = out.add_stream_from_template(stream)
        for packet in film.demux(stream):
            if packet.dts is not None and packet.dts * packet.time_base < END:
                packet.stream = track
                out.mux(packet)
    plan = tmp_path / "plan.csv"
    plan.write_text("video,participant\nrecordings/session.mp4,P1\n")
    options = AnalysisOptions(blur_faces=True, exports=tuple(EXPORTS), charts=False)
    study = run_study(plan, tmp_path / "study", options=options, jobs=1).folder
    (run,) = (file.parent for file in study.rglob("run.json"))
    found = read_run(run)
    clips = write_clips(found, find_highlights(found, "neutral", 3), run / "highlights")
    assert clips, "the demo begins with a neutral episode"

    pictures = {film: frames(film)[::5] for film in study.rglob("*.mp4")}
    assert {*clips, run / "annotated.mp4"} <= {*pictures}
    pictures |= {file: [cv2.imread(str(file))] for file in study.rglob("*.png")}
    with MediaPipeDetector() as detector:
        assert search_image(frames(video)[0], detector), "the check of the check"
        for file, shown in pictures.items():
            assert not any(search_image(picture, detector) for picture in shown), file
    for file in (file for file in study.rglob("*") if file.is_file()):
        text = file.read_bytes().decode("latin-1")
        assert str(tmp_path) not in text, file
        assert not re.search(r'(?:src|href|MEDIA_URL)="[^"]*session\.mp4"', text), file
