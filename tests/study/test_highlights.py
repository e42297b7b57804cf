"""`ferwatch highlights`: the moments that are listed, and the clips that are cut of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import make_clip
from command_line import Ferwatch, in_process
from made_runs import make_run

from ferwatch.utils.files import fingerprint
from ferwatch.video.writer import AnnotatedVideo, annotated_video

FPS, SECONDS = 10, 12
EPISODES = [
    (1, "neutral", 0.0, 3.0),
    (1, "happy", 3.0, 5.0),
    (1, "neutral", 5.0, 7.0),
    (1, "sad", 7.0, 10.5),
    (1, "neutral", 10.5, 12.0),
]


@pytest.fixture
def ferwatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ferwatch:
    monkeypatch.chdir(tmp_path)
    return in_process


def write_video(path: Path, base: int, tones: int = 1) -> None:
    """Pictures of one gray level: `base` and one more for every tenth of a second; with so many tracks of a tone."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"crf": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        tracks = [out.add_stream("aac", rate=16_000, layout="mono") for _ in range(tones)]
        for i in range(FPS * SECONDS):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), base + i, np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        for start in range(0, 16_000 * SECONDS, 1024):
            wave = np.sin(np.arange(start, start + 1024) / 10).astype(np.float32)[None] * 0.2
            tone = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            tone.sample_rate, tone.pts = 16_000, start
            for sound in tracks:
                out.mux(sound.encode(tone))
        for sound in tracks:
            out.mux(sound.encode())


def levels(path: Path) -> list[int]:
    with av.open(str(path)) as source:
        return [round(float(f.to_ndarray(format="rgb24").mean())) for f in source.decode(video=0)]


def test_moments_are_listed_by_kind(ferwatch: Ferwatch, tmp_path: Path) -> None:
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", EPISODES)
    done = ferwatch("highlights", "talk-ferwatch")
    assert done.returncode == 0, done.stderr
    with open("talk-ferwatch/highlights/highlights.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    longest = [(line["emotion"], float(line["value"])) for line in lines if line["kind"] == "longest"]
    assert longest == [("sad", 3.5), ("happy", 2.0)]
    sudden = [float(line["value"]) for line in lines if line["kind"] == "most sudden"]
    assert sudden == pytest.approx([0.79, 0.79])  # from 0.03 to 0.82
    only = ferwatch("highlights", "talk-ferwatch", "--emotion", "happy", "--top", "1")
    assert "sad" not in only.stdout
    assert ferwatch("highlights", "talk-ferwatch", "--emotion", "fear").stdout.startswith("talk-ferwatch: there is no")


def test_clips_show_the_moments_and_the_reel_shows_all(ferwatch: Ferwatch, tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4", 20)
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", EPISODES)
    done = ferwatch("highlights", "talk-ferwatch", "--clips")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "talk-ferwatch" / "highlights"
    clips = sorted(out.glob("0*.mp4"))
    assert [clip.name for clip in clips] == ["01-happy-face1-2-0s.mp4", "02-sad-face1-6-0s.mp4"]
    shown = [levels(clip) for clip in clips]
    # A second before the start and after the end: 2 to 6 s, and 6 to 11.5 s, at ten pictures a second.
    for values, first, count in zip(shown, (20 + 20, 20 + 60), (40, 55), strict=True):
        assert len(values) == count
        assert abs(values[0] - first) <= 2
        assert abs(values[-1] - (first + count - 1)) <= 2
    reel = levels(out / "reel.mp4")
    assert len(reel) == 95
    assert np.abs(np.array(reel) - np.array(shown[0] + shown[1])).max() <= 1
    with av.open(str(out / "reel.mp4")) as source:
        assert source.streams.audio
        assert source.duration / av.time_base == pytest.approx(9.5, abs=0.2)


def test_a_reel_joins_clips_of_one_beginning_with_all_their_sound(ferwatch: Ferwatch, tmp_path: Path) -> None:
    """The sound of a video begins before its pictures, which prime the decoder, and the last packet of a clip outlasts
    its pictures."""
    write_video(tmp_path / "talk.mp4", 20, tones=2)
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", [(1, "happy", 0.0, 1.0), (2, "sad", 0.5, 2.0)])
    done = ferwatch("highlights", "talk-ferwatch", "--clips", "--out", "cuts")
    assert done.returncode == 0, done.stderr
    clips = sorted((tmp_path / "cuts").glob("0*.mp4"))
    assert [clip.name for clip in clips] == ["01-happy-face1-0-0s.mp4", "02-sad-face2-0-0s.mp4"]
    assert levels(tmp_path / "cuts" / "reel.mp4") == [level for clip in clips for level in levels(clip)]
    with av.open(str(tmp_path / "cuts" / "reel.mp4")) as reel:
        assert [float(track.duration * track.time_base) for track in reel.streams] == pytest.approx([5.0] * 3, abs=0.15)


def test_a_clip_is_open_from_its_first_frame_to_its_last(
    ferwatch: Ferwatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "talk.mp4", 20)
    # With a second before and after them, the first two overlap.
    shown = [(1, "happy", 1.0, 2.0), (1, "sad", 2.25, 3.0), (1, "happy", 5.5, 6.5), (1, "sad", 9.0, 9.5)]
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", [*shown, (1, "happy", 20.0, 21.0)])
    open_now, most = 0, 0

    @contextmanager
    def counted(*arguments: Any) -> Iterator[AnnotatedVideo]:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        with annotated_video(*arguments) as one:
            yield one
        open_now -= 1

    monkeypatch.setattr("ferwatch.video.writer.annotated_video", counted)
    done = ferwatch("highlights", "talk-ferwatch", "--clips")
    assert done.returncode == 0, done.stderr
    assert (open_now, most) == (0, 2)
    clips = sorted((tmp_path / "talk-ferwatch" / "highlights").glob("0*.mp4"))
    # The fifth lies behind the end of the video.
    assert [len(levels(clip)) for clip in clips] == [30, 27, 30, 25]
    assert [levels(clip)[0] for clip in clips] == pytest.approx([20, 33, 65, 100], abs=2)


def test_a_clip_ends_while_its_last_picture_is_still_shown(ferwatch: Ferwatch, tmp_path: Path) -> None:
    """After two seconds the video shows one picture for a minute, as a screen that is shared."""
    make_clip(tmp_path / "talk.mp4", [i / 10 for i in range(20)], last=60.0)
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", [(1, "happy", 1.0, 3.0)])
    done = ferwatch("highlights", "talk-ferwatch", "--clips")
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "talk-ferwatch" / "highlights" / "01-happy-face1-0-0s.mp4")) as clip:
        assert clip.duration / av.time_base == pytest.approx(4.0, abs=0.05)


