"""`elks-mcp connect`: bring the server into an MCP client, and prove that it works there."""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from elks_mcp.cli.arguments import find_option, join_words, shared_options, yes_option
from elks_mcp.cli.connect_client import ClientSetup
from elks_mcp.cli.connect_texts import print_instructions
from elks_mcp.cli.environment import find_state_dir
from elks_mcp.cli.output import say, wrap
from elks_mcp.cli.passed_settings import list_left_out, pass_settings
from elks_mcp.clients.catalog import CLIENTS, SERVER, Change, Client, UnknownClient, find_client, list_here
from elks_mcp.clients.client_paths import Ambiguous, Machine
from elks_mcp.clients.servers import TOKEN_VARIABLE, Program, Remote, Server
from elks_mcp.runtime.launcher import find_command, find_installation, show_command_here
from elks_mcp.runtime.start_options import ENV_FILE, STATE_DIR


@click.command(
    epilog=f"Clients: {', '.join(client.name for client in CLIENTS)}.",
)
@click.argument("name", nargs=-1, metavar="[CLIENT]", callback=join_words)
@click.option("--list", "lists", is_flag=True, help="List the clients, and which are installed.")
@click.option("--sandbox", is_flag=True, help="Text simulated phones. Needs no account.")
@click.option(
    "--http",
    "url",
    metavar="URL",
    help=f"Use a server over HTTP, with the token in {TOKEN_VARIABLE}.",
)
@click.option("--print", "prints", is_flag=True, help="Only print what to add, and to which file.")
@click.option("--remove", "removes", is_flag=True, help="Remove the server from the client.")
@yes_option
@shared_options
@click.pass_context
def connect(
    context: click.Context,
    *,
    name: str,
    lists: bool,
    sandbox: bool,
    url: str | None,
    prints: bool,
    removes: bool,
    yes: bool,
) -> None:
    """Let a client such as Claude or VS Code start elks-mcp.

    Shows the client's file and the change, asks, keeps a backup beside the file, and starts the server once
    as the client would. Nothing else in the file changes. Without CLIENT, it asks which one.

    The settings come from --env-file, whose path is all that the client gets, or from the environment: every
    setting that is set there, with your limits. The password goes where the client has a place for it.
    """
    machine = Machine(sys.platform, Path.home(), os.environ)
    _refuse_both({"--print": prints, "--remove": removes})
    if lists:
        _list_clients(machine)
        return
    _refuse_both({"--sandbox": sandbox, "--http": url, ENV_FILE: find_option(context, ENV_FILE)})
    named = _find_client(name) if name else None
    server = Program(SERVER) if removes else _build_server(context, sandbox=sandbox, url=url)
    client = named or _choose_client(machine)
    setup = ClientSetup(client, server, machine, asks=not yes)
    if prints:
        print_instructions(client, server, machine)
    elif removes:
        setup.remove()
    else:
        setup.make()


def _list_clients(machine: Machine) -> None:
    for client in CLIENTS:
        state = "here" if client.is_here(machine) else "not found"
        click.echo(f"{client.name:<16}{state:<11}{_describe(client, machine)}")


def _describe(client: Client, machine: Machine) -> str:
    if client.change is Change.COMMAND:
        return "by its own command, claude mcp"
    try:
        file = client.find_file(machine)
    except Ambiguous:
        return "more than one file"
    return f"{file or 'not for this system'}"


def _find_client(name: str) -> Client:
    try:
        return find_client(name)
    except UnknownClient as error:
        raise click.UsageError(str(error)) from None


def _choose_client(machine: Machine) -> Client:
    here = list_here(machine)
    names = ", ".join(client.name for client in here)
    if not here:
        raise click.ClickException(
            "No client was found on this machine. To print what another one needs, name it: "
            f"{show_command_here('connect cursor --print')}. "
            f"To list all of them: {show_command_here('connect --list')}."
        )
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"Name a client, as in {show_command_here(f'connect {here[0].name}')}. Found here: {names}."
        )
    for number, client in enumerate(here, 1):
        click.echo(f"{number:>3}  {client.title}")
    return here[click.prompt("Which one? Type its number", type=click.IntRange(1, len(here))) - 1]


def _build_server(context: click.Context, *, sandbox: bool, url: str | None) -> Server:
    """Return what the client has to start or use, and print which settings it gets.

    Raises:
        click.UsageError: a value is wrong.
    """
    if url is not None:
        return Remote(_check_url(url), os.environ.get(TOKEN_VARIABLE, "").strip())
    env_file, state = find_option(context, ENV_FILE), find_option(context, STATE_DIR)
    command, *args = find_command(find_installation(), os.environ)
    if state:
        args += [STATE_DIR, str(find_state_dir(context).absolute())]
    if sandbox:
        return Program(command, tuple(args), {"ELKS_SANDBOX": "true"})
    if env_file:
        _check_readable(env_file)
        if names := list_left_out(os.environ, env_file):
            _note(f"Not passed on, since the client gets only the file: {', '.join(names)}.")
        return Program(command, (*args, ENV_FILE, str(env_file.absolute())))
    passed = pass_settings(os.environ, has_state_dir=state is not None)
    if passed.names:
        _note(f"Passed on from the environment: {', '.join(passed.names)}.")
    if passed.unused:
        _note(f"Not passed on, since the sandbox does not use them: {', '.join(passed.unused)}.")
    return Program(command, tuple(args), passed.env, passed.secrets)


def _note(text: str) -> None:
    """Print a sentence on standard error, since standard output may be a text to copy."""
    say("\n".join(wrap(text)), err=True)


def _refuse_both(options: dict[str, object]) -> None:
    given = [option for option, value in options.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} cannot be used together. Leave one of them out.")


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.UsageError(f"{url} is not an address such as https://sms.example.com/mcp.")
    if parts.password or parts.username:
        raise click.UsageError(f"An address must not have a password. Put the token in {TOKEN_VARIABLE}.")
    return url


def _check_readable(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise click.UsageError(f"The file {path} cannot be read: {error.strerror}.") from None
