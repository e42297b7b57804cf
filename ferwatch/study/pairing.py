"""Pairs the two sides of an agreement: runs or files of codes that are about the same recording."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ferwatch.errors import DataError, shown
from ferwatch.records import Episode
from ferwatch.study.bands import Band, band_of, fill
from ferwatch.study.codes import Code, CodedRecording, own_table, parse_seconds, read_codes
from ferwatch.study.film_times import in_video_times
from ferwatch.study.runs import FinishedRun, is_run, parse_face_id, read_run
from ferwatch.timeline.model import LABELS

SOUND_SUFFIXES = (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg")
"""Ends of the sound files that tools for codes link to."""


@dataclass(frozen=True)
class Side:
    """Codes of one coder, or one run, for one recording."""

    name: str
    """Display name: the file or folder, and the tier or face."""
    aliases: tuple[str, ...]
    """Names that the other side may use for the recording, in lower case, without and with a suffix."""
    codes: tuple[Code, ...]
    run: FinishedRun | None = None
    """Run that the codes are episodes of; None: a coder's."""
    face_id: int | None = None
    """Face of the run that is compared; None for a coder's codes, or where no face has an episode."""
    warnings: tuple[str, ...] = ()
    part: tuple[int, int] | None = None
    """Milliseconds between which a study counts the recording; None: all of it."""
    own_names: tuple[str, ...] = ()
    """Those of the aliases that tell the recording from others of its video: the ones with the study's "#2"."""


@dataclass(frozen=True)
class Pair:
    """Two sides of one recording."""

    recording: str
    reference: Side
    """Side whose codes count as what was shown."""
    other: Side
    reference_band: Band
    other_band: Band


def read_sides(path: Path, *, face: int | None = None, tiers: Sequence[str] = ()) -> list[Side]:
    """Returns the sides in a run folder, a folder of run folders (a study or a batch), or a file of codes.

    face: the face_id of runs that counts; None: the one with the most time. Of a study: only the recordings of this
    face; None: all, each with its own. tiers: names of the tiers that count; empty: the only one. Raises DataError
    where there is nothing to read, or a choice has to be made.
    """
    if is_run(path):
        return [_side_of_run(read_run(path), face)]
    if (path / "recordings.csv").is_file():
        return _sides_of_study(path, face)
    if path.is_dir():
        folders = sorted(p.parent for p in path.rglob("run.json") if is_run(p.parent))
        if not folders:
            raise DataError(f"{path} holds no finished run")
        return [_side_of_run(read_run(folder), face) for folder in folders]
    return [_side_of_codes(path, in_video_times(path, coded), tiers) for coded in read_codes(path)]


def pair_up(
    references: Sequence[Side], others: Sequence[Side], rename: Mapping[str, str], uncoded: str | None
) -> tuple[list[Pair], list[str]]:
    """Returns the pairs of sides that are about the same recording, and warnings.

    Several recordings of a study about one face of one run are parts of it: codes of the video belong to each.
    rename: as in `band_of`, for both sides. uncoded: the label that counts where a file of codes has none; None: that
    time is not compared. Raises DataError where a side has no partner or several.
    """
    pairs = []
    warnings = [w for side in (*references, *others) for w in side.warnings]
    used: dict[int, Side] = {}
    for reference, fitting in zip(references, _fitting(references, others), strict=True):
        if not fitting and len(references) == len(others) == 1:
            fitting = [0]
            warnings.append(f"{reference.name} and {others[0].name} name different recordings; compared all the same")
        if not fitting or not _of_one_face([others[i] for i in fitting]):
            raise _no_partner(reference, [others[i] for i in fitting], others)
        for i in fitting:
            if i in used and not _of_one_face([used[i], reference]):
                both = f"{used[i].name} and {reference.name}"
                raise DataError(
                    f"{both} code the same recording: give one, or compare them by 'ferwatch agree ONE --codes OTHER'"
                )
            used[i] = reference
            pairs.append(_pair(reference, others[i], rename, uncoded))
    warnings += _label_warnings(references, others, rename)
    without = [other.name for i, other in enumerate(others) if i not in used]
    if without:
        warnings.append(f"without codes, and left out: {', '.join(without)}")
    return pairs, warnings