def test_the_name_of_a_clip_gives_a_time_that_it_shows(ferwatch: Ferwatch, tmp_path: Path) -> None:
    """A run with --start 7 of which only annotated.mp4 is left, which begins there."""
    run = make_run(tmp_path / "talk-ferwatch", "talk.mp4", [(1, "happy", 7.5, 8.0), (1, "sad", 9.5, 10.0)])
    facts = json.loads((run / "run.json").read_text())
    facts["sampling"]["start"] = 7.0
    (run / "run.json").write_text(json.dumps(facts))
    write_video(run / "annotated.mp4", 20)
    done = ferwatch("highlights", run, "--clips")
    assert done.returncode == 0, done.stderr
    clips = {clip.name: levels(clip)[0] for clip in (run / "highlights").glob("0*.mp4")}
    assert clips == pytest.approx({"01-happy-face1-7-0s.mp4": 20, "02-sad-face1-8-5s.mp4": 35}, abs=2)


def test_clips_of_an_earlier_call_do_not_stay(ferwatch: Ferwatch, tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4", 20)
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", EPISODES)
    out = tmp_path / "talk-ferwatch" / "highlights"
    assert ferwatch("highlights", "talk-ferwatch", "--clips").returncode == 0
    (out / "01-my own.mp4").touch()
    assert ferwatch("highlights", "talk-ferwatch", "--emotion", "sad", "--clips").returncode == 0
    assert {file.name for file in out.glob("*.mp4")} == {"01-my own.mp4", "01-sad-face1-6-0s.mp4", "reel.mp4"}
    done = ferwatch("highlights", "talk-ferwatch", "--emotion", "fear")
    assert done.returncode == 0
    assert "removed, because an earlier call wrote them: 01-sad-face1-6-0s.mp4, reel.mp4" in done.stdout
    assert {file.name for file in out.glob("*.mp4")} == {"01-my own.mp4"}


def test_the_files_of_others_are_neither_removed_nor_replaced(ferwatch: Ferwatch, tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4", 20)
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", EPISODES)
    out = tmp_path / "cuts"
    out.mkdir()
    theirs = {out / "reel.mp4": b"a film", out / "01-happy-face1-2-0s.mp4": b"a clip"}
    for file, content in theirs.items():
        file.write_bytes(content)
        refused = ferwatch("highlights", "talk-ferwatch", "--out", out, "--clips")
        assert refused.returncode == 1
        assert "would be replaced" in refused.stderr
        assert "name another folder with --out" in refused.stderr
    (out / "01-happy-face1-2-0s.mp4").unlink()
    for _ in range(2):
        assert ferwatch("highlights", "talk-ferwatch", "--out", out).returncode == 0
    assert (out / "reel.mp4").read_bytes() == b"a film"
    assert "reel.mp4 would be replaced" in ferwatch("highlights", "talk-ferwatch", "--out", out, "--clips").stderr
    (out / "highlights.csv").write_text("my,own\n1,2\n")
    refused = ferwatch("highlights", "talk-ferwatch", "--out", out)
    assert refused.returncode == 1
    assert "highlights.csv is not one of ferwatch's; name another folder with --out" in refused.stderr
    assert (out / "highlights.csv").read_text() == "my,own\n1,2\n"
    assert (out / "reel.mp4").read_bytes() == b"a film"


def test_without_a_video_the_clips_of_an_earlier_call_stay(ferwatch: Ferwatch, tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4", 20)
    make_run(tmp_path / "talk-ferwatch", "talk.mp4", EPISODES)
    assert ferwatch("highlights", "talk-ferwatch", "--clips").returncode == 0
    out = tmp_path / "talk-ferwatch" / "highlights"
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    (tmp_path / "talk.mp4").unlink()
    assert ferwatch("highlights", "talk-ferwatch", "--emotion", "sad", "--clips").returncode == 1
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_clips_of_a_blurred_run_come_from_the_blurred_video_alone(ferwatch: Ferwatch, tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4", 20)
    run = make_run(tmp_path / "talk-ferwatch", "talk.mp4", EPISODES)
    facts = json.loads((run / "run.json").read_text())
    facts["settings"]["blurred faces"] = True
    (run / "run.json").write_text(json.dumps(facts))
    done = ferwatch("highlights", run, "--clips")
    assert done.returncode == 1
    assert "there is no blurred video" in done.stderr
    assert not list((run / "highlights").glob("*.mp4"))
    write_video(run / "annotated.mp4", 100)
    assert ferwatch("highlights", run, "--clips").returncode == 0
    assert min(levels(run / "highlights" / "reel.mp4")) >= 100


def test_clips_come_from_the_linked_video_and_not_from_a_namesake(ferwatch: Ferwatch, tmp_path: Path) -> None:
    run = make_run(tmp_path / "there" / "talk-ferwatch", "talk.mp4", EPISODES)
    write_video(tmp_path / "there" / "talk.mp4", 20)
    write_video(tmp_path / "talk.mp4", 100)
    assert ferwatch("highlights", run, "--clips").returncode == 0
    assert max(levels(run / "highlights" / "01-happy-face1-2-0s.mp4")) < 100
    (tmp_path / "there" / "talk.mp4").unlink()
    done = ferwatch("highlights", run, "--clips")
    assert done.returncode == 1
    assert "put talk.mp4 back, or beside the run folder" in done.stderr
    # The moved video itself is known by its content.
    facts = json.loads((run / "run.json").read_text())
    facts["settings"]["video"] = {"name": "talk.mp4", **fingerprint(tmp_path / "talk.mp4")}
    (run / "run.json").write_text(json.dumps(facts))
    assert ferwatch("highlights", run, "--clips").returncode == 0
    assert min(levels(run / "highlights" / "01-happy-face1-2-0s.mp4")) >= 100


def test_clips_show_the_stream_that_the_run_analysed(ferwatch: Ferwatch, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "talk.mkv"), "w") as out:
        streams = [out.add_stream("libx264", rate=FPS) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(FPS * SECONDS):
            for stream, level in zip(streams, (40, 180), strict=True):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), "rgb24")))
        for stream in streams:
            out.mux(stream.encode())
    run = make_run(tmp_path / "talk-ferwatch", "talk.mkv", EPISODES)
    facts = json.loads((run / "run.json").read_text())
    facts["settings"] |= {"decoder": "ffmpeg", "stream": 1, "fps": None}
    (run / "run.json").write_text(json.dumps(facts))
    done = ferwatch("highlights", run, "--clips")
    assert done.returncode == 0, done.stderr
    assert min(levels(run / "highlights" / "reel.mp4")) > 150
