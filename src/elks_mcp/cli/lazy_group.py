"""A click group whose commands are imported when they are used."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

Sections = Mapping[str, Mapping[str, tuple[str, str]]]
"""By the heading of a section: its commands, each with `"module:attribute"` and the short help."""


class LazyGroup(click.Group):
    """A group that imports the module of a command only to run it, or to show the help of it.

    The group's own help, and completion of a command's name, use the short help in `sections`. They import
    none of the modules.
    """

    def __init__(self, *arguments: Any, sections: Sections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sections = sections
        self._lazy = {name: each for section in sections.values() for name, each in section.items()}
        for name, (_, short_help) in self._lazy.items():
            self.add_command(click.Command(name, short_help=short_help))  # until it is imported

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and return it."""
        if cmd_name in self._lazy:
            module, _, attribute = self._lazy[cmd_name][0].partition(":")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the names of the commands and their short help, by section."""
        width = max(map(len, self._lazy))
        for heading, section in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:<{width}}", text) for name, (_, text) in section.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Return the commands and options that begin with `incomplete`."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  (only for completion)

        items = [
            CompletionItem(name, help=text)
            for name, (_, text) in self._lazy.items()
            if name.startswith(incomplete)
        ]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]
