"""`elks-mcp doctor --client`: check what an MCP client will really start."""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from elks_mcp.cli.client_start import start_once
from elks_mcp.cli.doctor_settings import Check, conclude
from elks_mcp.cli.output import say
from elks_mcp.clients import files, jsonc
from elks_mcp.clients.catalog import CLIENTS, SERVER, Client, UnknownClient, find_client
from elks_mcp.clients.client_paths import Ambiguous, Machine, find_classic_file
from elks_mcp.clients.editing import parse
from elks_mcp.clients.resolving import Resolver
from elks_mcp.clients.servers import Program

_KEYS = tuple(dict.fromkeys(client.key for client in CLIENTS))


class _ListedEntry(NamedTuple):
    """A server in a client's file. `place` is the file, and the project in it if there is one."""

    place: str
    name: str
    fields: Mapping[str, Any]


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
    found: list[_ListedEntry] = []
    for path in paths:
        try:
            said = parse(client, files.read(path).text)
        except (files.FileProblem, jsonc.Broken) as error:
            yield Check("fail", _explain(path, error))
            continue
        if client.name == "claude-code":
            found = [*_find_local_servers(client, path, said), *found]
        found += _find_servers(client.key, path, said)
        yield from _check_keys(client, path, said)
    yield from _check_machine(client, machine)
    if not found:
        yield Check("fail", f"{client.title} has no elks-mcp. To add it: `elks-mcp connect {client.name}`.")
    yield from _check_servers(client, machine, found)


def _check_servers(client: Client, machine: Machine, found: list[_ListedEntry]) -> Iterator[Check]:
    """Check the servers that a client uses: of those with one name, Claude Code uses the first."""
    for each in found:
        first = next(other for other in found if other.name == each.name)
        if client.name == "claude-code" and each is not first:
            yield Check(
                "note", f"{each.name} in {each.place} is not used, because the one in {first.place} is."
            )
        else:
            yield from _check_server(client, machine, each)


def _find_local_servers(client: Client, path: Path, said: Mapping[str, Any]) -> list[_ListedEntry]:
    """Return our servers that the file of Claude Code has for the current project.

    `claude mcp add` writes them unless another scope is named. They come before all others.
    """
    folder = Path.cwd()
    project = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
    projects = said.get("projects")
    return [
        entry._replace(place=f"{path} (for {name})")
        for name, fields in (projects.items() if isinstance(projects, dict) else ())
        if Path(name) in {folder, project} and isinstance(fields, dict)
        for entry in _find_servers(client.key, path, fields)
    ]


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


def _find_servers(key: str, path: Path, said: Mapping[str, Any]) -> list[_ListedEntry]:
    """Return the servers under a key that are ours, by their name or by what they start."""
    servers = said.get(key)
    if not isinstance(servers, dict):
        return []
    return [
        _ListedEntry(str(path), name, fields)
        for name, fields in servers.items()
        if isinstance(fields, dict) and (name == SERVER or re.search("elks[-_]mcp", _command_of(fields)))
    ]


def _command_of(fields: Mapping[str, Any]) -> str:
    words = [fields.get("command"), fields.get("args")]
    return " ".join(str(each) for word in words for each in (word if isinstance(word, list) else [word]))


def _check_keys(client: Client, path: Path, said: Mapping[str, Any]) -> Iterator[Check]:
    """Look for our server under the keys of other clients, which this one ignores."""
    for key in _KEYS:
        if key != client.key and _find_servers(key, path, said):
            yield Check(
                "fail",
                f"{path} has the server under {key}, which {client.title} ignores. The key is {client.key}.",
            )


def _check_machine(client: Client, machine: Machine) -> Iterator[Check]:
    """Check what prevents a client from using a correct file."""
    if client.name == "claude-desktop" and machine.system == "win32":
        classic, used = find_classic_file(machine), client.find_file(machine)
        if used not in {None, classic} and Path(classic).exists():
            yield Check("warn", f"{classic} is ignored, because Claude Desktop reads {used}.")
    if client.name == "gemini" and not _is_trusted(machine):
        yield Check(
            "warn",
            f"Gemini CLI does not trust the folder {Path.cwd()}, so it starts no server there. Start "
            "`gemini` in it and trust the folder, or go to one that it trusts.",
        )


def _is_trusted(machine: Machine) -> bool:
    """Return whether Gemini CLI trusts the current folder, by its own rules (0.61)."""
    environ = machine.environ
    if environ.get("GEMINI_CLI_TRUST_WORKSPACE") in {"true", "false"}:
        return environ["GEMINI_CLI_TRUST_WORKSPACE"] == "true"
    folder = Path(machine.folder("GEMINI_CLI_HOME")) / ".gemini"
    settings = _read_object(folder / "settings.json")
    for key in ("security", "folderTrust"):
        settings = settings[key] if isinstance(settings.get(key), dict) else {}
    if settings.get("enabled") is False:
        return True
    named = environ.get("GEMINI_CLI_TRUSTED_FOLDERS_PATH")
    rules = _read_object(Path(named) if named else folder / "trustedFolders.json")
    levels = [(len(rule), level) for rule, level in rules.items() if _covers(rule, level, Path.cwd())]
    return bool(levels) and max(levels)[1] != "DO_NOT_TRUST"


def _covers(rule: str, level: object, folder: Path) -> bool:
    place = Path(rule).parent if level == "TRUST_PARENT" else Path(rule)
    return folder.resolve().is_relative_to(place.resolve())


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = jsonc.parse(files.read(path).text)
    except (files.FileProblem, jsonc.Broken):
        return {}
    return found if isinstance(found, dict) else {}


def _check_server(client: Client, machine: Machine, found: _ListedEntry) -> Iterator[Check]:
    """Check one entry of a client, and start it once."""
    yield Check("ok", f"{found.place} has the server {found.name}.")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", found.name):
        yield Check(
            "fail",
            f"The name {found.name} must begin with a letter and have only letters, digits, - and _. "
            f"Rename it to {SERVER}.",
        )
    if found.fields.get("disabled") is True or found.fields.get("enabled") is False:
        yield Check("fail", f"{found.name} is turned off in {found.place}.")
    resolver = Resolver(client, machine)
    server = resolver.read(found.fields)
    if server is None:
        yield Check("fail", f"{found.name} has neither a command nor an address that {client.title} reads.")
        return
    yield from _check_references(client, resolver)
    if isinstance(server, Program):
        problem = _check_command(server.command, machine)
        yield problem or Check("ok", f"The command is {server.command}")
        if problem and problem.mark == "fail":
            return
    started = start_once(server)
    yield Check("fail", started.problem) if started.problem else Check("ok", started.describe())
    for note in started.notes:
        # A note that names a setting is about a mistake, unless the client has what is not set here.
        yield Check("warn" if "ELKS_" in note and not resolver.missing else "note", note)


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