def _fitting(references: Sequence[Side], others: Sequence[Side]) -> list[list[int]]:
    """Return, for each reference, the numbers of the other sides that are about its recording.

    Those whose own name it has; else those with which it shares a name, and which are not another reference's by name.
    """
    named = [
        [i for i, other in enumerate(others) if set(reference.aliases) & set(other.own_names)]
        for reference in references
    ]
    taken = {i for own in named for i in own}
    return [
        own or [i for i, other in enumerate(others) if i not in taken and set(reference.aliases) & set(other.aliases)]
        for reference, own in zip(references, named, strict=True)
    ]


def _no_partner(reference: Side, fitting: Sequence[Side], others: Sequence[Side]) -> DataError:
    """Return the error of a side that belongs to none of the others, or to several."""
    names = ", ".join(side.name for side in fitting or others)
    if not fitting:
        remedy = "name the files of codes after their recordings"
        return DataError(f"{reference.name} belongs to none of the recordings ({names}): {remedy}")
    numbered = next((side.own_names[0] for side in fitting if side.own_names), "")
    remedy = "give only the one that it codes"
    if numbered:
        remedy = f"choose with --face, or name each file of codes after its recording, such as {numbered}"
    return DataError(f"{reference.name} belongs to several recordings ({names}): {remedy}")


def _of_one_face(sides: Sequence[Side]) -> bool:
    """Return whether there is one side, or all are parts of one run, of one face."""
    runs = {(side.run.folder, side.face_id) for side in sides if side.run is not None and side.part is not None}
    return len(sides) == 1 or (len(runs) == 1 and all(side.part is not None for side in sides))


def _label_warnings(references: Sequence[Side], others: Sequence[Side], rename: Mapping[str, str]) -> list[str]:
    """Return warnings about renamed labels that do not occur, and about coders' labels that no run gives."""
    sides = [*references, *others]
    labels = {code.label for side in sides for code in side.codes}
    unused = [label for label in rename if label not in labels]
    warnings = [f"--as {label}={rename[label]}: no code is called {label}" for label in unused]
    coded = {rename.get(code.label, code.label) for side in sides if side.run is None for code in side.codes}
    unknown = sorted(coded - set(LABELS) - {""})
    if unknown and any(side.run is not None for side in sides):
        warnings.append(
            f"ferwatch gives none of the labels {', '.join(unknown)}: they count as disagreement; --as LABEL=NAME "
            "counts a label as another, and --as LABEL= drops it"
        )
    return warnings


def _pair(reference: Side, other: Side, rename: Mapping[str, str], uncoded: str | None) -> Pair:
    bands = [
        band_of(_within(side.codes, opposite.part), rename)
        for side, opposite in ((reference, other), (other, reference))
    ]
    if uncoded is not None:
        events = [event for band in bands for event in band.events]
        start, end = min((e.start for e in events), default=0), max((e.end for e in events), default=0)
        # Only coders' codes are filled: where a run has no episode, it saw no face, which is no label.
        bands = [
            fill(band, uncoded, start, end) if side.run is None else band
            for side, band in zip((reference, other), bands, strict=True)
        ]
    named = other.run or reference.run
    suffix = next((_number_suffix(side.own_names[0]) for side in (other, reference) if side.own_names), "")
    return Pair(f"{named.name}{suffix}" if named else other.aliases[0], reference, other, *bands)


def _sides_of_study(path: Path, face: int | None) -> list[Side]:
    """Return the recordings in recordings.csv of a study: the participant's face of a run, in the part that counts.

    face: only the recordings of this face; None: all. Raises DataError, naming the line, where it cannot be read, and
    where there is no recording of the face.
    """
    file = path / "recordings.csv"
    named: dict[tuple[str, int, tuple[int, ...]], str] = {}
    for number, row in own_table(file, "list of a study's recordings", ("run", "face_id")):
        try:
            if row["face_id"]:  # empty where no face has an episode
                part = tuple(round(parse_seconds(row[name]) * 1000) for name in ("start", "end") if name in row)
                # Several lines of a plan may be about one run, face and part.
                named.setdefault((row["run"], parse_face_id(row["face_id"]), part), row.get("recording", ""))
        except ValueError as error:
            raise DataError(f"{file}, line {number}: {error}") from None
    faces = sorted({own for _, own, _ in named})
    if face is not None and face not in faces:
        raise DataError(f"{path}: no recording is of face {face}; its faces are {', '.join(map(str, faces))}")
    runs = {run: read_run(path / run) for run, *_ in named}
    return [
        _side_of_part(runs[run], own, part, _number_suffix(name))
        for (run, own, part), name in named.items()
        if face in (None, own)
    ]


