#!/usr/bin/env python3
"""Measures the layout of the package: what docs/architecture.md promises.

python tests/architecture.py    prints the table; exits with 1 where a promise does not hold
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ferwatch"

LAYERS = (
    ("__init__", "__main__"),
    ("cli",),
    ("compare", "study"),
    ("pipeline",),
    ("export", "explain", "training"),
    ("render", "evaluation"),
    ("faces", "video", "models"),
    ("timeline",),
    ("utils",),
    ("records", "errors"),
)
"""From the top down: a package imports only from layers below its own; packages of one layer do not know each other."""

MAX_LINES = 300
MAX_PACKAGES = 20


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def top_level() -> list[str]:
    """Packages and modules at the top of ferwatch, and the folders of scripts beside it."""
    inside = [p.stem if p.suffix == ".py" else p.name for p in PACKAGE.iterdir() if p.suffix == ".py" or _is_package(p)]
    return sorted(inside) + [name for name in ("benchmarks", "samples") if (ROOT / name).is_dir()]


def imports_against_direction() -> list[str]:
    """Every import of a package from its own layer or one above, as "file:line imports package"."""
    layer_of = {name: number for number, names in enumerate(LAYERS) for name in names}
    wrong = []
    for path in modules():
        own = _package_of(path)
        for line, imported in _imports(path):
            if imported != own and layer_of[imported] <= layer_of[own]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {imported}")
    return wrong


def long_files() -> list[str]:
    """Python modules and page scripts of more than MAX_LINES lines."""
    everywhere = [ROOT / folder for folder in ("ferwatch", "benchmarks", "samples", "tests")]
    files = [p for folder in everywhere for kind in ("*.py", "*.js") for p in folder.rglob(kind)]
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in files}
    return [f"{p.relative_to(ROOT)}: {lines}" for p, lines in sorted(lengths.items()) if lines > MAX_LINES]


def _is_package(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*.py"))


def _package_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level package of every import of ferwatch's own, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module] if node.module != "ferwatch" else [f"ferwatch.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "ferwatch":
                yield node.lineno, parts[1] if len(parts) > 1 else "__init__"


def main() -> int:
    wrong, long, top = imports_against_direction(), long_files(), top_level()
    print(f"packages and top-level modules, with benchmarks and samples: {len(top)} (at most {MAX_PACKAGES})")
    print(f"  {', '.join(top)}")
    print(f"imports against the direction: {len(wrong)}")
    print(f"files of more than {MAX_LINES} lines: {len(long)}")
    for line in (*wrong, *long):
        print(f"  {line}")
    return 1 if wrong or long or len(top) > MAX_PACKAGES else 0


if __name__ == "__main__":
    sys.exit(main())
