"""The text that each client needs: for `connect`, the documents and the phones page."""

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from elks_mcp.clients import jsonc_edits, toml_text
from elks_mcp.clients.catalog import CLIENTS, SERVER, Change, Client, Secrets
from elks_mcp.clients.client_paths import Ambiguous, Machine
from elks_mcp.clients.servers import TOKEN_VARIABLE, Program, Remote, Server
from elks_mcp.runtime.launcher import find_command, find_installation


class Entry(NamedTuple):
    """An entry of a client about the server: its fields, and the values to ask a person for."""

    fields: dict[str, Any]
    inputs: tuple[dict[str, Any], ...] = ()


class Unsupported(Exception):
    """A client cannot use a server of this kind; the message says why, and what to do."""


def build_entry(client: Client, server: Server) -> Entry:
    """Return what a client keeps about a server.

    Raises:
        Unsupported: it takes no addresses.
    """
    return _start(client, server) if isinstance(server, Program) else _reach(client, server)


def writes_secret(client: Client, server: Server) -> bool:
    """Return whether a client's entry has a secret in it, for lack of another place."""
    known = server.token if isinstance(server, Remote) else any(server.secrets.values())
    return client.secrets is Secrets.NONE and bool(known)


def write_snippet(client: Client, server: Server) -> str:
    """Return the text that a person adds to a client's file, or the command that adds it.

    Raises:
        Unsupported: the client cannot use such a server.
    """
    entry = build_entry(client, server)
    if client.change is Change.COMMAND:
        return shlex.join(build_command(entry))
    if client.format == "toml":
        return toml_text.write_table((client.key, SERVER), entry.fields)
    if client.format == "yaml":
        return _write_yaml({client.key: {SERVER: entry.fields}})
    inputs = {"inputs": list(entry.inputs)} if entry.inputs else {}
    return jsonc_edits.render(inputs | {client.key: {SERVER: entry.fields}}) + "\n"


def write_inline_snippet(client: Client, server: Server) -> str:
    """Return the text that a person adds to an inline table of servers in TOML."""
    return toml_text.write_member(SERVER, build_entry(client, server).fields)


class Snippet(NamedTuple):
    """The text that a client needs, and a sentence about where it belongs."""

    text: str
    place: str


def write_snippets(env: Mapping[str, str]) -> dict[str, Snippet]:
    """Return what each client needs to start elks-mcp with these variables, by its title.

    Clients that do not exist for this system are left out.
    """
    command = find_command(find_installation(), os.environ)
    program = Program(command[0], command[1:], env)
    is_sandbox = env.keys() == {"ELKS_SANDBOX"}
    options = ["--sandbox"] if is_sandbox else ["--env-file", "FILE"]
    variables = "" if is_sandbox else ", with these variables in a FILE"
    snippets = {}
    for client in CLIENTS:
        if place := _find_place(client):
            connect = shlex.join([*command, "connect", client.name, *options])
            does = "print it" if client.change is Change.PRINT else "have that done and checked"
            text = write_snippet(client, program).strip()
            snippets[client.title] = Snippet(text, f"{place} To {does}{variables}: `{connect}`")
    return snippets


def _find_place(client: Client) -> str:
    """Return where a client's text belongs; "" if the client does not exist for this system."""
    if client.change is Change.COMMAND:
        return "Run it in a terminal."
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  (Path.home fails if the user has none)
    try:
        file = client.find_file(Machine(sys.platform, home, os.environ))
    except Ambiguous as error:
        return f"Add it to one of its files. {error}"
    return f"Add it to {file}." if file else ""


def build_command(entry: Entry) -> list[str]:
    """Return the command of Claude Code that adds the server for all projects.

    The values that it gets are references, never secrets: others can see a command line.
    """
    fields = entry.fields
    start = ["claude", "mcp", "add", "--scope", "user"]
    if "url" in fields:
        headers = [f"{name}: {value}" for name, value in fields.get("headers", {}).items()]
        return [*start, "--transport", "http", SERVER, fields["url"], *_repeat("--header", headers)]
    variables = [f"{name}={value}" for name, value in fields.get("env", {}).items()]
    return [*start, SERVER, *_repeat("-e", variables), "--", fields["command"], *fields.get("args", [])]


def build_removal(scope: str = "user") -> list[str]:
    """Return the command of Claude Code that removes the server from a scope."""
    return ["claude", "mcp", "remove", "--scope", scope, SERVER]


def find_inputs(value: object) -> set[str]:
    """Return the ids of the inputs that a value of VS Code refers to (`${input:…}`)."""
    return set(re.findall(r"\$\{input:([^}]*)\}", json.dumps(value)))


def _start(client: Client, program: Program) -> Entry:
    env, inputs, names = dict(program.env), [], []
    for name, value in program.secrets.items():
        if client.secrets is Secrets.INPUTS:
            inputs.append(_ask_for(name))
        if client.secrets is Secrets.NAMES:
            names.append(name)
        else:
            env[name] = _refer_to(client, name) or value
    keys, fields = client.fields, dict(client.stdio)
    if keys.args:  # also without arguments: Goose requires the field
        fields |= {keys.command: program.command, keys.args: list(program.args)}
    else:
        fields[keys.command] = [program.command, *program.args]
    if env:
        fields[keys.env] = env
    if names:
        fields[keys.names] = names
    return Entry(fields, tuple(inputs))


def _reach(client: Client, remote: Remote) -> Entry:
    keys = client.fields
    if not keys.url:
        raise Unsupported(
            f"{client.title} takes no address in its file. Add it in the app, under Settings, Connectors."
        )
    fields = {**client.remote, keys.url: remote.url}
    if client.name == "codex":
        return Entry({**fields, "bearer_token_env_var": TOKEN_VARIABLE})
    token = _refer_to(client, TOKEN_VARIABLE) or remote.token
    inputs = (_ask_for(TOKEN_VARIABLE),) if client.secrets is Secrets.INPUTS else ()
    return Entry({**fields, keys.headers: {"Authorization": f"Bearer {token}"}}, inputs)


def _refer_to(client: Client, name: str) -> str:
    """Return the reference to a secret that a client replaces, or ""."""
    if client.secrets is Secrets.INPUTS:
        return f"${{input:{name.lower()}}}"
    return f"${{{name}}}" if client.secrets is Secrets.REFERENCES else ""


_ASKED: Mapping[str, str] = {
    "ELKS_API_USERNAME": "46elks API username",
    "ELKS_API_PASSWORD": "46elks API password",
    "ELKS_PHONE_NUMBER": "Sender of texts: a number (+46…) or a name",
    TOKEN_VARIABLE: "Token of the elks-mcp server",
}
_READABLE = ("ELKS_API_USERNAME", "ELKS_PHONE_NUMBER")
"""The values that a client may show while a person types them."""


def _ask_for(name: str) -> dict[str, Any]:
    asked = {"type": "promptString", "id": name.lower(), "description": _ASKED.get(name, name)}
    return asked | ({} if name in _READABLE else {"password": True})


def _repeat(option: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _write_yaml(value: Mapping[str, Any], indent: str = "") -> str:
    """Return nested values as YAML. Texts are quoted as in JSON, which YAML reads."""
    lines = []
    for name, each in value.items():
        if isinstance(each, dict):
            lines.append(f"{indent}{name}:\n{_write_yaml(each, indent + '  ')}")
        else:
            lines.append(f"{indent}{name}: {json.dumps(each, ensure_ascii=False)}\n")
    return "".join(lines)
