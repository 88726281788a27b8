"""`elks-mcp doctor --client`: check what an MCP client will really start."""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from elks_mcp.cli.client_obstacles import list_obstacles
from elks_mcp.cli.client_start import start_once
from elks_mcp.cli.doctor_settings import Check, conclude
from elks_mcp.cli.output import say
from elks_mcp.clients import files, jsonc
from elks_mcp.clients.catalog import SERVER, Client, UnknownClient, find_client
from elks_mcp.clients.client_paths import Ambiguous, Machine
from elks_mcp.clients.editing import check_readable, parse
from elks_mcp.clients.entry_fields import list_foreign_fields, list_wrong_types
from elks_mcp.clients.listed_entries import (
    ListedEntry,
    describe_others,
    list_entries,
    list_misplaced,
    list_project_entries,
)
from elks_mcp.clients.resolving import Resolver
from elks_mcp.clients.servers import Program
from elks_mcp.runtime.launcher import show_command_here


def check_client(client: Client, machine: Machine) -> Iterator[Check]:
    """Check one client: its file, what it says about our server, and whether that starts."""
    if client.format == "yaml":
        file = client.find_file(machine)
        yield Check(
            "warn", f"{file} is YAML, which is not read here, so nothing was checked. Look at it yourself."
        )
        return
    paths, problem = _list_files(client, machine)
    if problem:
        yield problem
    found: list[ListedEntry] = []
    others: list[str] = []
    for path in paths:
        try:
            read = files.read(path)
            said = parse(client, read.text)
        except (files.FileProblem, jsonc.Broken) as error:
            yield Check("fail", _explain(path, error))
            continue
        yield from _check_readable(client, path, read)
        found = [*_list_local_entries(client, path, said), *found, *list_entries(client, path, said)]
        others += describe_others(client, said)
        yield from _check_keys(client, path, said)
    yield from (Check("warn", obstacle) for obstacle in list_obstacles(client, machine))
    if not found:
        yield Check("fail", _explain_absence(client, others))
    yield from _check_servers(client, machine, found)


def _explain_absence(client: Client, others: list[str]) -> str:
    only = f", only {', '.join(others)}" if others else ""
    return f"{client.title} has no elks-mcp{only}. To add it: {show_command_here(f'connect {client.name}')}."


def _check_servers(client: Client, machine: Machine, found: list[ListedEntry]) -> Iterator[Check]:
    """Check the servers that a client uses: of those with one name, Claude Code uses the first."""
    for each in found:
        first = next(other for other in found if other.name == each.name)
        if client.name == "claude-code" and each is not first:
            yield Check(
                "note", f"{each.name} in {each.place} is not used, because the one in {first.place} is."
            )
        else:
            yield from _check_server(client, machine, each)


def _list_local_entries(client: Client, path: Path, said: Mapping[str, Any]) -> list[ListedEntry]:
    """List our servers that Claude Code has for the current project, which come first."""
    if client.name != "claude-code":
        return []
    folder = Path.cwd()
    project = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
    entries = list_project_entries(client, path, said)
    return [entry for place in entries if place in {folder, project} for entry in entries[place]]


def _list_files(client: Client, machine: Machine) -> tuple[list[Path], Check | None]:
    """Return the files that exist, that of the project first, and a problem if there is one."""
    project = [Path.cwd() / client.project_file] if client.project_file else []
    try:
        own = client.find_file(machine)
    except Ambiguous as error:
        return [], Check("fail", str(error))
    if own is None:
        return [], Check("fail", f"{client.title} does not exist for this system.")
    paths = {path.resolve(): path for path in (*project, Path(own)) if path.exists()}
    return list(paths.values()), None if Path(own).exists() else Check("note", f"{own} does not exist.")


def _explain(path: Path, error: Exception) -> str:
    if isinstance(error, jsonc.Broken):
        return f"{path} cannot be read: {error}. Correct it by hand."
    return str(error)


def _check_readable(client: Client, path: Path, file: files.ClientFile) -> Iterator[Check]:
    """Check that the client reads a file that we can read."""
    try:
        check_readable(client, file)
    except jsonc.Broken as error:
        yield Check("fail", f"{path} cannot be read: {error}.")


def _check_keys(client: Client, path: Path, said: Mapping[str, Any]) -> Iterator[Check]:
    """Look for our server at places that this client ignores."""
    for key in list_misplaced(client, said):
        where = f"under {key}" if key else "at the top level"
        yield Check(
            "fail",
            f"{path} has the server {where}, which {client.title} ignores. The key is {client.key}.",
        )


def _check_server(client: Client, machine: Machine, found: ListedEntry) -> Iterator[Check]:
    """Check one entry of a client, and start what it names."""
    yield Check("ok", f"{found.place} has the server {found.name}.")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", found.name):
        yield Check(
            "fail",
            f"The name {found.name} must begin with a letter and have only letters, digits, - and _. "
            f"Rename it to {SERVER}.",
        )
    if found.fields.get("disabled") is True or found.fields.get("enabled") is False:
        yield Check("fail", f"{found.name} is turned off in {found.place}.")
    foreign, wrong = list_foreign_fields(client, found.fields), list_wrong_types(client, found.fields)
    yield from (Check("fail", f"{found.name}: {mistake}") for mistake in (*foreign, *wrong))
    if not wrong:
        yield from _check_start(client, machine, found)


def _check_start(client: Client, machine: Machine, found: ListedEntry) -> Iterator[Check]:
    """Start what an entry names, once."""
    resolver = Resolver(client, machine)
    server = resolver.read(found.fields)
    if server is None:
        yield Check("fail", f"{found.name} has neither a command nor an address that {client.title} reads.")
        return
    yield from _check_references(client, resolver)
    for name in server.list_placeholders():
        yield Check("fail", f"{name} still has a placeholder. Write your own value there.")
    if isinstance(server, Program):
        problem = _check_command(server.command, machine)
        yield problem or Check("ok", f"The command is {server.command}")
        if problem and problem.mark == "fail":
            return
    started = start_once(server)
    yield Check("fail", started.problem) if started.problem else Check("ok", started.describe())
    for note in started.notes:
        # A note that names a setting is about a mistake, also if the client may have what is not set here.
        yield Check("warn" if "ELKS_" in note else "note", note)


def _check_references(client: Client, resolver: Resolver) -> Iterator[Check]:
    for name in dict.fromkeys(resolver.missing):
        yield Check("note", f"{name} is not set in this environment, so it was left out here.")
    for where, text in resolver.left:
        yield Check(
            "fail", f"{where} has {text}, which {client.title} does not replace. Write the value itself."
        )


def _check_command(command: str, machine: Machine) -> Check | None:
    """Return what is wrong with a command, or None."""
    if shutil.which(command, path=machine.environ.get("PATH", "")) is None:
        return Check("fail", f"The command {command} was not found, or cannot be executed.")
    if not os.path.isabs(command):  # noqa: PTH117  (as the client reads it)
        return Check(
            "warn",
            f"The command {command} has no path. Desktop programs do not see the PATH of a shell, so they "
            "may not find it.",
        )
    return None


def print_client_checks(name: str) -> int:
    """Print the checks of a client, and return the exit code: 1 if one failed.

    Raises:
        click.UsageError: no client has this name.
    """
    try:
        client = find_client(name)
    except UnknownClient as error:
        raise click.UsageError(str(error)) from None
    marks = set()
    for check in check_client(client, Machine(sys.platform, Path.home(), os.environ)):
        marks.add(check.mark)
        say(f"{check.mark:>4}  {check.text}")
    return conclude(marks)
