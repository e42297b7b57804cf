"""A small budget of the fuzzer; CONTRIBUTING.md says how to run a larger one by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import needs_weights

HERE = Path(__file__).parent


@needs_weights
def test_a_few_damaged_files_do_no_harm() -> None:
    minutes = os.environ.get("FUZZ_MINUTES", "0.2")
    done = subprocess.run(
        [sys.executable, str(HERE / "fuzz.py"), "--seed", "0", "--count", "2000", "--minutes", minutes],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
