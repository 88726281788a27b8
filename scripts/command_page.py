"""Write docs/command-line.md: what `--help` prints for every command."""

from collections.abc import Iterator

import click

from elks_mcp.cli import commands

_WIDTH = 88
"""Characters in a line of the help: as wide as a code block on a screen of a laptop."""


def write_commands() -> str:
    """Return the page."""
    sections = [
        line
        for path, context in _list_commands(_open(None, commands, "elks-mcp"), ())
        for line in _write_section(path, context)
    ]
    return "\n".join([_INTRODUCTION, *sections])


_INTRODUCTION = """\
# Command line

What `--help` prints for `elks-mcp` and for each of its commands. [Commands](commands.md) explains them by
what you want to do, and has the exit codes.
"""


def _open(parent: click.Context | None, command: click.Command, name: str) -> click.Context:
    return click.Context(command, parent, info_name=name, terminal_width=_WIDTH, max_content_width=_WIDTH)


def _list_commands(
    context: click.Context, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Context]]:
    """List a command and its subcommands, each with the words that start it."""
    yield path, context
    if isinstance(group := context.command, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None and not command.hidden:
                yield from _list_commands(_open(context, command, name), (*path, name))


def _write_section(path: tuple[str, ...], context: click.Context) -> list[str]:
    name = " ".join(("elks-mcp", *path))
    heading = f"{'###' if len(path) > 1 else '##'} `{name}`"
    return [heading, "", "```text", *(line.rstrip() for line in context.get_help().splitlines()), "```", ""]
