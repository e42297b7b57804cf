"""`ferwatch study`: its tables against pandas and scipy called directly, its files, and what it says of bad plans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Ferwatch, in_process
from made_runs import make_run
from made_study import make_study
from scipy import stats

from ferwatch.records import EMOTIONS
from ferwatch.study.statistics import paired_difference
from ferwatch.study.tables import TABLE_COLUMNS
from ferwatch.timeline.model import LABELS


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    plan = make_study(folder, 9)
    done = in_process("study", plan, "--events", folder / "events.csv", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def ferwatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ferwatch:
    monkeypatch.chdir(tmp_path)
    return in_process


def runs_of(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All rows and all episodes of the plan's runs, by pandas alone."""
    plan = pd.read_csv(folder / "plan.csv")
    frames, episodes = [], []
    for line in plan.itertuples():
        about = {"participant": line.participant, "moment": line.moment, "group": line.group, "run": line.video}
        frames.append(pd.read_csv(folder / line.video / "frames.csv").assign(**about))
        episodes.append(pd.read_csv(folder / line.video / "episodes.csv").assign(**about))
    return pd.concat(frames, ignore_index=True), pd.concat(episodes, ignore_index=True)


def test_participants_are_what_pandas_computes_from_the_runs(study: Path) -> None:
    frames, episodes = runs_of(study)
    table = pd.read_csv(study / "out" / "participants.csv").set_index(["participant", "moment", "group", "emotion"])
    assert len(table) == 9 * 2 * len(LABELS)
    cells = ["participant", "moment", "group"]
    seconds = episodes.groupby([*cells, "emotion"])["duration"].sum()
    share = seconds / seconds.groupby(cells).transform("sum")
    mean = frames.groupby(cells)[list(EMOTIONS)].mean().stack()
    rows = frames.groupby(cells)["emotion"].value_counts(normalize=True)
    first = episodes.groupby([*cells, "emotion"])["start"].min()
    count = episodes.groupby([*cells, "emotion"]).size()
    length = episodes.groupby([*cells, "emotion"])["duration"].mean()
    for key, line in table.iterrows():
        *cell, emotion = key
        assert line["share_by_episodes"] == pytest.approx(share.get(key, 0.0), abs=1e-6)
        assert line["episodes_per_minute"] == pytest.approx(count.get(key, 0) * 3, abs=1e-5)  # of 20 s each
        if key in length:
            assert (line["mean_length"], line["first_onset"]) == pytest.approx((length[key], first[key]), abs=1e-6)
            assert line["mean_confidence"] == pytest.approx(0.82)
        else:
            assert np.isnan(line["mean_length"])
            assert np.isnan(line["first_onset"])
        if emotion != "uncertain":
            assert line["mean_probability"] == pytest.approx(mean[(*cell, emotion)], abs=1e-6)
            assert line["share_by_rows"] == pytest.approx(rows.get((*cell, emotion), 0.0), abs=1e-6)
    negative = frames[["angry", "disgust", "fear", "sad"]].max(axis=1)
    valence = (frames["happy"] - negative).groupby([frames[c] for c in cells]).mean()
    for key, line in table.xs("happy", level="emotion").iterrows():
        assert line["mean_valence"] == pytest.approx(valence[key], abs=1e-6)


def test_contrasts_are_what_scipy_computes_from_the_participants(study: Path) -> None:
    people = pd.read_csv(study / "out" / "participants.csv")
    contrasts = pd.read_csv(study / "out" / "contrasts.csv")
    for emotion in ("happy", "sad", "neutral"):
        wide = people[people.emotion == emotion].pivot(
            index="participant", columns="moment", values="share_by_episodes"
        )
        test = stats.ttest_rel(wide["after"], wide["before"])
        line = contrasts.query("condition == 'moment' and measure == 'share_by_episodes' and emotion == @emotion").iloc[
            0
        ]
        assert (line.design, line.level_a, line.level_b, line.n_a) == ("paired", "before", "after", 9)
        assert (line.t, line.p) == pytest.approx((test.statistic, test.pvalue), rel=1e-3)
        changes = wide["after"] - wide["before"]
        assert line.difference == pytest.approx(changes.mean(), abs=1e-5)
        # Hedges' correction for 8 degrees of freedom, from his table.
        assert line.effect_size == pytest.approx(changes.mean() / changes.std() * 0.9027, rel=1e-3)
        assert line.low < line.difference < line.high
    family = contrasts.query("condition == 'moment' and measure == 'share_by_episodes'")
    tested = family.dropna(subset="p")
    assert tested.p_adjusted.to_numpy() == pytest.approx(stats.false_discovery_control(tested.p), abs=1e-5)
    untested = family[family.p.isna()]
    assert untested.note.str.len().gt(0).all()


