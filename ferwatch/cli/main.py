"""The command line. Commands are thin, and import what is heavy only when they run."""

from __future__ import annotations

import os
import signal
import sys
from difflib import get_close_matches
from importlib import import_module
from io import TextIOWrapper
from tempfile import gettempdir
from traceback import walk_tb
from types import FrameType

import click

from ferwatch.errors import FerwatchError, shown
from ferwatch.utils.native_logs import enable_suppression
from ferwatch.utils.version import __version__

COMMANDS = {
    "run": "the main job; 'ferwatch VIDEO' is short for it",
    "batch": "the main job for many videos, on all cores or a Ray cluster",
    "compare": "compare two moments of a video, or two pictures",
    "timeline": "smooth, segment, correct and export a run again",
    "study": "many recordings with participants, conditions and events: tables, figures, a page",
    "agree": "how far a run agrees with human coders (ELAN, BORIS, tables)",
    "highlights": "the strongest, longest and most sudden moments of a run, as a table and as clips",
    "look-inside": "the forward pass as pictures",
    "evaluate": "measure a classifier on FER2013",
    "train": "train a classifier on FER2013",
    "models": "the classifiers and their accuracy",
}


class Commands(click.Group):
    """Loads a command's module when it is called; a first argument that is no command is a video."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"ferwatch.cli.{name.replace('-', '_')}")
        command = getattr(module, name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))  # without loading their modules

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in COMMANDS and args[0] not in ("--help", "--version"):
            meant = get_close_matches(args[0], COMMANDS, 1)
            if meant and len(args) > 1 and not os.path.exists(args[0]):  # noqa: PTH110  (a name that is too long)
                raise click.UsageError(f"there is no command and no file {shown(args[0])}; did you mean '{meant[0]}'?")
            args = ["run", *args]
        names = args[: args.index("--")] if "--" in args else args
        dashed = next((arg for arg in names if arg.startswith("-") and os.path.lexists(arg)), None)
        if dashed is not None:
            raise click.UsageError(f"a name that begins with a dash is taken for an option; write ./{dashed}")
        return super().parse_args(ctx, args)


@click.group(cls=Commands, invoke_without_command=False, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="ferwatch")
def cli() -> None:
    """Turns a video into an emotion timeline.

    \b
    ferwatch interview.mp4                        the main job: table, episodes, timeline, annotated video
    ferwatch interview.mp4 --export html          and a page to look at
    ferwatch compare interview.mp4 --at 0:12 --at 0:34
    ferwatch COMMAND --help                       more, with examples
    """


def _failed_in_printing(error: OSError) -> bool:
    """Return whether click.echo raised the error: standard output takes nothing, as on a full disk."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    return frame.f_code is click.echo.__code__


def main() -> None:
    """Run the command line and exit. 0: done; 1: failed, with one line on stderr; 2: wrong usage; 130: interrupted."""
    stopped_by: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopped_by.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a job in the background ignores SIGINT
        signal.signal(signal.SIGINT, stop)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold bytes that are no text
    enable_suppression()
    try:
        # Torch makes this folder when it loads. The folder for temporary files exists already, so none is left behind.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", gettempdir())
        try:
            sys.exit(cli.main(standalone_mode=False) or 0)
        except Exception as error:
            if stopped_by:  # click, or an extension module, has turned the interrupt into an error of its own
                remedy = error.__cause__.args if isinstance(error.__cause__, KeyboardInterrupt) else ()
                raise KeyboardInterrupt(*remedy) from None
            raise
    except FerwatchError as error:
        click.echo(f"ferwatch: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    except OSError as error:  # for example, no room for temporary files
        is_output = _failed_in_printing(error)
        cause = (
            f"standard output cannot be written: {error.strerror}" if is_output else f"operating system error: {error}"
        )
        click.echo(f"ferwatch: {cause}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo("; ".join(["ferwatch: interrupted", *map(str, error.args)]), err=True)
        sys.exit(130)
