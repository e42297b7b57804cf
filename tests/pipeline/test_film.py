"""annotated.mp4 is the same for any number of workers, with every picture at its time and the sound in step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import make_clip, number_of, presentation_times
from conftest import ROOT
from dying_workers import DeadlyProcesses, starts, starts_with_one_death
from segment_clips import clip_of, demo_pictures

from ferwatch.models.classifier import Classifier
from ferwatch.pipeline import cuts
from ferwatch.pipeline.analyze import write_run
from ferwatch.pipeline.executors import InProcess, LocalProcesses
from ferwatch.pipeline.film import write_film
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.segment import load_classifier
from ferwatch.render.annotated_video import annotate_video
from ferwatch.render.overlay import Overlay
from ferwatch.timeline.table import FrameTable
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling
from ferwatch.video.source import VideoRange

SECONDS = 10
SMOOTH = [i / 30 for i in range(30 * SECONDS)]
LATE_AND_UNEVEN = [0.8 + t + 0.011 * (i % 3) for i, t in enumerate(SMOOTH)]


def overlay(*, charts: bool = True) -> Overlay:
    """One face that moves, sampled ten times a second."""
    seconds = np.arange(0, SECONDS + 4, 0.1).round(3)
    ones = np.ones(len(seconds))
    box = np.stack([100 + 20 * np.sin(seconds), 90 * ones, 60 * ones, 60 * ones], axis=1)
    happy = np.tile((0.01, 0.005, 0.015, 0.93, 0.01, 0.01, 0.02), (len(seconds), 1))
    return Overlay.of(FrameTable(np.arange(len(seconds)), seconds, ones.astype(int), ones, box, happy), charts=charts)


def segment_starts(source: Path, start: float = 0.0, end: float | None = None) -> list[int]:
    """Numbers of the film's pictures with which its segments begin."""
    with VideoReader(source) as reader:
        segments = cuts.cut(source, reader.info, Sampling(), start, end, at_keyframes=True)
    assert len(segments) > 1, "it is not drawn in segments"
    return [segment.samples[0].number - segments[0].samples[0].number for segment in segments]