def test_groups_of_other_people_are_compared_by_welchs_test(tmp_path: Path, ferwatch: Ferwatch) -> None:
    plan = make_study(tmp_path, 14)
    assert ferwatch("study", plan, "--out", "out").returncode == 0
    episodes = pd.read_csv("out/episodes.csv")
    seconds = episodes.pivot_table(index=["group", "participant"], columns="emotion", values="duration", aggfunc="sum")
    share = seconds["happy"] / seconds.sum(axis=1)
    test = stats.ttest_ind(share["old"], share["young"], equal_var=False)
    line = (
        pd.read_csv("out/contrasts.csv")
        .query("condition == 'group' and measure == 'share_by_episodes' and emotion == 'happy'")
        .iloc[0]
    )
    assert (line.design, line.level_a, line.level_b, line.n_a, line.n_b) == ("independent", "young", "old", 7, 7)
    assert (line.t, line.p) == pytest.approx((test.statistic, test.pvalue), rel=1e-3)


def test_rows_and_events_follow_from_the_runs(study: Path) -> None:
    frames, _ = runs_of(study)
    rows = pd.read_csv(study / "out" / "rows.csv")
    assert rows["happy"].to_numpy() == pytest.approx(frames["happy"].to_numpy())
    assert list(rows.columns[:4]) == ["recording", "participant", "moment", "group"]
    parquet = pd.read_parquet(study / "out" / "rows.parquet")
    assert list(parquet.columns) == list(rows.columns)
    assert parquet["happy"].to_numpy() == pytest.approx(rows["happy"].to_numpy())

    events = pd.read_csv(study / "out" / "events.csv")
    joke = pd.read_csv(study / "events.csv").iloc[3]
    own = frames[frames.run == joke.video]
    since = (own.timestamp - joke.time).round(3)
    before = own[(since >= -2) & (since < 0)]["happy"].mean()
    line = events[
        (events.recording == Path(joke.video).name) & (events.curve == "happy") & (events.bin_start == 1)
    ].iloc[0]
    assert line["mean"] == pytest.approx(own[(since >= 1) & (since < 1.5)]["happy"].mean(), abs=1e-6)
    assert line["change"] == pytest.approx(line["mean"] - before, abs=1e-6)


def test_every_file_is_there_and_none_names_a_folder_of_this_machine(study: Path) -> None:
    out = study / "out"
    names = {"participants.png", "condition-moment.svg", "condition-group.png", "event-joke.png", "methods.md"}
    assert names <= {file.name for file in out.iterdir()}
    for file in out.iterdir():
        if file.suffix in (".csv", ".md", ".html", ".svg"):
            assert str(study) not in file.read_text(encoding="utf-8"), file.name
    methods = (out / "methods.md").read_text(encoding="utf-8")
    assert "18 recordings of 9 participants" in methods
    assert "10 frames a second" in methods
    assert "@software{ferwatch" in methods


def test_the_same_study_gives_the_same_bytes(study: Path) -> None:
    done = in_process("study", study / "plan.csv", "--events", study / "events.csv", "--out", study / "again")
    assert done.returncode == 0
    for file in (study / "out").iterdir():
        if file.suffix != ".parquet":
            assert file.read_bytes() == (study / "again" / file.name).read_bytes(), file.name


