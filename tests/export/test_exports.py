"""Every export of one run, read back by something that is not ferwatch."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pandas as pd
import pympi
import pytest
import webvtt
from tables import one_face, showing, story_frames, write_frames

from ferwatch.errors import OutputError
from ferwatch.export.html_page import _data
from ferwatch.export.registry import EXPORTS, write_timeline
from ferwatch.records import FrameResult
from ferwatch.timeline.build import build_timeline
from ferwatch.timeline.model import LABELS, Timeline
from ferwatch.timeline.table import read_frames_csv

NAMES = {1: "</script>", 2: 'Łucja "Lu" O\'Neil & <b>Ωmega</b> --> 東京', 3: "=1+1, {x};"}
VIDEO = "interview 3 'final' \"cut\" — Łódź 東京 & <b>.mp4"

Told = tuple[str, str, int, int]
"""Name of the face, emotion, start and end in milliseconds."""


def timeline_of(folder: Path, **facts: object) -> Timeline:
    rows = write_frames(folder / "frames.csv", story_frames())
    given = {"source": VIDEO, "video": VIDEO, "duration": 20.0, "fps": 30.0, "names": NAMES}
    return build_timeline(read_frames_csv(rows), **{**given, **facts})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    return timeline_of(tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="module")
def folder(timeline: Timeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run folder")
    write_timeline(folder, timeline, EXPORTS)
    return folder


@pytest.fixture(scope="module")
def told(timeline: Timeline) -> list[Told]:
    """The episodes in the order of episodes.csv."""
    assert len(timeline.episodes) > 8
    return [(NAMES[e.face_id], e.emotion, round(e.start * 1000), round(e.end * 1000)) for e in timeline.episodes]


def by_time(told: list[Told]) -> list[Told]:
    return sorted(told, key=lambda episode: episode[2])


def milliseconds(clock: str) -> int:
    hours, minutes, seconds = clock.replace(",", ".").split(":")
    return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000)


def test_episodes_csv(folder: Path, told: list[Told]) -> None:
    table = pd.read_csv(folder / "episodes.csv")
    assert list(table) == [
        "face_id",
        "emotion",
        "start",
        "end",
        "duration",
        "mean_confidence",
        "peak_time",
        "peak_confidence",
        "mean_valence",
    ]
    read = zip(table.face_id.map(NAMES), table.emotion, table.start * 1000, table.end * 1000, strict=True)
    assert [(name, emotion, round(start), round(end)) for name, emotion, start, end in read] == told
    assert (table.end - table.start - table.duration).abs().max() < 1e-9
    assert (table.duration >= 0.5).all()
    assert ((table.start <= table.peak_time) & (table.peak_time < table.end)).all()
    assert (table.mean_confidence <= table.peak_confidence).all()
    assert table.mean_confidence.between(0.3, 1).all()


def test_valence(folder: Path, timeline: Timeline, tmp_path: Path) -> None:
    """Happy less the strongest negative emotion: in every row, and its mean in every episode."""
    timeline_of(tmp_path)
    rows = pd.read_csv(tmp_path / "frames.csv")
    worst = rows[["angry", "disgust", "fear", "sad"]].max(axis=1)
    np.testing.assert_allclose(rows.valence, (rows.happy - worst).round(4), atol=1e-9)
    assert list(rows)[-1] == "valence"
    for episode in pd.read_csv(folder / "episodes.csv").itertuples():
        inside = rows[(rows.face_id == episode.face_id) & rows.timestamp.between(episode.start, episode.end)]
        assert inside.valence.mean() == pytest.approx(episode.mean_valence, abs=0.02)
    parquet = pd.read_parquet(folder / "frames.parquet")
    smooth = parquet[[f"smoothed_{name}" for name in ("angry", "disgust", "fear", "sad")]].max(axis=1)
    np.testing.assert_allclose(parquet.smoothed_valence, parquet.smoothed_happy - smooth, atol=1e-4)
    for face in timeline.summary.faces:
        own = rows[rows.face_id == face.face_id]
        assert face.mean_valence == pytest.approx(own.valence.mean(), abs=0.02)


def test_json(folder: Path, told: list[Told]) -> None:
    run = json.loads((folder / "timeline.json").read_text(encoding="utf-8"))
    read = [(run["names"][str(e["face_id"])], e["emotion"], e["start"], e["end"]) for e in run["episodes"]]
    assert [(name, emotion, round(s * 1000), round(e * 1000)) for name, emotion, s, e in read] == told
    assert [e["episode"] for e in run["episodes"]] == list(range(1, len(told) + 1))
    assert run["video"] == {"file": VIDEO, "duration": 20.0, "fps": 30.0}
    assert len(run["frames"]) == 200
    assert run["frames"][-1] == {"frame": 597, "timestamp": story_frames()[-1].timestamp, "duration": None, "faces": []}
    face = run["frames"][10]["faces"][0]
    assert face["probabilities"] == [round(p, 4) for p in story_frames()[10].faces[0].probabilities]
    assert sum(face["smoothed"]) == pytest.approx(1, abs=1e-3)


def test_parquet(folder: Path, told: list[Told], tmp_path: Path) -> None:
    timeline_of(tmp_path)
    csv = pd.read_csv(tmp_path / "frames.csv")
    table = pd.read_parquet(folder / "frames.parquet")
    assert len(table) == len(csv)
    for column in csv:
        if column == "success":
            assert (table[column] == csv[column].astype(bool)).all()
        elif column == "emotion":
            assert table[column].equals(csv[column].where(csv[column].notna(), None))
        else:
            np.testing.assert_array_equal(table[column].to_numpy(dtype=float), csv[column].to_numpy(dtype=float))
    assert table[~table.success].drop(columns=["frame", "timestamp", "success"]).isna().all(axis=None)

    episodes = table.dropna(subset="episode").groupby("episode").first()
    read = [
        (NAMES[e.face_id], e.episode_emotion, round(e.episode_start * 1000), round(e.episode_end * 1000))
        for e in episodes.itertuples()
    ]
    assert read == told
    inside = table.dropna(subset="episode")
    assert inside.timestamp.between(inside.episode_start, inside.episode_end).all()


def test_parquet_without_pyarrow_says_what_to_install(
    timeline: Timeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OutputError, match=r"^[^\n]*pip install 'ferwatch\[parquet\]'[^\n]*$"):
        write_timeline(tmp_path, timeline, ["parquet"])
    assert not list(tmp_path.glob("*.parquet"))


@pytest.mark.parametrize("name", ["annotated.vtt", "annotated.srt"])
def test_subtitles(folder: Path, told: list[Told], name: str) -> None:
    read: Callable[[Path], webvtt.WebVTT] = webvtt.read if name.endswith("vtt") else webvtt.from_srt
    captions = list(read(folder / name))
    assert [(milliseconds(c.start), milliseconds(c.end)) for c in captions] == [e[2:] for e in by_time(told)]
    if name.endswith("vtt"):
        assert [int(c.identifier) for c in captions] == [told.index(e) + 1 for e in by_time(told)]
    # The decoder that players use.
    with av.open(str(folder / name)) as container:
        packets = [p for p in container.demux() if p.size]
        texts = [bytes(p).decode() for p in packets]
        base = packets[0].time_base
    times = [(round(p.pts * base * 1000), round((p.pts + p.duration) * base * 1000)) for p in packets]
    assert times == [e[2:] for e in by_time(told)]
    for text, (face, emotion, *_) in zip(texts, by_time(told), strict=True):
        shown = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("→", "-->")
        assert shown.startswith(f"{face}: {emotion} ")
        assert shown.endswith("%")
        assert "-->" not in text


@pytest.mark.parametrize("name", ["annotated.vtt", "annotated.srt"])
def test_subtitles_begin_and_end_with_the_annotated_video(tmp_path: Path, name: str) -> None:
    facts = {"start": 6.0, "end": 9.0}
    rows = write_frames(tmp_path / "frames.csv", [f for f in story_frames() if 6 <= f.timestamp < 9])
    read: Callable[[Path], webvtt.WebVTT] = webvtt.read if name.endswith("vtt") else webvtt.from_srt

    def times(has_annotated_video: bool) -> list[tuple[int, int]]:
        timeline = build_timeline(read_frames_csv(rows), **facts, has_annotated_video=has_annotated_video)
        write_timeline(tmp_path, timeline, [name[-3:]])
        return [(milliseconds(c.start), milliseconds(c.end)) for c in read(tmp_path / name)]

    source, beside = times(False), times(True)
    assert beside == [(start - 6000, end - 6000) for start, end in source]
    assert min(start for start, _ in beside) < 100
    assert max(end for _, end in beside) == 3000


def test_elan(folder: Path, told: list[Told]) -> None:
    eaf = pympi.Elan.Eaf(str(folder / "episodes.eaf"))
    assert list(eaf.get_tier_names()) == list(NAMES.values())
    read = [
        (tier, value, start, end)
        for tier in eaf.get_tier_names()
        for start, end, value in sorted(eaf.get_annotation_data_for_tier(tier))
    ]
    assert read == told
    assert eaf.media_descriptors[0]["RELATIVE_MEDIA_URL"] == f"./{VIDEO}"
    vocabulary = eaf.controlled_vocabularies["emotion"][1]
    assert [entry[0][0][0] for entry in vocabulary.values()] == list(LABELS)
    for tier in eaf.get_tier_names():
        kind = eaf.linguistic_types[eaf.get_parameters_for_tier(tier)["LINGUISTIC_TYPE_REF"]]
        assert kind["CONTROLLED_VOCABULARY_REF"] == "emotion"


def test_elan_structure(folder: Path) -> None:
    """What the schema of EAF 2.8 asks for and a reader does not check: order, ids that are unique and referred to."""
    root = ElementTree.parse(folder / "episodes.eaf").getroot()
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LANGUAGE", "CONSTRAINT", "CONTROLLED_VOCABULARY"]
    places = [order.index(child.tag) for child in root]
    assert places == sorted(places)
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    used = [a.get(f"TIME_SLOT_REF{i}") for a in root.iter("ALIGNABLE_ANNOTATION") for i in (1, 2)]
    assert sorted(map(str, used)) == sorted(map(str, slots))
    ids = [a.get("ANNOTATION_ID") for a in root.iter("ALIGNABLE_ANNOTATION")]
    assert ids == [f"a{i + 1}" for i in range(len(ids))]


def test_tsv(folder: Path, told: list[Told]) -> None:
    table = pd.read_csv(folder / "episodes.tsv", sep="\t")
    read = zip(table.tier, table.annotation, table.begin, table.end, strict=True)
    assert [(tier, emotion, round(s * 1000), round(e * 1000)) for tier, emotion, s, e in read] == told


def test_boris(folder: Path, told: list[Told]) -> None:
    project = json.loads((folder / "episodes.boris").read_text(encoding="ascii"))
    assert project["project_format_version"] == "7.0"
    assert [subject["name"] for subject in project["subjects_conf"].values()] == list(NAMES.values())
    behaviours = project["behaviors_conf"].values()
    assert [(b["code"], b["type"]) for b in behaviours] == [(label, "State event") for label in LABELS]
    assert len({b["key"] for b in behaviours}) == len(LABELS)
    (observation,) = project["observations"].values()
    assert observation["file"]["1"] == [VIDEO]
    assert observation["media_info"]["length"] == {VIDEO: 20.0}
    assert observation["media_info"]["fps"] == {VIDEO: 30.0}

    # As BORIS pairs them: per subject and behaviour, in the order of the list.
    events = observation["events"]
    assert [e[0] for e in events] == sorted(e[0] for e in events)
    running: dict[tuple[str, str], int] = {}
    read = []
    for time, subject, code, modifier, comment, frame in events:
        start = running.pop((subject, code), None)
        if start is None:
            assert subject not in [name for name, _ in running], "two emotions of one face at once"
            running[subject, code] = round(time * 1000)
            assert comment.startswith("mean confidence 0.")
        else:
            read.append((subject, code, start, round(time * 1000)))
        assert modifier == ""
        assert frame == pytest.approx(time * 30, abs=3)
        assert time < 20.0 or frame == 599, "the last of 600 frames"
    assert not running
    assert sorted(read) == sorted(told)


def test_the_same_run_gives_the_same_bytes(timeline: Timeline, folder: Path, tmp_path: Path) -> None:
    for path in write_timeline(tmp_path, timeline, EXPORTS):
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_a_run_without_faces(tmp_path: Path) -> None:
    rows = write_frames(tmp_path / "frames.csv", (FrameResult(i, i / 5, ()) for i in range(5)))
    written = write_timeline(tmp_path, build_timeline(read_frames_csv(rows)), EXPORTS)
    assert {path.name for path in written} <= {path.name for path in tmp_path.iterdir()}
    assert len(webvtt.read(tmp_path / "annotated.vtt")) == 0
    assert pympi.Elan.Eaf(str(tmp_path / "episodes.eaf")).get_tier_names() == {}.keys()
    assert len(pd.read_parquet(tmp_path / "frames.parquet")) == 5
    assert pd.read_csv(tmp_path / "episodes.csv").empty


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    """Linux allows any bytes; Python hands them on as surrogates, which UTF-8 cannot hold."""
    timeline = timeline_of(tmp_path, video="a\udcffb.mp4", source="a\udcffb.mp4")
    for path in write_timeline(tmp_path, timeline, EXPORTS):
        assert path.stat().st_size


def test_the_page_shows_no_picture_beyond_the_end_of_its_axis() -> None:
    times = np.arange(50) / 10
    table = replace(one_face(times, showing(["happy"] * 50)), duration=np.full(50, 0.1))
    data = _data(replace(build_timeline(table, duration=5.0), table=replace(table, duration=np.full(50, 4.0))))
    shown = np.frombuffer(base64.b64decode(str(data["shown"])), "<u4") / 1000
    assert (times + shown <= float(str(data["end"])) + 1e-3).all()