@pytest.fixture(autouse=True)
def short_films_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips of ten seconds are drawn in segments."""
    monkeypatch.setattr(cuts, "MIN_PARALLEL_SECONDS", 0.0)


@pytest.fixture(scope="module")
def executors() -> Iterator[list[InProcess | LocalProcesses]]:
    with LocalProcesses(2) as two, LocalProcesses(3) as three:
        yield [InProcess(), two, three]


def sound_of(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        begin = Fraction(container.start_time or 0, av.time_base)
        return [(float(p.pts * p.time_base - begin), bytes(p)) for p in container.demux(audio=0) if p.size]


@pytest.mark.parametrize(
    ("name", "times", "how"),
    [
        ("plain.mp4", SMOOTH, {"sound": "aac", "bframes": 2}),
        ("edited.mp4", SMOOTH, {"sound": "aac", "bframes": 2, "offset": -0.4}),
        ("uneven.mkv", LATE_AND_UNEVEN, {"sound": "libmp3lame", "bframes": 2}),
    ],
)
def test_a_joined_film_has_every_picture_and_sound_at_its_time(
    name: str, times: list[float], how: dict, tmp_path: Path, executors: list[InProcess | LocalProcesses]
) -> None:
    source = make_clip(tmp_path / name, times, size=(320, 192), **how)
    films = [tmp_path / f"{executor.workers}.mp4" for executor in executors]
    for film, executor in zip(films, executors, strict=True):
        done: list[int] = []
        assert write_film(VideoRange(source), overlay(), film, executor, done.append) == []
        shown = presentation_times(source)
        assert done[-1] == len(shown)
    one, *others = (film.read_bytes() for film in films)
    assert all(other == one for other in others)
    assert sorted(tmp_path.iterdir()) == sorted([source, *films])

    with av.open(str(films[0])) as container:
        pictures = list(container.decode(video=0))
    with av.open(str(source)) as container:
        numbers = [number_of(picture.to_ndarray(format="bgr24")) for picture in container.decode(video=0)]
    assert [number_of(picture.to_ndarray(format="bgr24")) for picture in pictures] == numbers
    assert presentation_times(films[0]) == pytest.approx(shown, abs=0.0005)
    assert all(pictures[number].key_frame for number in segment_starts(source)), "a segment begins without a key frame"
    theirs, ours = sound_of(source), sound_of(films[0])
    assert [data for _, data in ours] == [data for _, data in theirs]
    assert [at for at, _ in ours] == pytest.approx([at for at, _ in theirs], abs=0.0005)
    assert one.index(b"moov") < one.index(b"mdat"), "playable while it loads"


def test_a_range_begins_at_time_zero(tmp_path: Path, executors: list[InProcess | LocalProcesses]) -> None:
    source = make_clip(tmp_path / "c.mp4", SMOOTH, sound="aac", bframes=2)
    assert segment_starts(source, 2.5, 9.0)[0] == 0
    write_film(VideoRange(source, start=2.5, end=9.0), overlay(), tmp_path / "film.mp4", executors[1])
    assert presentation_times(tmp_path / "film.mp4") == pytest.approx([i / 30 for i in range(195)], abs=0.0005)


@pytest.mark.parametrize("name", ["few-key-frames.mp4", "damaged.mp4"])
def test_what_cannot_be_cut_exactly_is_drawn_in_one_pass(
    name: str, tmp_path: Path, executors: list[InProcess | LocalProcesses]
) -> None:
    source = clip_of(tmp_path / name, demo_pictures()[:250])
    annotate_video(VideoRange(source), overlay(), tmp_path / "whole.mp4")
    for executor in executors[:2]:
        write_film(VideoRange(source), overlay(), tmp_path / "film.mp4", executor)
        assert (tmp_path / "film.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
        assert {f.name for f in tmp_path.iterdir()} == {name, "whole.mp4", "film.mp4"}


def test_pictures_around_the_cuts_of_open_gops_are_right(
    tmp_path: Path, executors: list[InProcess | LocalProcesses]
) -> None:
    """There, pictures before a key frame come after it in the file."""
    source = clip_of(tmp_path / "open-gop.mkv", demo_pictures()[:250])
    annotate_video(VideoRange(source), overlay(), tmp_path / "whole.mp4")
    for executor in executors[:2]:
        write_film(VideoRange(source), overlay(), tmp_path / f"{executor.workers}.mp4", executor)
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "2.mp4").read_bytes()
    with av.open(str(tmp_path / "1.mp4")) as one, av.open(str(tmp_path / "whole.mp4")) as whole:
        for ours, expected in zip(one.decode(video=0), whole.decode(video=0), strict=True):
            difference = ours.to_ndarray(format="gray").astype(int) - expected.to_ndarray(format="gray")
            assert np.abs(difference).mean() < 3, ours.time


def test_a_killed_worker_costs_only_its_segment(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "c.mp4", SMOOTH, size=(320, 192), sound="aac")
    write_film(VideoRange(source), overlay(), tmp_path / "whole.mp4", InProcess())
    notes = tmp_path / "notes"
    notes.mkdir()
    with DeadlyProcesses(notes) as executor:
        write_film(VideoRange(source), overlay(), tmp_path / "film.mp4", executor)
    assert starts(notes) == starts_with_one_death([0, 1, 2], "FilmTask")
    assert (tmp_path / "film.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"c.mp4", "whole.mp4", "film.mp4", "notes"}


def test_only_finished_segments_of_the_same_film_are_used_again(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "c.mp4", SMOOTH, size=(320, 192))
    for charts in (True, False):
        write_film(VideoRange(source), overlay(charts=charts), tmp_path / f"{charts}.mp4", InProcess())
    assert (tmp_path / "True.mp4").read_bytes() != (tmp_path / "False.mp4").read_bytes()

    class Counting(InProcess):
        started = 0

        def run(self, work, tasks, **_):  # type: ignore[no-untyped-def]
            for task in tasks:
                self.started += 1
                yield task, work(task)

    second = segment_starts(source)[1]

    def stop(done: int) -> None:
        if done > second:
            raise KeyboardInterrupt

    for charts, left in ((True, 2), (False, 3)):
        film = tmp_path / "film.mp4"
        with pytest.raises(KeyboardInterrupt):
            write_film(VideoRange(source), overlay(), film, InProcess(), stop)
        assert not film.exists()
        executor = Counting()
        write_film(VideoRange(source), overlay(charts=charts), film, executor)
        assert executor.started == left
        assert film.read_bytes() == (tmp_path / f"{charts}.mp4").read_bytes()
        film.unlink()


def test_segments_that_a_power_cut_has_damaged_are_drawn_again(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "c.mp4", SMOOTH, size=(320, 192))
    write_film(VideoRange(source), overlay(), tmp_path / "whole.mp4", InProcess())
    third = segment_starts(source)[2]

    def stop(done: int) -> None:
        if done > third:
            raise KeyboardInterrupt

    film = tmp_path / "film.mp4"
    for damage in (lambda content: b"", lambda content: content[: len(content) // 2]):
        with pytest.raises(KeyboardInterrupt):
            write_film(VideoRange(source), overlay(), film, InProcess(), stop)
        first, *_ = sorted(tmp_path.glob("film.partial/*.packets"))
        first.write_bytes(damage(first.read_bytes()))
        write_film(VideoRange(source), overlay(), film, InProcess())
        assert film.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
        film.unlink()


def test_a_run_that_is_killed_while_it_draws_goes_on_with_the_same_bytes(tmp_path: Path) -> None:
    """Killed by the system, not by an interrupt."""
    source = clip_of(tmp_path / "plain.mp4", 2 * demo_pictures()[:260])
    command = [sys.executable, "-m", "ferwatch", str(source), "--quiet", "--sample-fps", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = tmp_path / "run"
    with subprocess.Popen([*command, "--threads", "1", "--out", str(out)], env=environment) as run:
        while run.poll() is None and not any(out.glob("annotated.partial/[0-9]*.packets")):
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
    assert not (out / "annotated.mp4").exists(), "it was killed too late"
    options = AnalysisOptions(sampling=Sampling(fps=1))
    classifier: Classifier = load_classifier(options)
    write_run(source, out, options, classifier, resume=True)
    whole = write_run(source, tmp_path / "whole", options, classifier)
    assert {f.name for f in out.iterdir()} == {f.name for f in whole.files}
    assert (out / "annotated.mp4").read_bytes() == (whole.folder / "annotated.mp4").read_bytes()
