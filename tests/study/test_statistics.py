"""Intervals of contrasts and of means, where few people differ from the others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ferwatch.study.statistics import independent_difference, mean_interval, paired_difference


@pytest.mark.parametrize("others", [np.zeros(5), np.linspace(-1e-4, 1e-4, 5)], ids=["the same", "nearly the same"])
def test_where_one_person_differs_the_interval_is_that_of_the_test(others: np.ndarray) -> None:
    """Every third draw of the bootstrap misses this person and has no spread, or hardly any."""
    changes = np.insert(others, 2, -0.197)
    test = stats.ttest_1samp(changes, 0)
    found = paired_difference(np.zeros(6), changes)
    assert (found.statistic, found.p) == pytest.approx((test.statistic, test.pvalue))
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval()))
    assert mean_interval(changes) == (found.low, found.high)
    group = np.append(others, [0.0, 0.0])
    groups = stats.ttest_ind(changes, group, equal_var=False)
    found = independent_difference(group, changes)
    assert (found.statistic, found.p) == pytest.approx((groups.statistic, groups.pvalue))
    assert (found.low, found.high) == pytest.approx(tuple(groups.confidence_interval()))


def test_where_people_differ_the_interval_is_that_of_the_bootstrap() -> None:
    found = paired_difference(np.zeros(8), np.array([0.1, 0.2, -0.1, 0.4, 0.3, 0.0, 0.25, 0.7]))
    assert found.interval == "bootstrap-t"
    assert found.high - found.difference > found.difference - found.low  # as skewed as the changes
