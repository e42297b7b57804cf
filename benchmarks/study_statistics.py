#!/usr/bin/env python3
"""Checks the statistics of `ferwatch study` on simulated studies whose truth is known.

python benchmarks/study_statistics.py [--studies 1000] [--participants 20]

Each study draws participants, computes the contrast that `ferwatch study` would, and is asked: is p below 0.05 where
the conditions do not differ; does the 95% interval cover the true difference; is the mean effect size the true one?
Values of participants are normal, skewed (a share of time, drawn from a beta distribution), or rare (three of four
people all have the same value). The exit code is 1 where, of studies with normal values, p is below 0.05 in less than
3.5 or more than 6.5%, an interval covers the truth in less than 93 or more than 97%, or the mean effect size is off by
more than 0.03; and where an interval of rare values covers the truth in less than 87%.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np

from ferwatch.study.statistics import Difference, independent_difference, paired_difference

Draw = Callable[[np.random.Generator, int], np.ndarray]


def normal(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(0, 1, n)


def skewed(rng: np.random.Generator, n: int) -> np.ndarray:
    """Shares of time, standardised: mean 0, standard deviation 1, skewness 1.2."""
    a, b = 1.0, 4.0
    mean, deviation = a / (a + b), np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))
    return (rng.beta(a, b, n) - mean) / deviation


def rare(rng: np.random.Generator, n: int) -> np.ndarray:
    """Changes of a share of time in a quarter of the people, standardised: mean 0, standard deviation 1."""
    share, a, b = 0.25, 2.0, 3.0
    mean = share * a / (a + b)
    deviation = np.sqrt(share * a * (a + 1) / ((a + b) * (a + b + 1)) - mean**2)
    return (np.where(rng.random(n) < share, rng.beta(a, b, n), 0.0) - mean) / deviation


def simulate(design: str, draw: Draw, effect: float, studies: int, participants: int) -> list[Difference]:
    """One contrast per study; the true difference is `effect` standard deviations (of the differences, for pairs)."""
    rng = np.random.default_rng(17)
    found = []
    for _ in range(studies):
        if design == "paired":
            person = rng.normal(0, 2, participants)
            found.append(paired_difference(person, person + effect + draw(rng, participants)))
        else:
            found.append(independent_difference(draw(rng, participants), effect + draw(rng, participants)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--participants", type=int, default=20, help="pairs, or people in each group")
    args = parser.parse_args()
    print(f"{args.studies} studies of {args.participants} participants (pairs, or in each group)")
    print("design       values   true effect   p < 0.05   interval covers   mean effect size")
    within = True
    for design in ("paired", "independent"):
        for name, draw in (("normal", normal), ("skewed", skewed), ("rare", rare)):
            for effect in (0.0, 0.5):
                found = simulate(design, draw, effect, args.studies, args.participants)
                significant = np.mean([d.p < 0.05 for d in found])
                covered = np.mean([d.low <= effect <= d.high for d in found if d.interval])
                size = np.nanmean([d.effect_size for d in found])
                print(f"{design:<12} {name:<8} {effect:>11.1f} {significant:>10.1%} {covered:>17.1%} {size:>18.3f}")
                if name == "normal":
                    within &= 0.93 <= covered <= 0.97 and abs(size - effect) <= 0.03
                    within &= effect != 0 or 0.035 <= significant <= 0.065
                within &= name != "rare" or covered >= 0.87
    print("all within their limits" if within else "not within the limits")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
