"""Our servers in a client's files, also at places that the client does not read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from elks_mcp.clients.catalog import SERVER, Client

_NAMES = (SERVER, "elks-mcp", "elks_mcp")
_WORDS = ("command", "cmd", "args", "url", "httpUrl", "serverUrl", "uri")
_DEPTH = 3
"""Objects within objects in which a server at a wrong place is looked for."""


class ListedEntry(NamedTuple):
    """A server in a client's file. `place` is the file, and the project in it if there is one."""

    place: str
    name: str
    fields: Mapping[str, Any]


def list_entries(client: Client, path: Path, said: Mapping[str, Any]) -> list[ListedEntry]:
    """List our servers at the place where a client reads them."""
    return _list_ours(str(path), _find_servers(client, said))


def list_project_entries(
    client: Client, path: Path, said: Mapping[str, Any]
) -> dict[Path, list[ListedEntry]]:
    """Return our servers that Claude Code has for single projects, by the project's folder.

    `claude mcp add` writes them unless another scope is named. There they come before all others.
    """
    projects = said.get("projects")
    found = {
        Path(name): [
            entry._replace(place=f"{path} (for {name})") for entry in list_entries(client, path, fields)
        ]
        for name, fields in (projects.items() if isinstance(projects, dict) else ())
        if isinstance(fields, dict)
    }
    return {folder: entries for folder, entries in found.items() if entries}


def list_misplaced(client: Client, said: Mapping[str, Any]) -> list[str]:
    """List the keys that have our server and that the client ignores; "" is the outermost place."""
    return list(dict.fromkeys(_find_misplaced(client, said, ())))


def describe_others(client: Client, said: Mapping[str, Any]) -> list[str]:
    """List the servers of a client that are not ours, each with its address if it has one."""
    servers = _find_servers(client, said).items()
    return [_describe(client, name, fields) for name, fields in servers if not _is_ours(name, fields)]


def _find_servers(client: Client, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the servers of a client by name; a nested one comes before another of that name."""
    servers = said.get(client.key)
    if not isinstance(servers, dict):
        return {}
    nested = servers.get(client.nested_key) if client.nested_key else None
    if not isinstance(nested, dict) or isinstance(nested.get("type"), str):  # the latter is itself a server
        return servers
    return {name: each for name, each in servers.items() if name != client.nested_key} | nested


def _describe(client: Client, name: str, fields: object) -> str:
    address = fields.get(client.fields.url) if isinstance(fields, dict) else None
    return f"{name} ({address})" if isinstance(address, str) else name


def _find_misplaced(client: Client, value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    if not path and client.name == "claude-code":
        value = {name: each for name, each in value.items() if name != "projects"}
    if _list_ours("", value) or (not path and _is_ours("", value)):
        yield ".".join(path)
        return
    for name, each in value.items():
        inner = (*path, name)
        if isinstance(each, dict) and inner != (client.key,) and len(inner) <= _DEPTH:
            yield from _find_misplaced(client, each, inner)


def _list_ours(place: str, servers: Mapping[str, Any]) -> list[ListedEntry]:
    return [ListedEntry(place, name, fields) for name, fields in servers.items() if _is_ours(name, fields)]


def _is_ours(name: str, fields: object) -> bool:
    """Return whether an entry is about our server: by its name, its command or its address."""
    if not isinstance(fields, dict):
        return False
    if name.casefold() == SERVER:
        return True
    values = [fields.get(word) for word in _WORDS]
    words = " ".join(
        str(each) for value in values for each in (value if isinstance(value, list) else [value])
    )
    return any(each in words.casefold() for each in _NAMES)
