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

MIN_DRAWN_ERROR = 0.1
"""Smallest standard error of a bootstrap draw, as a share of the estimate's, by which its error is safely divided."""

MAX_UNSAFE_DRAWS = 0.01
"""Largest share of draws with a smaller standard error for which there is a bootstrap-t interval."""

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
    interval: str = ""
    """Method of the interval, "bootstrap-t" or "t"; "" where there is none."""
    note: str = ""
    """Reason why there is no test; "" where there is one."""


def paired_difference(a: Array, b: Array) -> Difference:
    """Compares two conditions (n,), (n,) of the same participants by a t-test of their differences.

    The effect size is Hedges' g for pairs: the mean difference over the standard deviation of the differences.
    """
    n = len(a)
    changes = b - a
    mean = float(changes.mean()) if n else float("nan")
    if n < MIN_PARTICIPANTS:
        return _without(mean, f"too few people: {n} in both levels, {MIN_PARTICIPANTS} are needed")
    spread = float(changes.std(ddof=1))
    if spread < 1e-12:
        return _without(mean, "nobody's value differs from anybody else's: there is nothing to test")
    return _tested([changes], mean, mean / spread * small_sample_correction(n - 1))


def independent_difference(a: Array, b: Array) -> Difference:
    """Compares two groups of people (n,), (m,) by Welch's t-test, which does not assume equal variances.

    The effect size is Hedges' g: the difference of the means over the pooled standard deviation.
    """
    n, m = len(a), len(b)
    mean = float(b.mean() - a.mean()) if n and m else float("nan")
    if min(n, m) < MIN_PARTICIPANTS:
        return _without(mean, f"too few people: {n} and {m}, {MIN_PARTICIPANTS} are needed in each group")
    pooled = float(np.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / (n + m - 2)))
    if pooled < 1e-12:
        return _without(mean, "nobody's value differs from anybody else's: there is nothing to test")
    return _tested([b, a], mean, mean / pooled * small_sample_correction(n + m - 2))


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
    """Return the 95% interval of the mean of participants' values (n,), by the methods that contrasts use.

    Both ends are NaN with fewer than MIN_PARTICIPANTS values or without any spread.
    """
    if len(values) < MIN_PARTICIPANTS or values.std(ddof=1) < 1e-12:
        return float("nan"), float("nan")
    low, high, _ = _interval([values], float(values.mean()))
    return low, high


def _tested(groups: list[Array], mean: float, effect_size: float) -> Difference:
    """Return the comparison, with its t-test, of one group's mean with 0, or of the first group's with the second's."""
    from scipy import stats

    error, degrees = _standard_error(groups)
    low, high, method = _interval(groups, mean)
    p = 2 * float(stats.t.sf(abs(mean) / error, degrees))
    return Difference(mean, low, high, effect_size, mean / error, p, method)


def _standard_error(groups: list[Array]) -> tuple[float, float]:
    """Return the standard error of the mean, or of the difference of two, and its degrees of freedom (Welch's)."""
    variances = [float(values.var(ddof=1)) / len(values) for values in groups]
    total = sum(variances)
    degrees = total**2 / sum(v**2 / (len(values) - 1) for v, values in zip(variances, groups, strict=True))
    return total**0.5, degrees


def _interval(groups: list[Array], mean: float) -> tuple[float, float, str]:
    """Return the interval of one group's mean, or of the first group's mean less the second's, and its method.

    bootstrap-t: participants are drawn with replacement, from each group on its own; each draw's error is divided by
    its own standard error. It covers the truth in 95% of cases for small groups too, where plain quantiles are too
    narrow (Efron & Tibshirani 1993, An introduction to the bootstrap, chapter 12).

    t: where few people differ from the others, many draws miss them and have hardly a standard error, so that their
    quotients have no quantiles. There it is the interval of Student's t, or Welch's, that belongs to the test.
    """
    from scipy import stats

    rng = np.random.default_rng(SEED)
    drawn_error = np.zeros(RESAMPLES)
    variance = np.zeros(RESAMPLES)
    for sign, values in zip((1, -1), groups, strict=False):
        n = len(values)
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)
        centred = values - values.mean()
        means = drawn @ centred / n
        drawn_error += sign * means
        variance += np.maximum(drawn @ centred**2 / n - means**2, 0) / (n - 1)
    error, degrees = _standard_error(groups)
    if np.mean(variance < (MIN_DRAWN_ERROR * error) ** 2) > MAX_UNSAFE_DRAWS:
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees)) * error
        return mean - half, mean + half, "t"
    # A draw that repeats one participant has a standard error of 0: its quotient is beyond all others.
    quotients = drawn_error / np.sqrt(np.maximum(variance, 1e-9 * error**2))
    low, high = np.quantile(quotients, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return mean - float(high) * error, mean - float(low) * error, "bootstrap-t"


def _without(mean: float, note: str) -> Difference:
    nan = float("nan")
    return Difference(mean, nan, nan, nan, nan, nan, note=note)
