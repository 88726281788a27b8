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
    none of the modules. The word `help` is the option `--help`, also of the command after it. A word in
    `synonyms` is answered with the commands that may be meant.
    """

    def __init__(
        self,
        *arguments: Any,
        sections: Sections,
        synonyms: Mapping[str, tuple[str, ...]],
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._sections = sections
        self._synonyms = synonyms
        self._lazy = {name: each for section in sections.values() for name, each in section.items()}
        for name, (_, short_help) in self._lazy.items():
            self.add_command(click.Command(name, short_help=short_help))  # until it is imported

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and return it."""
        if cmd_name in self._lazy:
            module, _, attribute = self._lazy[cmd_name][0].partition(":")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a line, and the words that remain for it."""
        word, *rest = args
        if word not in self._lazy and not ctx.resilient_parsing:
            if word == "help":
                if rest:
                    return super().resolve_command(ctx, [*rest, "--help"])
                click.echo(ctx.get_help())
                ctx.exit()
            if meant := self._synonyms.get(word.lower()):
                quoted = " or ".join(f"'{each}'" for each in meant)
                raise click.UsageError(f"No such command {word!r}. Did you mean {quoted}?", ctx)
        return super().resolve_command(ctx, args)

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
