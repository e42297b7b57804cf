"""Compares conditions: tests, effect sizes, and intervals by a bootstrap over participants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferwatch.study.kappa import CONFIDENCE, SEED

MIN_PARTICIPANTS = 6
"""Smallest number of people with a value in both levels, or in each of two groups, for a test and an interval."""

RESAMPLES = 2000
"""Number of bootstrap draws."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Comparison of two conditions over participants; NaN where a value cannot be computed."""

    difference: float
    """Mean of condition b less mean of condition a."""
    low: float
    """Lower end of the 95% interval of the difference."""
    high: float
    """Upper end of the 95% interval of the difference."""
    effect_size: float
    """Hedges' g: the difference in standard deviations, corrected for the size of the sample."""
    statistic: float
    """Student's t of the pairs, or Welch's t of two groups."""
    p: float
    note: str = ""
    """Reason why there is no test; "" where there is one."""


def paired_difference(a: Array, b: Array) -> Difference:
    """Compares two conditions (n,), (n,) of the same participants by a t-test of their differences.

    The effect size is Hedges' g for pairs: the mean difference over the standard deviation of the differences.
    """
    from scipy import stats

    n = len(a)
    changes = b - a
    mean = float(changes.mean()) if n else float("nan")
    if n < MIN_PARTICIPANTS:
        return _without(mean, f"too few people: {n} in both levels, {MIN_PARTICIPANTS} are needed")
    spread = float(changes.std(ddof=1))
    if spread < 1e-12:
        return _without(mean, "nobody's value differs from anybody else's: there is nothing to test")
    test = stats.ttest_rel(b, a)
    low, high = _studentized_interval([changes], mean)
    g = mean / spread * small_sample_correction(n - 1)
    return Difference(mean, low, high, g, float(test.statistic), float(test.pvalue))


def independent_difference(a: Array, b: Array) -> Difference:
    """Compares two groups of people (n,), (m,) by Welch's t-test, which does not assume equal variances.

    The effect size is Hedges' g: the difference of the means over the pooled standard deviation.
    """
    from scipy import stats

    n, m = len(a), len(b)
    mean = float(b.mean() - a.mean()) if n and m else float("nan")
    if min(n, m) < MIN_PARTICIPANTS:
        return _without(mean, f"too few people: {n} and {m}, {MIN_PARTICIPANTS} are needed in each group")
    pooled = float(np.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / (n + m - 2)))
    if pooled < 1e-12:
        return _without(mean, "nobody's value differs from anybody else's: there is nothing to test")
    test = stats.ttest_ind(b, a, equal_var=False)
    low, high = _studentized_interval([b, a], mean)
    g = mean / pooled * small_sample_correction(n + m - 2)
    return Difference(mean, low, high, g, float(test.statistic), float(test.pvalue))


def small_sample_correction(degrees: int) -> float:
    """Return Hedges' factor that makes a standardised mean difference of so many degrees of freedom unbiased.

    Hedges, L. V. (1981). Distribution theory for Glass's estimator of effect size and related estimators. Journal of
    Educational Statistics, 6, 107-128. https://doi.org/10.3102/10769986006002107
    """
    from scipy.special import gammaln

    return float(np.exp(gammaln(degrees / 2) - gammaln((degrees - 1) / 2)) / np.sqrt(degrees / 2))


def false_discovery_rate(p: Array) -> Array:
    """Returns p values (n,) adjusted after Benjamini & Hochberg (1995); NaN stays NaN and does not count as a test."""
    from scipy import stats

    adjusted = np.full(len(p), np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        adjusted[tested] = stats.false_discovery_control(p[tested])
    return adjusted


def mean_interval(values: Array) -> tuple[float, float]:
    """Return the 95% interval of the mean of participants' values (n,), by the bootstrap that contrasts use.

    Both ends are NaN with fewer than MIN_PARTICIPANTS values or without any spread.
    """
    if len(values) < MIN_PARTICIPANTS or values.std(ddof=1) < 1e-12:
        return float("nan"), float("nan")
    return _studentized_interval([values], float(values.mean()))


def _studentized_interval(groups: list[Array], mean: float) -> tuple[float, float]:
    """Return the bootstrap-t interval of one group's mean, or of the first group's mean less the second's.

    Participants are drawn with replacement, from each group on its own; each draw's error is divided by its own
    standard error. It covers the truth in 95% of cases for small groups too, where plain quantiles are too narrow
    (Efron & Tibshirani 1993, An introduction to the bootstrap, chapter 12).
    """
    rng = np.random.default_rng(SEED)
    error = np.zeros(RESAMPLES)
    variance = np.zeros(RESAMPLES)
    own_variance = 0.0
    for sign, values in zip((1, -1), groups, strict=False):
        n = len(values)
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)
        centred = values - values.mean()
        means = drawn @ centred / n
        error += sign * means
        variance += np.maximum(drawn @ centred**2 / n - means**2, 0) / (n - 1)
        own_variance += float(values.var(ddof=1)) / n
    # A draw that repeats one participant has a standard error of 0, by which it cannot be divided.
    usable = variance > 1e-9 * own_variance
    low, high = np.quantile(error[usable] / np.sqrt(variance[usable]), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return mean - float(high) * own_variance**0.5, mean - float(low) * own_variance**0.5


def _without(mean: float, note: str) -> Difference:
    nan = float("nan")
    return Difference(mean, nan, nan, nan, nan, nan, note)
