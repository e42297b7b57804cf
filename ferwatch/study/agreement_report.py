"""Writes an agreement as text, as JSON, and as the files of a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ferwatch.study.agreement import MIN_OVERLAP, Agreement, Interval, Shift
from ferwatch.study.agreement_figure import write_pictures
from ferwatch.study.matching import MatchingScore
from ferwatch.utils.files import atomic_write, make_folder

NO_PARTNER = "no partner"


def write_agreement(agreement: Agreement, out: Path) -> list[Path]:
    """Writes agreement.txt, agreement.json and agreement.png into the folder `out`; returns the files.

    Where there are more recordings than fit in one picture, the next ones are agreement-2.png and so on.
    Raises OutputError where a file cannot be written.
    """
    make_folder(out)
    contents = {
        out / "agreement.txt": as_text(agreement) + "\n",
        out / "agreement.json": json.dumps(as_dict(agreement), indent=2, ensure_ascii=False) + "\n",
    }
    for path, content in contents.items():
        with atomic_write(path) as temp_path:
            temp_path.write_text(content, encoding="utf-8", errors="backslashreplace")
    return [*contents, *write_pictures(agreement, out)]


def as_dict(agreement: Agreement) -> dict[str, Any]:
    """Returns all figures as plain values; what is undefined is None."""
    labels = agreement.labels
    with_none = (*labels, NO_PARTNER)
    return {
        "recordings": [
            {"recording": p.recording, "reference": p.reference.name, "other": p.other.name} for p in agreement.pairs
        ],
        "labels": list(labels),
        "seconds_compared": _plain(agreement.seconds.sum()),
        "seconds_only_reference": _plain(agreement.only_reference),
        "seconds_only_other": _plain(agreement.only_other),
        "time": {
            "raw_agreement": _plain(agreement.raw_agreement),
            "kappa": _plain(agreement.kappa),
            "kappa_interval": _plain_interval(agreement.kappa_interval),
            "interval_from": agreement.units,
            "seconds": _nested(labels, agreement.seconds.tolist()),
        },
        "events": {
            "min_overlap": MIN_OVERLAP,
            "raw_agreement": _plain(agreement.events_raw_agreement),
            "kappa": _plain(agreement.events_kappa),
            "left_out": agreement.events_left_out,
            "counts": _nested(with_none, agreement.events.tolist()),
        },
        "by_label": {
            one.label: {
                "reference_seconds": _plain(one.reference_seconds),
                "other_seconds": _plain(one.other_seconds),
                "kappa": _plain(one.kappa),
                "kappa_interval": _plain_interval(one.kappa_interval),
                "precision": _plain(one.precision),
                "recall": _plain(one.recall),
                "f1": _plain(one.f1),
                "reference_events": one.reference_events,
                "other_events": one.other_events,
                "agreed_events": one.agreed_events,
                "event_kappa": _plain(one.event_kappa),
            }
            for one in agreement.by_label
        },
        "onset_difference": _shift_as_dict(agreement.onset),
        "offset_difference": _shift_as_dict(agreement.offset),
        "matching_score": None if agreement.matching is None else _matching_as_dict(agreement.matching),
        "warnings": list(agreement.warnings),
    }


def as_text(agreement: Agreement) -> str:
    """Returns the figures as a page of text."""
    a = agreement
    parts = [
        "\n".join(f"{p.recording}: {p.reference.name} (rows) against {p.other.name} (columns)" for p in a.pairs),
        f"{a.seconds.sum():.1f} s compared. Not compared: {a.only_reference:.1f} s that only the rows cover, "
        f"{a.only_other:.1f} s that only the columns cover.",
        f"By time: agreement {_number(a.raw_agreement)}, Cohen's kappa {_with_interval(a.kappa, a.kappa_interval)} "
        f"({a.units})",
        _label_table(a),
        "Seconds\n" + _matrix(a.labels, a.labels, [[f"{v:.1f}" for v in row] for row in a.seconds.tolist()]),
        f"By events ({MIN_OVERLAP:.0%} overlap, Holle & Rein 2015): agreement {_number(a.events_raw_agreement)}, "
        f"kappa {_number(a.events_kappa)}; {a.events_left_out} events mostly outside the compared time are left out",
        "Events\n"
        + _matrix(
            (*a.labels, NO_PARTNER), (*a.labels, NO_PARTNER), [[str(v) for v in row] for row in a.events.tolist()]
        ),
        "\n".join(
            f"{name} of the columns less those of the rows: {_shift_as_text(shift)}"
            for name, shift in (("Onsets", a.onset), ("Offsets", a.offset))
        ),
    ]
    if a.matching is not None:
        parts.append(_matching_as_text(a.matching))
    parts += [f"Note: {warning}" for warning in a.warnings]
    return "\n\n".join(parts)


def _label_table(a: Agreement) -> str:
    head = ("", "kappa", "precision", "recall", "F1", "rows", "columns", "agreed events", "event kappa")
    lines = [
        (
            one.label,
            _with_interval(one.kappa, one.kappa_interval),
            *(_number(value) for value in (one.precision, one.recall, one.f1)),
            f"{one.reference_seconds:.1f} s",
            f"{one.other_seconds:.1f} s",
            f"{one.agreed_events} of {one.reference_events} and {one.other_events}",
            _number(one.event_kappa),
        )
        for one in a.by_label
    ]
    return _aligned([head, *lines])


def _matrix(rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    return _aligned([("", *columns), *((name, *line) for name, line in zip(rows, cells, strict=True))])


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines as text in aligned columns, the first flush left, the others flush right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "  ".join([f"{line[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    ]
    return "\n".join(f"  {line}".rstrip() for line in text)


def _matching_as_text(score: MatchingScore) -> str:
    by_emotion = ", ".join(f"{emotion} {score.matched[emotion]} of {n}" for emotion, n in score.events.items())
    total, matched = sum(score.events.values()), sum(score.matched.values())
    missing = f"; in {score.without_face} the face was not found" if score.without_face else ""
    return (
        f"Matching score (Stöckli et al. 2018), largest peak against what was coded: {matched} of {total} "
        f"({score.overall:.0%}), mean over emotions {score.mean:.0%}{missing}\n  {by_emotion}"
    )


def _matching_as_dict(score: MatchingScore) -> dict[str, Any]:
    return {
        "overall": _plain(score.overall),
        "mean_over_emotions": _plain(score.mean),
        "events": score.events,
        "matched": score.matched,
        "without_face": score.without_face,
    }


def _shift_as_text(shift: Shift) -> str:
    if not shift.count:
        return "no event on which both agree"
    quartiles = f"quartiles {shift.lower_quartile:+.2f} to {shift.upper_quartile:+.2f} s"
    return f"median {shift.median:+.2f} s, {quartiles}, {shift.count} events"


def _shift_as_dict(shift: Shift) -> dict[str, Any]:
    return {
        "events": shift.count,
        "median": _plain(shift.median),
        "lower_quartile": _plain(shift.lower_quartile),
        "upper_quartile": _plain(shift.upper_quartile),
    }


def _nested(labels: Sequence[str], cells: Sequence[Sequence[float]]) -> dict[str, dict[str, float]]:
    return {row: dict(zip(labels, line, strict=True)) for row, line in zip(labels, cells, strict=True)}


def _with_interval(value: float, interval: Interval) -> str:
    return _number(value) if interval is None else f"{_number(value)} [{interval[0]:.2f}, {interval[1]:.2f}]"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)


def _plain_interval(interval: Interval) -> list[float] | None:
    return None if interval is None else [round(value, 6) for value in interval]
