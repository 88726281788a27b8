"""The MCP clients that `elks-mcp connect` knows: their files, keys and peculiarities."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePath
from types import NoneType
from typing import Any, Final

from elks_mcp.clients.client_paths import (
    Ambiguous,
    Machine,
    at_home,
    find_desktop_file,
    find_goose_file,
    find_lm_studio_file,
    find_opencode_file,
    find_zed_file,
)
from elks_mcp.runtime.launcher import show_command_here

SERVER: Final = "sms46elks"
"""The name of the server in a client. VS Code requires that it begins with a letter."""


class Change(StrEnum):
    """How `connect` brings the server into a client."""

    FILE = "file"
    """It changes the client's file."""

    COMMAND = "command"
    """It runs the client's own command."""

    PRINT = "print"
    """It prints what a person has to add."""


class Secrets(StrEnum):
    """The place that a client has for secrets, other than the text of its file."""

    INPUTS = "inputs"
    """The client asks for them and keeps them."""

    NAMES = "names"
    """The client passes on the variables that it is given the names of."""

    REFERENCES = "references"
    """The client replaces `${NAME}` with a variable of its own environment."""

    NONE = "none"
    """There is none."""


class UnknownClient(ValueError):
    """No client has that name; the message says how to list the names."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of a client's fields about a server.

    `args` is "" if the command is one list with its arguments, and `names` is "" if the client cannot pass on
    variables by their names. `url` is "" if it takes no addresses.
    """

    command: str = "command"
    args: str = "args"
    env: str = "env"
    names: str = ""
    url: str = "url"
    headers: str = "headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An MCP client.

    `key` is where its file has the servers, and `nested_key` a key in there under which it reads servers as
    well. `fields` has the names that it uses for a server. `stdio` and `remote` are fields that it needs in
    addition. `env_types` are the types that a variable may have. `is_strict` says that the client is known to
    refuse a file with a byte order mark or a trailing comma.
    """

    name: str
    title: str
    key: str
    find_file: Callable[[Machine], PurePath | None]
    nested_key: str = ""
    commands: tuple[str, ...] = ()
    change: Change = Change.PRINT
    format: str = "json"
    secrets: Secrets = Secrets.NONE
    project_file: str = ""
    fields: Fields = Fields()
    env_types: tuple[type, ...] = (str,)
    stdio: Mapping[str, Any] = field(default_factory=dict)
    remote: Mapping[str, Any] = field(default_factory=dict)
    is_strict: bool = False
    restart: str = ""

    def is_here(self, machine: Machine) -> bool:
        """Return whether this client's file, folder or command exists, so that it seems installed."""
        if machine.find_command(self.commands):
            return True
        try:
            file = self.find_file(machine)
        except Ambiguous:
            return True
        if file is None:
            return False
        return Path(file).exists() or (file.parent != machine.home and Path(file.parent).is_dir())


