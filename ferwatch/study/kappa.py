"""Cohen's kappa: from a confusion matrix, for events that may have no partner, and with bootstrap intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Number of bootstrap draws."""
CONFIDENCE = 0.95
"""Confidence of the bootstrap intervals."""
SEED = 0
"""Seed of every bootstrap, so that the same data give the same interval."""

Matrix = NDArray[np.float64]


def cohen_kappa(confusion: NDArray[np.floating | np.integer]) -> Matrix:
    """Return Cohen's kappa (...,) of confusion matrices (..., L, L); NaN where both sides use one same label only.

    Cohen, J. (1960). A coefficient of agreement for nominal scales. https://doi.org/10.1177/001316446002000104
    """
    counts = np.asarray(confusion, np.float64)
    total = counts.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.trace(counts, axis1=-2, axis2=-1) / total
        expected = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1) / total**2
        kappa = (observed - expected) / (1 - expected)
    return np.where(expected < 1 - 1e-12, kappa, np.nan)


def one_against_rest(confusion: NDArray[np.floating | np.integer], label: int) -> Matrix:
    """Return confusion matrices (..., L, L) as (..., 2, 2), with all labels but one taken together."""
    counts = np.asarray(confusion, np.float64)
    both = counts[..., label, label]
    row, column = counts[..., label, :].sum(axis=-1), counts[..., :, label].sum(axis=-1)
    rest = counts.sum(axis=(-2, -1)) - row - column + both
    return np.stack([np.stack([both, row - both], -1), np.stack([column - both, rest], -1)], -2)


def double_linked(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a table (L + 1, L + 1) of linked pairs and events without a partner in which every event counts once.

    A linked pair is two events, one of each side, so it counts double (Holle & Rein 2015, after GSEQ).
    """
    scored = table.copy()
    scored[:-1, :-1] *= 2
    return scored


def event_kappa(table: NDArray[np.floating | np.integer]) -> float:
    """Return the kappa of a table (L + 1, L + 1) from `double_linked`; last row and column: events without a partner.

    Events that neither side saw cannot be counted, so the zero in the last cell of the diagonal is not observed: the
    agreement expected by chance is that of quasi-independence, fitted to both margins by iterative proportional
    fitting with that cell left out. NaN where chance agreement is complete or there is no event.

    Holle, H., & Rein, R. (2015). EasyDIAg: A tool for easy determination of interrater agreement. Behavior Research
    Methods, 47, 837-847. https://doi.org/10.3758/s13428-014-0506-7
    """
    counts = np.asarray(table, np.float64)
    total = counts.sum()
    if not total:
        return float("nan")
    expected = np.ones_like(counts)
    expected[-1, -1] = 0
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    for _ in range(10_000):
        before = expected
        expected = expected * _ratio(rows, expected.sum(axis=1))[:, None]
        expected = expected * _ratio(columns, expected.sum(axis=0))[None, :]
        if np.abs(expected - before).max() < 1e-10 * total:
            break
    observed, chance = np.trace(counts) / total, np.trace(expected) / total
    return float((observed - chance) / (1 - chance)) if chance < 1 - 1e-9 else float("nan")


def resampled_sums(units: NDArray[np.floating | np.integer], resamples: int = RESAMPLES) -> Matrix:
    """Return the bootstrap's (resamples, L, L) sums of confusion matrices (U, L, L) drawn with replacement."""
    count = len(units)
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    flat = np.asarray(units, np.float64).reshape(count, -1)
    return (drawn @ flat).reshape(resamples, *np.shape(units)[1:])


def interval(values: Matrix) -> tuple[float, float] | None:
    """Return the central 95% interval of bootstrap values; None where more than a tenth of them is undefined."""
    defined = values[~np.isnan(values)]
    if len(defined) < 0.9 * len(values):
        return None
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _ratio(wanted: Matrix, present: Matrix) -> Matrix:
    return np.divide(wanted, present, out=np.zeros_like(wanted), where=present > 0)
