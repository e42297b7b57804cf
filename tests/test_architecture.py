"""The package's layout stays within the limits that docs/architecture.md states."""

from __future__ import annotations

from pathlib import Path

import architecture
import pytest


def test_a_package_imports_only_from_layers_below_its_own() -> None:
    assert architecture.imports_against_direction() == []


def test_an_import_against_the_direction_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ferwatch" / "video").mkdir(parents=True)
    wrong = "def late():\n    from ferwatch.faces.align import align\n\n    return align\n"
    (tmp_path / "ferwatch" / "video" / "reader.py").write_text(wrong)
    monkeypatch.setattr(architecture, "ROOT", tmp_path)
    monkeypatch.setattr(architecture, "PACKAGE", tmp_path / "ferwatch")
    assert architecture.imports_against_direction() == [f"{Path('ferwatch/video/reader.py')}:2 imports faces"]


def test_the_top_level_stays_small() -> None:
    assert len(architecture.top_level()) <= architecture.MAX_PACKAGES


def test_one_module_knows_the_columns() -> None:
    assert len(architecture.modules_with_column_names()) == 1
