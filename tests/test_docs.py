"""Every command, option and export format stands in the docs, and every link and file that the docs name exists."""

from __future__ import annotations

import csv
import re
import runpy
from pathlib import Path

import click
import pytest
from conftest import DEMO, ROOT, needs_weights

import ferwatch

COMMANDS: dict[str, click.Command] = runpy.run_path(str(ROOT / "docs" / "command_line.py"))["commands"]()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("samples/*.md")])


def section(command: str) -> str:
    """Return the section of docs/command-line.md about a command."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    found = re.search(rf"^## ferwatch {re.escape(command)}$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"docs/command-line.md has no section 'ferwatch {command}': run 'make docs'"
    return found[1]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_options_of_a_command_stand_in_the_docs(name: str) -> None:
    text = section(name)
    known = {option for parameter in COMMANDS[name].params for option in (*parameter.opts, *parameter.secondary_opts)}
    options = {option for option in known if option.startswith("-")} | {"--help"}
    documented = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", re.sub(r"^  ferwatch .*", "", text, flags=re.M)))
    missing = {option for option in options if option not in documented}
    assert not missing, f"run 'make docs': docs/command-line.md lacks {', '.join(sorted(missing))}"
    listed = set(re.findall(r"^  (--?[a-z][a-z0-9-]*)", text, re.MULTILINE))
    stale = listed - options
    assert not stale, (
        f"run 'make docs': docs/command-line.md has {', '.join(sorted(stale))}, which 'ferwatch {name}' lacks"
    )


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_description_of_a_command_stands_in_the_docs(name: str) -> None:
    description = " ".join((COMMANDS[name].help or "").replace("\b", "").split())
    assert description in " ".join(section(name).split()), "run 'make docs'"


def test_commands_stand_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for name in COMMANDS if name != "run" and not re.search(rf"ferwatch .*\b{name}\b", readme)]
    assert not missing, f"README.md does not mention {', '.join(missing)}"


def test_export_formats_stand_in_the_docs() -> None:
    formats = next(p.type for p in COMMANDS["run"].params if "--export" in p.opts)
    assert isinstance(formats, click.Choice)
    for page in ("README.md", "docs/formats.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        missing = [name for name in formats.choices if not re.search(rf"(?<![\w.]){name}(?!\w)", text)]
        assert not missing, f"{page} does not mention the formats {', '.join(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [t for t in targets if t and "://" not in t and not (page.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_of_this_project_that_a_page_names_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("the changelog also names files of earlier versions")
    text = page.read_text(encoding="utf-8")
    folders = "ferwatch|tests|benchmarks|samples|docs|weights"
    named = set(re.findall(rf"(?<![\w/.-])(?:{folders})/[\w./-]*\w\.(?:py|md|toml|json|mp4|csv)\b", text))
    missing = sorted(name for name in named if not (ROOT / name).exists())
    assert not missing


@needs_weights
def test_the_rows_in_the_readme_are_those_of_the_demo(tmp_path: Path) -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    header = next(line for line in lines if line.startswith("frame,timestamp,"))
    shown = list(csv.DictReader([header, *(line for line in lines if re.match(r"\d+,\d+\.\d+,\d+,1,", line))]))
    assert len(shown) == 3
    run = ferwatch.analyze(DEMO, out=tmp_path / "run", annotate=False)
    with open(run.folder / "frames.csv", encoding="utf-8", newline="") as file:
        rows = {(row["frame"], row["face_id"]): row for row in csv.DictReader(file)}
    for row in shown:
        found = rows[row["frame"], row["face_id"]]
        assert found.keys() == row.keys()
        for name, text in row.items():
            if name in ("timestamp", "emotion", "duration"):
                assert found[name] == text
            else:
                assert float(found[name]) == pytest.approx(float(text), abs=1 if name.startswith("box") else 0.02)
