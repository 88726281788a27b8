"""The output of `connect` about a client: the text to add, missing values, other entries."""

import shlex
from pathlib import Path
from typing import Any

import click

from elks_mcp.cli.output import say
from elks_mcp.clients import files
from elks_mcp.clients.catalog import SERVER, Change, Client, Secrets
from elks_mcp.clients.client_paths import Ambiguous, Machine
from elks_mcp.clients.editing import parse
from elks_mcp.clients.jsonc import Broken
from elks_mcp.clients.listed_entries import list_entries, list_project_entries
from elks_mcp.clients.servers import Remote, Server
from elks_mcp.clients.snippets import Unsupported, build_removal, write_snippet
from elks_mcp.runtime.launcher import show_command_here


def explain_secrets(client: Client, server: Server, missing: list[str]) -> str:
    """Return what a person has to do so that the client has all secrets, or ""."""
    names, blank, is_remote = server.list_secrets(), server.list_blanks(), isinstance(server, Remote)
    if client.secrets is Secrets.INPUTS and names:
        return f"{client.title} asks for {_join(names)} at the first start."
    if client.secrets in {Secrets.NAMES, Secrets.REFERENCES} and missing:
        return f"Set {_join(missing)} in the environment that {client.title} is started in."
    if client.secrets in {Secrets.NAMES, Secrets.REFERENCES} and names:
        verb, without = "are" if names[1:] else "is", "" if is_remote else " To need none: `--env-file`."
        return f"Start {client.title} where {_join(names)} {verb} set, as in this terminal.{without}"
    if client.secrets is Secrets.NONE and blank and is_remote:
        return "Write the token after Bearer there. Until then, nothing can be sent."
    if client.secrets is Secrets.NONE and blank:
        return f"Fill in {_join(blank)} there. Until then, nothing can be sent."
    return ""


def explain_stored_secret(server: Server, closed: str) -> str:
    """Return the warning that a file has a secret; `closed` says who can read the file."""
    if isinstance(server, Remote):
        return f"It has your token in it. {closed}".rstrip()
    return f"It has your password in it. {closed}To keep it out: `--env-file`."


def print_instructions(client: Client, server: Server, machine: Machine) -> None:
    """Print what to add to a client, and to which file.

    Raises:
        click.ClickException: the client cannot use such a server.
    """
    try:
        snippet = write_snippet(client, server.with_placeholders())
        file = client.find_file(machine)
    except (Unsupported, Ambiguous) as error:
        raise click.ClickException(str(error)) from None
    if client.change is Change.COMMAND:
        say(f"{client.title}: run this command.", err=True)
    else:
        new = " (new)" if file and not Path(file).exists() else ""
        say(f"{client.title}: add this to {file or 'its file'}{new}", err=True)
    if client.format != "yaml":
        say(f"To check it afterwards: {show_command_here(f'doctor --client {client.name}')}.\n", err=True)
    click.echo(snippet.rstrip())


def report_project_entries(client: Client, path: Path) -> None:
    """Say in which folders Claude Code uses an entry of another scope instead of the user's."""
    if client.change is not Change.COMMAND:
        return
    said, project = _parse(client, path), Path.cwd() / client.project_file
    places = dict.fromkeys(list_project_entries(client, path, said), "local")
    if list_entries(client, project, _parse(client, project)):
        places.setdefault(project.parent, "project")
    for folder, scope in places.items():
        say(
            f"Note: in {folder}, {client.title} uses another entry {SERVER} (scope {scope}). To remove that, "
            f"type this there: `{shlex.join(build_removal(scope))}`"
        )


def _parse(client: Client, path: Path) -> dict[str, Any]:
    """Return what a file says, and nothing if it cannot be read."""
    try:
        return parse(client, files.read(path).text)
    except (Broken, files.FileProblem):
        return {}


def _join(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
