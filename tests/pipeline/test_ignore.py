"""--ignore for runs, batches and the Python API: as `ferwatch timeline --ignore` afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import DEMO, needs_weights

from ferwatch import Analyzer, OptionError, track
from ferwatch.cli.batch import batch
from ferwatch.pipeline.rebuild import rebuild
from ferwatch.timeline.corrections import Corrections
from ferwatch.video.sampling import Sampling

pytestmark = needs_weights
PART = {"start": 7.3, "end": 8.3, "sampling": Sampling(fps=5)}


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


def test_a_run_is_like_one_that_is_corrected_afterwards(analyzer: Analyzer, tmp_path: Path) -> None:
    run = analyzer.analyze(DEMO, tmp_path / "run", ignore=[2], exports=["html"], **PART).folder
    later = analyzer.analyze(DEMO, tmp_path / "later", exports=["html"], **PART).folder
    assert set(pd.read_csv(later / "frames.csv").face_id.dropna()) == {1, 2}
    rebuild(later, corrections=Corrections(ignore=(2,)), video=DEMO)
    assert set(pd.read_csv(run / "frames.csv").face_id.dropna()) == {1}
    for name in ("frames.csv", "frames.measured.csv", "episodes.csv", "annotated.mp4", "timeline.png", "timeline.html"):
        assert (run / name).read_bytes() == (later / name).read_bytes(), name
    facts, facts_later = (json.loads((folder / "run.json").read_text()) for folder in (run, later))
    for name in ("faces", "summary", "counts", "timeline"):
        assert facts[name] == facts_later[name], name
    rebuild(run, reset=True, video=DEMO)
    assert set(pd.read_csv(run / "frames.csv").face_id.dropna()) == {1, 2}


def test_an_id_that_is_not_there_is_warned_of(analyzer: Analyzer, tmp_path: Path) -> None:
    run = analyzer.analyze(DEMO, tmp_path / "run", ignore=[2, 9], annotate=False, **PART)
    assert run.warnings == ("--ignore: there is no face 9; the faces are: 1, 2",)
    with pytest.raises(OptionError, match="give face ids, whole numbers from 1 on"):
        analyzer.analyze(DEMO, tmp_path / "run", ignore=[0])


def test_track_leaves_the_face_out() -> None:
    ids = [{face.face_id for face in result.faces} for result in track(DEMO, ignore=[1], **PART)]
    assert set().union(*ids) == {2}


def test_a_batch_passes_it_on_and_notices_another_choice(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "demo.mp4").symlink_to(DEMO)
    out = tmp_path / "out"
    call = [str(videos), "--out", str(out), "--no-video", "--sample-fps", "1", "--jobs", "1", "--quiet"]
    done = CliRunner().invoke(batch, [*call, "--ignore", "2"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert 2 not in set(pd.read_csv(out / "all-frames.csv").face_id)
    with pytest.raises(Exception, match="holds another run: its ignored faces"):
        CliRunner().invoke(batch, call, catch_exceptions=False)
