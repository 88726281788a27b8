"""Read what a client really starts: the fields of its file, with variables put in."""

from collections.abc import Mapping
from typing import Any

from elks_mcp.clients.catalog import Client
from elks_mcp.clients.client_paths import Machine
from elks_mcp.clients.references import Left, References
from elks_mcp.clients.servers import Program, Remote, Server


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
        """Return the server, or None if the fields name neither a command nor an address."""
        command, args = fields.get("command") or fields.get("cmd"), fields.get("args") or []
        if isinstance(command, list) and command:  # opencode has command and arguments in one list
            command, args = str(command[0]), command[1:]
        if isinstance(command, str):
            env = fields.get("env") or fields.get("environment") or fields.get("envs") or {}
            if not isinstance(args, list) or not isinstance(env, dict):
                return None
            named = {name: self._references.find(name) for name in map(str, fields.get("env_vars") or [])}
            filled = {name: self._fill(name, value) for name, value in env.items()} | named
            kept = {name: value for name, value in filled.items() if value}
            words = tuple(self._fill("An argument", word) for word in args)
            return Program(self._fill("The command", command), words, kept)
        url = fields.get(self._client.url_key or "")
        return (
            Remote(self._fill("The address", url), self._read_token(fields)) if isinstance(url, str) else None
        )

    def _read_token(self, fields: Mapping[str, Any]) -> str:
        if variable := fields.get("bearer_token_env_var"):
            return self._references.find(str(variable))
        headers = fields.get("headers")
        header = headers.get("Authorization", "") if isinstance(headers, dict) else ""
        return self._fill("The header Authorization", str(header).removeprefix("Bearer").strip())

    def _fill(self, where: str, value: object) -> str:
        return self._references.replace(where, str(value))
