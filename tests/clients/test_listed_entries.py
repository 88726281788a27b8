"""The entries of a client's file that `doctor --client` finds."""

from pathlib import Path
from typing import Any

import pytest

from elks_mcp.clients.catalog import find_client
from elks_mcp.clients.listed_entries import describe_others, list_entries

FILE = Path("opencode.json")
OLD = {"type": "local", "command": ["elks-mcp"], "enabled": True}
NEW = {"type": "local", "command": ["/usr/bin/elks-mcp"]}
OTHER = {"type": "local", "command": ["npx"]}


@pytest.mark.parametrize(
    ("servers", "ours", "others"),
    [
        ({"sms46elks": OLD, "files": OTHER}, [OLD], ["files"]),
        ({"servers": {"sms46elks": NEW, "files": OTHER}}, [NEW], ["files"]),
        ({"files": OTHER, "servers": {"sms46elks": NEW}}, [NEW], ["files"]),
        ({"sms46elks": OLD, "servers": {"sms46elks": NEW}}, [NEW], []),
        ({"texts": OLD, "servers": OTHER}, [OLD], ["servers"]),
        ({"servers": OLD}, [OLD], []),
        ({"servers": []}, [], ["servers"]),
    ],
)
def test_opencode_has_its_servers_under_mcp_and_under_mcp_servers(
    servers: dict[str, Any], ours: list[dict[str, Any]], others: list[str]
) -> None:
    client, said = find_client("opencode"), {"mcp": servers}
    assert [entry.fields for entry in list_entries(client, FILE, said)] == ours
    assert describe_others(client, said) == others


def test_no_other_client_reads_servers_under_a_second_key() -> None:
    said = {"mcpServers": {"servers": {"sms46elks": NEW}}}
    assert list_entries(find_client("cursor"), FILE, said) == []