CLIENTS: Final = (
    Client(
        name="claude-code",
        title="Claude Code",
        key="mcpServers",
        find_file=lambda machine: machine.folder("CLAUDE_CONFIG_DIR") / ".claude.json",
        commands=("claude",),
        change=Change.COMMAND,
        secrets=Secrets.REFERENCES,
        project_file=".mcp.json",
        stdio={"type": "stdio"},
        remote={"type": "http"},
        restart="Start a new session of Claude Code. In it, `/mcp` shows the server.",
    ),
    Client(
        name="claude-desktop",
        title="Claude Desktop",
        key="mcpServers",
        find_file=find_desktop_file,
        change=Change.FILE,
        fields=Fields(url=""),
        restart="Quit Claude Desktop completely and open it again. Closing the window is not enough.",
    ),
    Client(
        name="vscode",
        title="VS Code",
        key="servers",
        find_file=lambda machine: machine.application_data / "Code" / "User" / "mcp.json",
        commands=("code",),
        change=Change.FILE,
        secrets=Secrets.INPUTS,
        project_file=".vscode/mcp.json",
        env_types=(str, int, float, NoneType),
        stdio={"type": "stdio"},
        remote={"type": "http"},
        restart="In VS Code, run the command `MCP: List Servers`, choose sms46elks, then Start Server.",
    ),
    Client(
        name="cursor",
        title="Cursor",
        key="mcpServers",
        find_file=at_home(".cursor", "mcp.json"),
        commands=("cursor",),
        change=Change.FILE,
        project_file=".cursor/mcp.json",
        restart="Restart Cursor, then look under Settings, MCP.",
    ),
    Client(
        name="codex",
        title="Codex",
        key="mcp_servers",
        find_file=lambda machine: machine.folder("CODEX_HOME", ".codex") / "config.toml",
        commands=("codex",),
        change=Change.FILE,
        format="toml",
        secrets=Secrets.NAMES,
        project_file=".codex/config.toml",
        fields=Fields(names="env_vars", headers="http_headers"),
        restart="Start a new session of Codex. In it, `/mcp` shows the server.",
    ),
    Client(
        name="gemini",
        title="Gemini CLI",
        key="mcpServers",
        find_file=lambda machine: machine.folder("GEMINI_CLI_HOME") / ".gemini" / "settings.json",
        commands=("gemini",),
        change=Change.FILE,
        secrets=Secrets.REFERENCES,
        project_file=".gemini/settings.json",
        fields=Fields(url="httpUrl"),
        is_strict=True,
        restart="Start a new session of Gemini CLI. In it, `/mcp` shows the server.",
    ),
    Client(
        name="windsurf",
        title="Windsurf",
        key="mcpServers",
        find_file=at_home(".codeium", "windsurf", "mcp_config.json"),
        commands=("windsurf",),
        fields=Fields(url="serverUrl"),
    ),
    Client(name="zed", title="Zed", key="context_servers", find_file=find_zed_file, commands=("zed",)),
    Client(
        name="goose",
        title="Goose",
        key="extensions",
        find_file=find_goose_file,
        commands=("goose",),
        format="yaml",
        secrets=Secrets.NAMES,
        fields=Fields(command="cmd", env="envs", names="env_keys", url="uri"),
        stdio={"enabled": True, "type": "stdio", "name": SERVER, "timeout": 120},
        remote={"enabled": True, "type": "streamable_http", "name": SERVER, "timeout": 120},
    ),
    Client(
        name="opencode",
        title="opencode",
        key="mcp",
        nested_key="servers",
        find_file=find_opencode_file,
        commands=("opencode",),
        fields=Fields(args="", env="environment"),
        stdio={"type": "local", "enabled": True},
        remote={"type": "remote", "enabled": True},
    ),
    Client(
        name="lm-studio",
        title="LM Studio",
        key="mcpServers",
        find_file=find_lm_studio_file,
        commands=("lms",),
    ),
    Client(
        name="copilot",
        title="Copilot CLI",
        key="mcpServers",
        find_file=at_home(".copilot", "mcp-config.json"),
        commands=("copilot",),
        stdio={"type": "local", "tools": ["*"]},
        remote={"type": "http", "tools": ["*"]},
    ),
)
"""All clients, in the order in which people are shown them."""


def find_client(name: str) -> Client:
    """Return the client of a name, or of a title as people write it.

    Raises:
        UnknownClient: there is none; the message names similar ones.
    """
    wanted = re.sub(r"[ _]+", "-", name.strip().lower())
    for client in CLIENTS:
        if wanted in {client.name, client.title.lower().replace(" ", "-")}:
            return client
    names = [client.name for client in CLIENTS]
    similar = [each for each in names if wanted in each] or difflib.get_close_matches(wanted, names)
    meant = f"Did you mean {' or '.join(similar)}? " if similar else ""
    raise UnknownClient(
        f"No client is named {name!r}. {meant}To list all of them: {show_command_here('connect --list')}."
    )


def list_here(machine: Machine) -> list[Client]:
    """List the clients that seem to be installed."""
    return [client for client in CLIENTS if client.is_here(machine)]
