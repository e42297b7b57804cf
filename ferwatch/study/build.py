"""Runs a study: reads a plan and writes a folder of tables, figures, a page and a methods text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ferwatch.errors import DataError, FerwatchError, OutputError
from ferwatch.study.analysis import StudyProgress, find_runs
from ferwatch.study.contrasts import contrast_table
from ferwatch.study.events import event_rows
from ferwatch.study.figures import write_figures
from ferwatch.study.methods import methods_text, part_of_facts
from ferwatch.study.page import write_page
from ferwatch.study.participants import Row, participant_table
from ferwatch.study.plan import Plan, read_plan
from ferwatch.study.recordings import StudyRecording, read_recording
from ferwatch.study.tables import (
    EPISODE_COLUMNS,
    EVENT_COLUMNS,
    check_names,
    episode_rows,
    recording_rows,
    rows_writer,
    write_table,
)
from ferwatch.utils.files import atomic_write, make_folder
from ferwatch.utils.wording import counted

if TYPE_CHECKING:
    from ferwatch.pipeline.options import AnalysisOptions


STUDY_TABLES = ("rows.csv", "recordings.csv", "episodes.csv", "participants.csv", "events.csv", "contrasts.csv")
"""Tables that a study writes."""


@dataclass(frozen=True)
class Study:
    """Result of a study: its recordings, files and notes."""

    folder: Path
    files: tuple[Path, ...]
    recordings: tuple[StudyRecording, ...]
    notes: tuple[str, ...]
    """Notes on what was left out, chosen, or could not be computed, one line each."""
    failures: tuple[str, ...]
    """Recordings that are missing from the study and the reason, one line each."""


def run_study(
    plan_file: Path,
    out: Path,
    *,
    events_file: Path | None = None,
    options: AnalysisOptions | None = None,
    jobs: int | None = None,
    overwrite: bool = False,
    report: StudyProgress = lambda done, total, cause: None,
) -> Study:
    """Analyses what is missing of a plan's recordings, and writes the study's tables, figures, page and methods text.

    Args:
        plan_file: see `read_plan`; events_file as well.
        options: how videos are analysed; None for the defaults.
        jobs: videos at a time; None: one a core.
        overwrite: replace runs that an earlier study made with other options.
        report: see `find_runs`.
    Raises DataError where the plan or a run cannot be read or no recording is left, and OutputError where the folder
    cannot be written, or holds an input or a file that no study has written under the name of one of its tables.
    """
    plan = read_plan(plan_file, events_file)
    check_names(plan_file, plan.conditions)
    _check_folder(out, [file for file in (plan_file, events_file) if file is not None], overwrite)
    make_folder(out)
    runs, failures = find_runs(plan, out, options, jobs, overwrite, report)
    recordings: list[StudyRecording] = []
    around: list[Row] = []
    unseen: list[str] = []
    with rows_writer(out, plan.conditions) as writer:
        last_use = {planned.path: number for number, planned in enumerate(plan.recordings)}
        for number, planned in enumerate(plan.recordings):
            # A run is released after its last use, so that a study need not fit in memory.
            run = runs.pop(planned.path, None) if last_use[planned.path] == number else runs.get(planned.path)
            if run is None:
                continue
            try:
                recording, table = read_recording(planned, run, out)
            except DataError as error:
                failures.append(str(error))
                continue
            writer.write(recording, table)
            for event in plan.events:
                if event.recording == planned.name:
                    rows = event_rows(recording, table, [event], plan.conditions)
                    if not rows:
                        unseen.append(f"{planned.name}: no face is seen around {event.event} at {event.time:g} s")
                    around += rows
            recordings.append(recording)
        if not recordings:
            raise FerwatchError(f"{plan_file}: no recording can be used: {'; '.join(failures)}")
    return _write(plan, tuple(recordings), around, failures, unseen, out)


def _check_folder(out: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    """Raise OutputError where the study would replace one of its inputs, or files that no study has written."""
    tables = [out / name for name in STUDY_TABLES]
    for file in inputs:
        if any(table.exists() and table.samefile(file) for table in tables):
            raise OutputError(f"{file} would be replaced by the study's own table; name another folder with --out")
    foreign = [table for table in tables if table.exists()]
    if foreign and not overwrite and not any((out / name).exists() for name in ("runs", "methods.md", "study.html")):
        raise OutputError(
            f"{foreign[0]} is there, but no study: name another folder with --out, or give --overwrite to replace it"
        )


def _different_settings(recordings: Sequence[StudyRecording]) -> list[str]:
    """Return a note on each setting in which the runs of the recordings differ."""
    settings: dict[str, set[str]] = {}
    for recording in recordings:
        model, sampling, timeline = (part_of_facts(recording, name) for name in ("model", "sampling", "timeline"))
        of_run = {
            "model": model.get("name"),
            "weights": str(model.get("weights_sha256"))[:12],
            "labels": recording.facts.get("labels"),
            "frames a second": sampling.get("fps"),
            "every Nth frame": sampling.get("every"),
            "smoothing": timeline.get("smoothing"),
            "shortest episode": timeline.get("min_episode"),
        }
        for name, value in of_run.items():
            settings.setdefault(name, set()).add(str(value))
    return [
        f"the recordings were not analysed alike ({name}: {', '.join(sorted(values))}): what differs between them may "
        "come from that"
        for name, values in settings.items()
        if len(values) > 1
    ]


def _write(
    plan: Plan,
    recordings: tuple[StudyRecording, ...],
    around: list[Row],
    failures: Sequence[str],
    unseen: Sequence[str],
    out: Path,
) -> Study:
    contrasts, notes = contrast_table(recordings, plan.conditions)
    notes = [
        *_different_settings(recordings),
        *(note for r in recordings for note in r.notes),
        *unseen,
        *notes,
        *_untested(contrasts),
    ]
    notes += [f"left out: {failure}" for failure in failures]
    files = [out / "rows.csv", *(p for p in (out / "rows.parquet",) if p.exists())]
    files.append(write_table(out / "recordings.csv", recording_rows(recordings, plan.conditions)))
    head = ("recording", "participant", *plan.conditions)
    episodes = episode_rows(recordings, plan.conditions)
    files.append(write_table(out / "episodes.csv", episodes, (*head, *EPISODE_COLUMNS)))
    files.append(write_table(out / "participants.csv", participant_table(recordings, plan.conditions)))
    if plan.events:
        files.append(write_table(out / "events.csv", around, (*head, *EVENT_COLUMNS)))
    files.append(write_table(out / "contrasts.csv", contrasts, ("condition", "level_a", "level_b", "measure", "p")))
    figures = write_figures(recordings, plan.conditions, around, out)
    files += [place for figure in figures for place in (figure, figure.with_suffix(".svg"))]
    notes += _left_behind(out, files)
    files.append(out / "methods.md")
    with atomic_write(files[-1]) as temp_path:
        runs = {recording.plan.name: recording.run for recording in recordings}
        # An event of a video in which several participants sit is one event.
        events = {(runs[str(row["recording"])], row["event"], row["time"]) for row in around}
        text = methods_text(recordings, contrasts, len(events), notes)
        temp_path.write_text(text, encoding="utf-8", errors="replace")
    files.append(write_page(out / "study.html", recordings, plan.conditions, figures, notes))
    return Study(out, tuple(files), recordings, tuple(notes), tuple(failures))


def _left_behind(out: Path, files: Sequence[Path]) -> list[str]:
    """Return a note on the tables and figures in the folder that this study has not written, if there are any."""
    own = [out / "events.csv", *sorted(out.glob("condition-*.png")), *sorted(out.glob("event-*.png"))]
    others = ", ".join(file.name for file in own if file.exists() and file not in files)
    return [f"the folder also holds {others}, which this study has not written"] if others else []


def _untested(contrasts: Sequence[Row]) -> list[str]:
    """One note per pair of levels and reason why there is no test."""
    counts: dict[str, int] = {}
    for row in contrasts:
        if row["note"]:
            text = f"{row['condition']}, {row['level_a']} and {row['level_b']}: {row['note']}"
            counts[text] = counts.get(text, 0) + 1
    return [f"{text} ({counted(count, 'comparison')})" for text, count in counts.items()]
