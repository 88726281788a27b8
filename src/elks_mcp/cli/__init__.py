"""The front door for people: `elks-mcp` and its commands."""

import gc
import io
import os
import sys
from importlib.metadata import version
from pathlib import Path

import click

from elks_mcp.errors import Misconfigured
from elks_mcp.settings import Configuration, is_set, load
from elks_mcp.stdout import diverted

_EXPLANATION = """\
elks-mcp is an MCP server: a program like Claude, VS Code or Cursor starts it and talks to it.
Started by hand it has nobody to talk to. What you can do here:

  elks-mcp demo       watch it text a simulated phone, in a few seconds, without an account
  elks-mcp doctor     check what is configured
  elks-mcp sandbox    run a simulated 46elks, with phones to look at, in your browser
  elks-mcp --help     everything

To let your client start it, see the README's "Set up".
"""


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("elks-mcp"), prog_name="elks-mcp")
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read settings from this file too; the environment wins.",
)
@click.pass_context
def commands(context: click.Context, env_file: Path | None) -> None:
    """Text through 46elks from an AI assistant. Unofficial.

    Without a command it is the MCP server, on standard input and output.
    """
    context.obj = env_file
    if context.invoked_subcommand is not None:
        gc.enable()  # which `main` switched off while loading
        if isinstance(sys.stdout, io.TextIOWrapper):  # a Windows pipe cannot hold every character
            sys.stdout.reconfigure(errors="replace")
        return
    if sys.stdin.isatty():
        click.echo(_EXPLANATION)
        return
    with diverted():
        from elks_mcp.cli.stdio import serve  # noqa: PLC0415  (loads what only the server needs)

        configuration = configure(env_file)
    serve(configuration)


@commands.command()
def demo() -> None:
    """Watch an MCP client text a simulated phone through this server."""
    from elks_mcp.cli.demo import run  # noqa: PLC0415

    sys.exit(run())


@commands.command()
@click.option(
    "--port", default=4646, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."
)
def sandbox(port: int) -> None:
    """Run a simulated 46elks: its API, and phones to look at in the browser."""
    from elks_mcp.cli.sandbox import run  # noqa: PLC0415

    run(port)


@commands.command()
@click.pass_obj
def doctor(env_file: Path | None) -> None:
    """Check what is configured, and whether 46elks accepts it. Exit code 0 if all is well."""
    from elks_mcp.cli.doctor import run  # noqa: PLC0415

    sys.exit(run(configure(env_file)))


def configure(env_file: Path | None) -> Configuration:
    """Read the settings; where they cannot be read, say why in one line and end with code 2."""
    try:
        ours = {name: value for name, value in os.environ.items() if is_set(value)}
        return load((_read_env_file(env_file) if env_file else {}) | ours)
    except Misconfigured as error:
        click.echo(f"elks-mcp: cannot start: {error}", err=True)
        sys.exit(2)


def _read_env_file(path: Path) -> dict[str, str]:
    from dotenv import dotenv_values  # noqa: PLC0415  (only who asks for it)

    try:
        values = dotenv_values(path, encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Misconfigured(f"{path} is not UTF-8; save it as UTF-8") from None
    return {name: value for name, value in values.items() if value is not None}
