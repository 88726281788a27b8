"""Read what a client really starts: the fields of its file, with variables put in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from elks_mcp.clients.catalog import Client
from elks_mcp.clients.client_paths import Machine
from elks_mcp.clients.references import Left, References
from elks_mcp.clients.servers import TOKEN_VARIABLE, Program, Remote, Server


class Resolver:
    """Reads what a client uses.

    A value that the client asks a person for (`${input:…}`) is taken from the variable of the same name.
    """

    def __init__(self, client: Client, machine: Machine) -> None:
        self._client = client
        self._references = References(client.name, machine)

    @property
    def missing(self) -> list[str]:
        """The variables that could not be put in."""
        return self._references.missing

    @property
    def left(self) -> list[Left]:
        """The references that the client does not replace."""
        return self._references.left

    def read(self, fields: Mapping[str, Any]) -> Server | None:
        """Return the server, or None if the fields name neither a command nor an address.

        They have the types that the client takes; `list_wrong_types` finds others.
        """
        keys, fields = self._client.fields, {name: value for name, value in fields.items() if name}
        command, args = fields.get(keys.command), fields.get(keys.args, [])
        if isinstance(command, list):
            words = list(command)
            command, args = "".join(words[:1]), words[1:]
        if command:
            env = {name: self._fill(name, value) for name, value in fields.get(keys.env, {}).items()}
            env |= {name: self._references.find(name) for name in map(_name, fields.get(keys.names, []))}
            kept = {name: value for name, value in env.items() if value}
            filled = tuple(self._fill("An argument", word) for word in args)
            return Program(self._fill("The command", command), filled, kept)
        url = fields.get(keys.url)
        return self._read_remote(self._fill("The address", url), fields) if url else None

    def _read_remote(self, url: str, fields: Mapping[str, Any]) -> Remote:
        if variable := fields.get("bearer_token_env_var"):
            return Remote(url, self._references.find(str(variable)), f"the variable {variable}")
        header = fields.get(self._client.fields.headers, {}).get("Authorization", "")
        remote = Remote(url, self._fill("The header Authorization", header.removeprefix("Bearer").strip()))
        if f"{{{TOKEN_VARIABLE}}}" in header:
            return replace(remote, token_place=f"the variable {TOKEN_VARIABLE}")
        return remote

    def _fill(self, where: str, value: object) -> str:
        return "" if value is None else self._references.replace(where, str(value))


def _name(variable: str | Mapping[str, str]) -> str:
    """Return the name of a variable that Codex passes on: a text, or a table with a name."""
    return variable if isinstance(variable, str) else variable["name"]