def test_a_plan_that_excel_saved_is_read(tmp_path: Path, ferwatch: Ferwatch) -> None:
    episodes = [(1, "neutral", 0.0, 5.0), (1, "happy", 5.0, 10.0), (2, "sad", 0.0, 4.0)]
    make_run(tmp_path / "runs" / "Gespräch", "Gespräch.mp4", episodes)
    lines = (
        "Video;Participant;Bedingung;Start;End;Face;",
        "runs\\Gespräch;Ü;kalt;0;5,5;1;",
        "runs\\Gespräch;Ü;warm;0:05.5;;1;",
        ";;;;;;",
    )
    (tmp_path / "plan.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    done = ferwatch("study", "plan.csv", "--out", "out")
    assert done.returncode == 0, done.stderr
    people = pd.read_csv("out/participants.csv").set_index(["Bedingung", "emotion"])["share_by_episodes"]
    assert people["kalt", "happy"] == pytest.approx(0.5 / 5.5, abs=1e-6)
    assert people["warm", "happy"] == 1
    assert pd.read_csv("out/recordings.csv")["recording"].tolist() == ["Gespräch", "Gespräch#2"]
    assert "too few people: 1 in both levels, 6 are needed" in done.stdout
    contrasts = pd.read_csv("out/contrasts.csv")
    assert contrasts["p"].isna().all()
    assert contrasts["low"].isna().all()


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("video,condition\na.mp4,x\n", "it lacks the column participant"),
        ("video,participant\n", "has no lines"),
        ("video,participant,face\nr,A,first\n", "line 2: face: 'first' is no face_id"),
        ("video,participant,start,end\nr,A,5,4\n", "line 2: end (4 s) is not after start (5 s)"),
        ("video,participant,moment\nr,A,\n", "line 2: moment is empty"),
        *(
            (f"video,participant,{name}\nr,A,x\n", f"plan.csv: the column {name} has the name of a column")
            for name in (
                "emotion",
                "rows",
                "recordings",
                "mean",
                "curve",
                "baseline",
                "mean_before",
                "share_by_rows",
                "frames",
            )
        ),
        ("video,participant,face\nr,A,7\n", "the plan names face 7, and the faces of r are: 1"),
        ("video,participant,start\nr,A,99\n", "no frame was sampled from 99 s to the end"),
        ("video,participant\nrun that is not there,A\n", "run that is not there"),
    ],
)
def test_a_bad_plan_is_said_in_a_line(tmp_path: Path, ferwatch: Ferwatch, plan: str, said: str) -> None:
    make_run(tmp_path / "r", "r.mp4", [(1, "happy", 0.0, 2.0)])
    (tmp_path / "plan.csv").write_text(plan)
    done = ferwatch("study", "plan.csv", "--out", "out")
    assert done.returncode == 1
    assert said in done.stderr


def test_no_column_of_the_tables_may_name_a_condition(study: Path) -> None:
    own = {"moment", "group"}
    for table in ("rows", "recordings", "episodes", "participants", "events"):
        assert set(pd.read_csv(study / "out" / f"{table}.csv", nrows=1).columns) - own <= TABLE_COLUMNS


def test_tables_without_rows_have_the_whole_header(study: Path, tmp_path: Path, ferwatch: Ferwatch) -> None:
    make_run(tmp_path / "r", "r.mp4", [], end=3.0)
    (tmp_path / "plan.csv").write_text("video,participant,moment,group\nr,A,before,old\n")
    (tmp_path / "events.csv").write_text("video,time,event\nr,1,joke\n")
    done = ferwatch("study", "plan.csv", "--events", "events.csv", "--out", "out")
    assert done.returncode == 0, done.stderr
    for name in ("events.csv", "episodes.csv"):
        with open(study / "out" / name) as full:
            assert (tmp_path / "out" / name).read_text() == full.readline()


def test_an_event_outside_the_plan_is_said(tmp_path: Path, ferwatch: Ferwatch) -> None:
    make_run(tmp_path / "r", "r.mp4", [(1, "happy", 0.0, 2.0)])
    (tmp_path / "plan.csv").write_text("video,participant\nr,A\n")
    for line, said in (
        ("other.mp4,1,joke", "other.mp4 is not in the plan"),
        ("r,soon,joke", "time: 'soon' is no time"),
    ):
        (tmp_path / "events.csv").write_text(f"video,time,event\n{line}\n")
        done = ferwatch("study", "plan.csv", "--events", "events.csv", "--out", "out")
        assert done.returncode == 1
        assert said in done.stderr


def test_the_interval_of_a_share_stays_where_shares_can_be(tmp_path: Path, ferwatch: Ferwatch) -> None:
    """Of six people five go from never to always, one to a fifth of the time: the bootstrap alone would go beyond 1."""
    lines = ["video,participant,moment"]
    changes = np.array([1.0] * 5 + [0.2])
    for person, share in enumerate(changes):
        shown = [(1, "happy", 0.0, 5 * share), (1, "neutral", 5 * share, 5.0)]
        make_run(tmp_path / f"{person}a", "a.mp4", [(1, "neutral", 0.0, 5.0)])
        make_run(tmp_path / f"{person}b", "b.mp4", [episode for episode in shown if episode[2] < episode[3]])
        lines += [f"{person}a,P{person},before", f"{person}b,P{person},after"]
    (tmp_path / "plan.csv").write_text("\n".join(lines) + "\n")
    assert ferwatch("study", "plan.csv", "--out", "out").returncode == 0
    table = pd.read_csv("out/contrasts.csv").query("measure == 'share_by_episodes'").set_index("emotion")
    alone = paired_difference(np.zeros(6), changes)
    assert alone.high > 1
    assert table.loc["happy", ["low", "high"]].tolist() == pytest.approx([alone.low, 1.0], abs=1e-6)
    assert table.loc["neutral", ["low", "high"]].tolist() == pytest.approx([-1.0, -alone.low], abs=1e-6)
