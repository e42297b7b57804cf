"""The package's layout holds: what docs/architecture.md says of layers and sizes."""

from __future__ import annotations

import architecture


def test_a_package_imports_only_from_layers_below_its_own() -> None:
    assert architecture.imports_against_direction() == []


def test_the_top_level_stays_small() -> None:
    assert len(architecture.top_level()) <= architecture.MAX_PACKAGES
