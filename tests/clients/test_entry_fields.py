"""The fields and types that each client reads, ignores or refuses."""

from typing import Any

import pytest

from elks_mcp.clients.catalog import CLIENTS, Client, find_client
from elks_mcp.clients.entry_fields import list_foreign_fields, list_wrong_types
from elks_mcp.clients.servers import Program, Remote, Server
from elks_mcp.clients.snippets import build_entry, write_snippet

PROGRAM = Program("/opt/elks-mcp", ("--env-file", "x"), {"DRY_RUN": "true"}, {"ELKS_API_PASSWORD": "p"})
REMOTE = Remote("https://sms.example.com/mcp", "t")

each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)


@each_client
@pytest.mark.parametrize("server", [PROGRAM, REMOTE], ids=["program", "address"])
def test_the_client_reads_the_entry_that_we_write(client: Client, server: Server) -> None:
    if server is PROGRAM or client.fields.url:
        fields = build_entry(client, server).fields
        assert (list_foreign_fields(client, fields), list_wrong_types(client, fields)) == ([], [])


@each_client
def test_a_command_without_arguments_has_an_empty_list_of_them(client: Client) -> None:
    """Goose requires the list, and older versions of other clients do."""
    fields = build_entry(client, Program("/opt/elks-mcp", env={"ELKS_SANDBOX": "true"})).fields
    assert fields.get("args", []) == []
    assert ("args" in fields) is (client.name != "opencode")
    if client.name == "goose":
        assert "\n    args: []\n" in write_snippet(client, Program("/opt/elks-mcp"))


@pytest.mark.parametrize(
    ("client", "fields", "expected"),
    [
        ("cursor", {"environment": {}}, "environment is a field of other clients, and Cursor ignores it."),
        ("cursor", {"envs": {}}, "The right one is env."),
        ("cursor", {"env_vars": []}, "Write each variable with its value under env."),
        ("cursor", {"cmd": "x"}, "The right one is command."),
        ("cursor", {"serverUrl": "x"}, "The right one is url."),
        ("opencode", {"env": {}}, "The right one is environment."),
        ("opencode", {"args": []}, "Write the arguments into the list command, after the command."),
        ("codex", {"headers": {}}, "The right one is http_headers."),
        ("codex", {"env_keys": []}, "The right one is env_vars."),
        ("gemini", {"url": "x"}, "The right one is httpUrl."),
        ("windsurf", {"url": "x"}, "The right one is serverUrl."),
        ("claude-desktop", {"url": "x"}, "It takes no addresses in its file."),
    ],
)
def test_a_field_of_another_client_is_named_with_the_right_one(
    client: str, fields: dict[str, Any], expected: str
) -> None:
    (found,) = list_foreign_fields(find_client(client), fields)
    assert found.endswith(expected) or found.startswith(expected)


@pytest.mark.parametrize(
    ("client", "fields", "expected"),
    [
        ("cursor", {"command": ["x"]}, "command is a list."),
        ("cursor", {"command": None}, "command is null."),
        ("cursor", {"args": "x"}, "args is text."),
        ("cursor", {"args": ["--port", 1]}, "Item 2 of args is a number without quotation marks."),
        ("cursor", {"env": []}, "env is a list."),
        ("cursor", {"url": {}}, "url is an object."),
        ("opencode", {"command": "x"}, "command is text."),
        ("gemini", {"env": {"A": True}}, "env.A is true or false without quotation marks."),
        ("codex", {"env": {"A": 1}}, "env.A is a number without quotation marks."),
        ("codex", {"env_vars": [1]}, "Item 1 of env_vars is a number without quotation marks."),
        ("vscode", {"env": {"A": True}}, "env.A is true or false without quotation marks."),
    ],
)
def test_a_type_that_the_client_refuses_is_named_without_the_value(
    client: str, fields: dict[str, Any], expected: str
) -> None:
    (found,) = list_wrong_types(find_client(client), fields)
    assert found.startswith(expected)
    assert found.endswith("so it does not use the entry.")


@pytest.mark.parametrize(
    ("client", "fields"),
    [
        ("vscode", {"env": {"A": 1, "B": None}}),
        ("codex", {"env_vars": ["A", {"name": "B"}]}),
        ("cursor", {"": 1}),
    ],
)
def test_fields_that_a_client_accepts_are_not_reported(client: str, fields: dict[str, Any]) -> None:
    assert list_wrong_types(find_client(client), fields) == []
