"""The command line in this process: a new one for each command would load torch each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from ferwatch.cli.main import cli
from ferwatch.errors import FerwatchError


class Result(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Ferwatch = Callable[..., Result]


def in_process(*arguments: str | Path) -> Result:
    """Runs `ferwatch ARGUMENTS` in the working directory."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if isinstance(done.exception, FerwatchError):
        return Result(1, done.stdout, f"ferwatch: {done.exception}")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Result(done.exit_code, done.stdout, done.stderr)
