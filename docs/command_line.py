"""Writes docs/command-line.md: the help of every command, as `ferwatch COMMAND --help` prints it.

python docs/command_line.py
"""

from __future__ import annotations

from pathlib import Path

import click

from ferwatch.cli.main import cli

PAGE = Path(__file__).with_name("command-line.md")
WIDTH = 100
INTRODUCTION = """\
# The command line

What `ferwatch --help` and `ferwatch COMMAND --help` print; `make docs` writes this page. `ferwatch VIDEO` is short for
`ferwatch run VIDEO`. Times are seconds or `[HH:]MM:SS[.mmm]`.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | the job could not be done: one line on stderr names the file, the cause and the remedy |
| 2 | wrong usage |
| 130 | interrupted (Ctrl-C, SIGTERM); what was written so far is whole |
"""


def commands() -> dict[str, click.Command]:
    """Return every command by name, in the order of `ferwatch --help`."""
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def render_page() -> str:
    """Return the page as Markdown: one section per command."""
    context = click.Context(cli, info_name="ferwatch", terminal_width=WIDTH, max_content_width=WIDTH)
    sections = [INTRODUCTION, _section("ferwatch", cli.get_help(context))]
    for name, command in commands().items():
        own = click.Context(command, parent=context, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
        sections.append(_section(f"ferwatch {name}", command.get_help(own)))
    return "\n".join(sections)


def _section(title: str, help_text: str) -> str:
    return f"## {title}\n\n```text\n{help_text.rstrip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(render_page(), encoding="utf-8")
