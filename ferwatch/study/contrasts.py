"""Computes contrasts.csv: the differences between the levels of each condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from ferwatch.study.participants import Row, mean_valence, measures, totals_by_level
from ferwatch.study.recordings import StudyRecording, Totals
from ferwatch.study.statistics import Array, false_discovery_rate, independent_difference, paired_difference
from ferwatch.timeline.model import LABELS

COMPARED_MEASURES = ("share_by_episodes", "mean_probability", "episodes_per_minute")
"""Measures of each emotion that are compared; the mean valence is compared too."""

LARGEST_DIFFERENCE = {"share_by_episodes": 1.0, "mean_probability": 1.0, "mean_valence": 2.0}
"""Measure -> the largest difference that two values of it can have. Intervals are cut there, which one of
few people may pass; no possible truth is lost."""

MAX_LEVELS = 8
"""Largest number of levels of a condition that are compared; an age, for instance, has more."""

ByPerson = Mapping[str, float]


def contrast_table(recordings: Sequence[StudyRecording], conditions: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Returns one row per condition, pair of levels, measure and emotion, and notes on what was not compared.

    Participants who were in both levels are compared with themselves; where nobody was, the groups are compared.
    """
    rows: list[Row] = []
    notes = []
    for number, condition in enumerate(conditions):
        levels = totals_by_level(recordings, number)
        if len(levels) < 2:
            notes.append(f"{condition} is {next(iter(levels))} throughout: there is nothing to compare")
        elif len(levels) > MAX_LEVELS:
            notes.append(f"{condition} has {len(levels)} levels, more than {MAX_LEVELS}: they are not compared")
        else:
            for a, b in combinations(levels, 2):
                rows += [
                    {"condition": condition, "level_a": a, "level_b": b, **row}
                    for row in _compare(levels[a], levels[b])
                ]
    _adjust(rows)
    return rows, notes


def _compare(a: Mapping[str, Totals], b: Mapping[str, Totals]) -> Iterator[Row]:
    paired = bool(a.keys() & b.keys())
    for measure, label, of_a, of_b in _values(a, b):
        if paired:
            people = [person for person in of_a if person in of_b]
            first, second = _array(of_a, people), _array(of_b, people)
            found = paired_difference(first, second)
            left_out = len(a.keys() | b.keys()) - len(people)
        else:
            first, second = _array(of_a, of_a), _array(of_b, of_b)
            found = independent_difference(first, second)
            left_out = len(a) + len(b) - len(first) - len(second)
        limit = LARGEST_DIFFERENCE.get(measure, np.inf)
        yield {
            "measure": measure,
            "emotion": label,
            "design": "paired" if paired else "independent",
            "n_a": len(first),
            "n_b": len(second),
            "left_out": left_out,
            "mean_a": float(first.mean()) if len(first) else float("nan"),
            "mean_b": float(second.mean()) if len(second) else float("nan"),
            "difference": found.difference,
            "low": float(np.clip(found.low, -limit, limit)),
            "high": float(np.clip(found.high, -limit, limit)),
            "effect_size": found.effect_size,
            "t": found.statistic,
            "p": found.p,
            "p_adjusted": float("nan"),
            "note": found.note,
            "interval": found.interval,
        }


def _values(a: Mapping[str, Totals], b: Mapping[str, Totals]) -> Iterator[tuple[str, str, ByPerson, ByPerson]]:
    """Yield measure, emotion, and each participant's value in both levels; people without a value are left out."""
    computed = [{person: measures(totals) for person, totals in side.items()} for side in (a, b)]
    for measure in COMPARED_MEASURES:
        for i, label in enumerate(LABELS):
            of_a, of_b = ({p: float(values[measure][i]) for p, values in side.items()} for side in computed)
            if not all(np.isnan(v) for v in (*of_a.values(), *of_b.values())):
                yield measure, label, _defined(of_a), _defined(of_b)
    of_a, of_b = ({person: mean_valence(totals) for person, totals in side.items()} for side in (a, b))
    yield "mean_valence", "", _defined(of_a), _defined(of_b)


def _adjust(rows: Sequence[Row]) -> None:
    """Fill in p_adjusted; all emotions and pairs of levels of one condition and measure form one family of tests."""
    families: dict[tuple[object, object], list[Row]] = {}
    for row in rows:
        families.setdefault((row["condition"], row["measure"]), []).append(row)
    for family in families.values():
        adjusted = false_discovery_rate(np.array([row["p"] for row in family], np.float64))
        for row, p in zip(family, adjusted.tolist(), strict=True):
            row["p_adjusted"] = p


def _defined(values: ByPerson) -> ByPerson:
    return {person: value for person, value in values.items() if not np.isnan(value)}


def _array(values: ByPerson, people: Sequence[str] | ByPerson) -> Array:
    return np.array([values[person] for person in people], np.float64)