def _number_suffix(recording: str) -> str:
    """Return the "#2" that a study gives to the name of a recording after others of the same video; "" without one."""
    number = re.search(r"#\d+$", recording)
    return number[0] if number else ""


def _side_of_part(run: FinishedRun, face: int, part: tuple[int, ...], suffix: str) -> Side:
    """Return the side of a study's recording: what a run's face shows in a part, (start, end) in milliseconds or ().

    suffix: what the study adds to the name of the recording.
    """
    side = _side_of_run(run, face)
    if suffix:
        own_names = tuple(f"{name}{suffix}" for name in (run.name.casefold(), *side.aliases))
        name = f"{run.name}{suffix}, face {face}"
        side = replace(side, name=name, aliases=(*side.aliases, *own_names), own_names=own_names)
    if len(part) != 2:
        return side
    start, end = part
    warnings = side.warnings
    if start > round(run.start * 1000) or end / 1000 < run.end - 0.001:
        warnings += (f"{side.name}: what counts is {start / 1000:g} to {end / 1000:g} s, as in the study",)
    codes = _within(side.codes, (start, end))
    return replace(side, codes=codes, part=(start, end), warnings=warnings)


def _side_of_run(run: FinishedRun, face: int | None) -> Side:
    face_id = run.main_face() if face is None else face
    faces = {episode.face_id for episode in run.episodes}
    if face is not None and face not in faces:
        raise DataError(f"{run.folder}: there is no face {face}; its faces are {', '.join(map(str, sorted(faces)))}")
    folder = run.folder.resolve().name
    names = (Path(run.source).stem, run.source, folder.removesuffix("-ferwatch"), folder)
    warnings = () if faces else (f"{run.name}: no face has an episode",)
    notes = tuple(f"{run.name}: {note}" for note in (run.probabilities_note(face_id), run.still_note()) if note)
    codes = tuple(_code(episode) for episode in run.episodes if episode.face_id == face_id)
    name = f"{run.name}, face {face_id}" if faces else run.name
    if face is None and len(faces) > 1:
        warnings = (f"{run.name}: face {face_id}, which has the most time of {len(faces)}, is compared",)
    return Side(name, _aliases(names), codes, run, face_id, (*warnings, *notes))


def _side_of_codes(path: Path, coded: CodedRecording, wanted: Sequence[str]) -> Side:
    tiers = coded.tiers
    missing = [tier for tier in wanted if tier not in tiers]
    if missing:
        raise DataError(
            f"{path} has no codes on the tier {shown(missing[0])} for {coded.name}; it has {_listed(tiers)}"
        )
    if len(tiers) > 1 and not wanted:
        raise DataError(f"{path} has several tiers, {_listed(tiers)}: choose with --tier")
    codes = tuple(code for code in coded.codes if not wanted or code.tier in wanted)
    tier = ", ".join(wanted or tiers)
    name = f"{path.name}, {tier}" if tier else path.name
    # What a table calls the recording may be a name without a suffix, and yet hold a dot.
    names = (_without_media_suffix(coded.name), coded.name, _without_media_suffix(path.stem), path.stem)
    return Side(name, _aliases(names), codes, None, None, coded.warnings)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _aliases(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.casefold() for name in names if name))


def _without_media_suffix(name: str) -> str:
    from ferwatch.pipeline.video_files import VIDEO_SUFFIXES

    return name[: -len(Path(name).suffix)] if name.lower().endswith((*VIDEO_SUFFIXES, *SOUND_SUFFIXES)) else name


def _within(codes: Sequence[Code], part: tuple[int, int] | None) -> tuple[Code, ...]:
    """Return what codes have between two times in milliseconds; None: all of them."""
    if part is None:
        return tuple(codes)
    start, end = part
    return tuple(
        replace(code, start=max(code.start, start), end=min(code.end, end))
        for code in codes
        if code.start < end and code.end > start
    )


def _code(episode: Episode) -> Code:
    return Code(round(episode.start * 1000), round(episode.end * 1000), episode.emotion)
