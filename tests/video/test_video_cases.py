"""A few of the random videos with a known truth; docs/reliability.md says how to make many."""

from __future__ import annotations

import pytest
from video_cases import KINDS, faults, make_case


@pytest.mark.parametrize("number", range(2 * len(KINDS)))
def test_a_random_video_is_read_as_a_player_shows_it(tmp_path, number):
    kind, path, truth = make_case(0, number, tmp_path)
    assert list(faults(path, truth)) == [], f"{kind}, {path.name}"
