"""Read what a client really starts: the fields of its file, with variables put in."""

import re
from collections.abc import Mapping
from typing import Any

from elks_mcp.clients.catalog import Client
from elks_mcp.clients.servers import Program, Remote, Server

_REFERENCE = re.compile(
    r"\$(?:\{(?P<kind>input:|env:|)(?P<name>[^}:]+)(?::-(?P<default>[^}]*))?\}|(?P<bare>[A-Za-z_]\w*))"
)
_EXPANDED: Mapping[str, set[str | None]] = {
    "claude-code": {""},
    "cursor": {"env:"},
    "gemini": {"", None},
    "vscode": {"input:", "env:"},
}
"""The references that a client replaces: `${NAME}`, `${env:NAME}`, `${input:NAME}`, and `$NAME` (None)."""


class Resolver:
    """Reads what a client uses. `missing` collects the variables that could not be put in.

    A value that the client asks a person for (`${input:…}`) is taken from the variable of the same name.
    """

    def __init__(self, client: Client, environ: Mapping[str, str]) -> None:
        self._client = client
        self._environ = environ
        self.missing: list[str] = []

    def read(self, fields: Mapping[str, Any]) -> Server | None:
        """Return the server, or None if the fields name neither a command nor an address."""
        command, args = fields.get("command") or fields.get("cmd"), fields.get("args") or []
        if isinstance(command, list) and command:  # opencode has command and arguments in one list
            command, args = str(command[0]), command[1:]
        if isinstance(command, str):
            env = fields.get("env") or fields.get("environment") or fields.get("envs") or {}
            if not isinstance(args, list) or not isinstance(env, dict):
                return None
            named = {name: self._get(name) for name in map(str, fields.get("env_vars") or [])}
            filled = {name: self._fill(value) for name, value in env.items()} | named
            kept = {name: value for name, value in filled.items() if value}
            return Program(self._fill(command), tuple(map(self._fill, args)), kept)
        url = fields.get(self._client.url_key or "")
        return Remote(self._fill(url), self._read_token(fields)) if isinstance(url, str) else None

    def _read_token(self, fields: Mapping[str, Any]) -> str:
        if variable := fields.get("bearer_token_env_var"):
            return self._get(str(variable))
        headers = fields.get("headers")
        header = headers.get("Authorization", "") if isinstance(headers, dict) else ""
        return self._fill(header).removeprefix("Bearer").strip()

    def _get(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            self.missing.append(name)
        return value

    def _fill(self, text: object) -> str:
        return _REFERENCE.sub(self._look_up, str(text))

    def _look_up(self, found: re.Match[str]) -> str:
        if found["kind"] not in _EXPANDED.get(self._client.name, set()):
            return found[0]
        name = found["name"] or found["bare"]
        if found["default"] is not None and not self._environ.get(name):
            return found["default"]
        return self._get(name.upper() if found["kind"] == "input:" else name)
