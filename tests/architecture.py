#!/usr/bin/env python3
"""Measures the layout of the package that docs/architecture.md describes.

python tests/architecture.py            print the measures; exit with 1 if a limit is exceeded
python tests/architecture.py --frame    also analyse a second of the demo and list the packages that its frames pass
"""

from __future__ import annotations

import ast
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

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
MAX_FRAME_PACKAGES = 8
MAX_TOUCHED = {
    "export format": 1,
    "network": 2,
    "face detector": 2,
    "signal per face": 3,
    "source": 3,
    "output head": 2,
}
"""Packages that have to change to add each of these to ferwatch."""
MAX_EXTENSION_LINES = 40
COLUMN = "box_x"
"""A name that only the schema of frames.csv has to know."""


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


def modules_with_column_names() -> list[str]:
    """Return the modules that name a column of frames.csv; there should be one, the schema."""
    found = []
    for path in modules():
        strings = {node.value for node in ast.walk(_parse(path)) if isinstance(node, ast.Constant)}
        if COLUMN in strings:
            found.append(str(path.relative_to(ROOT)))
    return found


def packages_touched() -> dict[str, list[str]]:
    """Return, for each addition that CONTRIBUTING.md describes, the packages in which it changes a file."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    sections = re.findall(r"^\*\*An? (.+?)\*\*(.*?)(?=^\*\*|\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: sorted(set(re.findall(r"`ferwatch/(\w+)", body))) for name, body in sections}


def extension_lines() -> dict[str, int]:
    """Return the length in lines of each test in tests/extending."""
    files = sorted((ROOT / "tests" / "extending").glob("test_*.py"))
    return {path.stem.removeprefix("test_"): len(path.read_text(encoding="utf-8").splitlines()) for path in files}


def packages_of_a_frame() -> list[str]:
    """Return the packages whose functions run, in any thread, while the demo's first second is analysed and exported.

    utils, records and errors are left out: frames do not pass them. So is the command line, which is not used.
    """
    import ferwatch

    seen: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and frame.f_code.co_name != "<module>" and path.is_relative_to(PACKAGE):
            seen.add(_package_of(path))

    with tempfile.TemporaryDirectory() as folder:
        analyzer = ferwatch.Analyzer(threads=1)
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            analyzer.analyze(ROOT / "samples" / "demo.mp4", Path(folder) / "run", end=1.0, exports=["json", "eaf"])
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]
    return sorted(seen - {"__init__", "utils", "records", "errors"})


def _is_package(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*.py"))


def _package_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level package of every import of ferwatch's own, inside functions too."""
    for node in ast.walk(_parse(path)):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module] if node.module != "ferwatch" else [f"ferwatch.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "ferwatch":
                yield node.lineno, parts[1] if len(parts) > 1 else "__init__"


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def main(arguments: list[str]) -> int:
    wrong, long, top, columns = imports_against_direction(), long_files(), top_level(), modules_with_column_names()
    touched, lengths = packages_touched(), extension_lines()
    print(f"packages and top-level modules, with benchmarks and samples: {len(top)} (at most {MAX_PACKAGES})")
    print(f"  {', '.join(top)}")
    print(f"imports against the direction: {len(wrong)}")
    print(f"files of more than {MAX_LINES} lines: {len(long)}")
    print(f"modules that name the columns of frames.csv: {len(columns)} ({', '.join(columns)})")
    print("packages touched to add:")
    for name, limit in MAX_TOUCHED.items():
        print(f"  {name}: {len(touched.get(name, []))} ({', '.join(touched.get(name, []))}; at most {limit})")
    print(f"lines of tests/extending (at most {MAX_EXTENSION_LINES}): {lengths}")
    for line in (*wrong, *long):
        print(f"  {line}")
    ok = not wrong and not long and len(top) <= MAX_PACKAGES and len(columns) == 1
    ok &= all(1 <= len(touched.get(name, [])) <= limit for name, limit in MAX_TOUCHED.items())
    ok &= len(lengths) == len(MAX_TOUCHED) and max(lengths.values()) <= MAX_EXTENSION_LINES
    if "--frame" in arguments:
        passed = packages_of_a_frame()
        print(f"packages that a frame passes: {len(passed)} ({', '.join(passed)}; at most {MAX_FRAME_PACKAGES})")
        ok &= len(passed) <= MAX_FRAME_PACKAGES
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
