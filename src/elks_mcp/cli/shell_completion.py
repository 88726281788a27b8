"""`elks-mcp completion`: have the shell complete commands and options."""

import os
import sys
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from elks_mcp.cli.arguments import shared_options
from elks_mcp.cli.choices import Words
from elks_mcp.runtime.start_options import COMPLETION
from elks_mcp.settings import default_state_dir

PROGRAM = "elks-mcp"
SHELLS = ("bash", "zsh", "fish", "powershell")

_shell = click.argument("shell", type=Words(SHELLS), required=False)


@click.group()
@shared_options
def completion() -> None:
    """Set up shell completion of commands and options.

    SHELL is bash, zsh, fish or powershell. Default: the shell that SHELL in the environment names.
    """


@completion.command()
@_shell
@shared_options
@click.pass_context
def show(context: click.Context, shell: str | None) -> None:
    """Print the script for a shell."""
    click.echo(_build_script(context, shell or _find_shell()), nl=False)


@completion.command()
@_shell
@shared_options
@click.pass_context
def install(context: click.Context, shell: str | None) -> None:
    """Store the script for a shell, and make the shell load it.

    For bash and zsh, a line is added to .bashrc or .zshrc, unless it is there already. The command prints
    the names of the files. If it is repeated, it only renews the script.
    """
    shell = shell or _find_shell()
    script = _build_script(context, shell)
    file = _find_script_file(shell)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script, encoding="utf-8", newline="\n")
        click.echo(f"The script for {shell} is in {file}.")
        _have_loaded(shell, file)
    except OSError as error:
        raise click.ClickException(f"{error.filename or file} cannot be written: {error.strerror}.") from None


def _build_script(context: click.Context, shell: str) -> str:
    """Return click's script for a shell.

    Raises:
        click.ClickException: the installed click does not support the shell.
    """
    complete = get_completion_class(shell)
    if complete is None:
        raise click.ClickException(f"The installed version of click cannot complete in {shell}. Upgrade it.")
    return complete(context.find_root().command, {}, PROGRAM, COMPLETION).source()


def _find_shell() -> str:
    """Return the shell of the environment.

    Raises:
        click.UsageError: it is none of those supported.
    """
    named = Path(os.environ.get("SHELL", "")).stem
    if not named and sys.platform == "win32":
        return "powershell"
    if named in SHELLS:
        return named
    raise click.UsageError(f"Name the shell: {', '.join(SHELLS)}.")


def _find_script_file(shell: str) -> Path:
    if shell == "fish":  # which loads all files of this folder
        config = os.environ.get("XDG_CONFIG_HOME")
        return (Path(config) if config else Path.home() / ".config") / "fish/completions" / f"{PROGRAM}.fish"
    return default_state_dir() / f"completion.{'ps1' if shell == 'powershell' else shell}"


def _have_loaded(shell: str, file: Path) -> None:
    """Have the shell load the script when it starts, and print how."""
    if shell == "fish":
        click.echo("fish loads it automatically.")
        return
    if shell == "powershell":  # its profile may be in several places, also on a network
        click.echo(f'Add this line to your profile, the file that $PROFILE names:\n\n  . "{file}"\n')
        return
    folder = os.environ.get("ZDOTDIR") if shell == "zsh" else None
    startup = Path(folder or Path.home()) / f".{shell}rc"
    line = _LINES[shell].format(file=file)
    present = startup.read_text(encoding="utf-8", errors="replace") if startup.exists() else ""
    if line in present.splitlines():
        click.echo(f"{startup} already loads it.")
        return
    with startup.open("a", encoding="utf-8", newline="\n") as opened:
        opened.write(("" if not present or present.endswith("\n") else "\n") + f"{line}\n")
    click.echo(
        f"This line was added to {startup}:\n\n  {line}\n\nNew shells use it. To undo it, delete the line."
    )


_LINES = {
    "bash": '[ -f "{file}" ] && . "{file}"  # elks-mcp completion',
    "zsh": "(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit; }}; "
    '[ -f "{file}" ] && . "{file}"  # elks-mcp completion',
}
