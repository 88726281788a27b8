"""How a change of a client's file is shown before a person allows it."""

import json

import pytest

from elks_mcp.cli.shown_changes import find_secrets, list_changes

OTHERS = {f"other-{number}": {"command": "npx", "args": ["-y", f"p{number}"]} for number in range(30)}
OURS = {"command": "/home/you/" + "deep/" * 20 + "elks-mcp", "env": {"ELKS_SANDBOX": "true"}}


def minified(**servers: object) -> str:
    """Return a file on one line, without a space."""
    return json.dumps({"mcpServers": OTHERS | servers, "zzz": "z" * 200}, separators=(",", ":"))


def shown(old: str, new: str, *secrets: str) -> list[str]:
    """Return the rows of a change, each of which fits the terminal."""
    rows = list(list_changes(old, new, secrets))
    assert all(len(row) <= 79 for row in rows)
    return rows


def added(rows: list[str]) -> str:
    """Return what the rows add, as one text."""
    return "".join(row.removeprefix("+") for row in rows if row.startswith("+"))


def test_for_a_file_on_one_line_only_the_changed_part_is_shown() -> None:
    rows = shown(minified(), minified(sms46elks=OURS))
    assert f'"sms46elks":{json.dumps(OURS, separators=(",", ":"))}' in added(rows)
    assert added(rows).startswith("…")
    assert added(rows).endswith("…")
    assert len(rows) < 8, "the other servers are not shown"
    assert "zzzzzzzzzzzzzzzzzzzzzzzzz" not in "".join(rows)


def test_for_a_replaced_entry_on_one_line_both_versions_are_shown() -> None:
    mine = {"command": "mine"}
    rows = shown(minified(sms46elks=mine), minified(sms46elks=OURS))
    assert any(row.startswith("-") and 'mine"' in row for row in rows)
    assert "/elks-mcp" in added(rows)


def test_short_lines_are_shown_whole_and_only_if_they_change() -> None:
    old = '{\n  "a": 1,\n  "mcpServers": {}\n}\n'
    new = '{\n  "a": 1,\n  "mcpServers": {\n    "x": {}\n  }\n}\n'
    assert shown(old, new) == ['-  "mcpServers": {}', '+  "mcpServers": {', '+    "x": {}', "+  }"]


@pytest.mark.parametrize("is_ascii", [True, False])
def test_no_part_of_a_secret_is_shown_even_on_one_line(*, is_ascii: bool) -> None:
    old, new = (
        json.dumps({"mcpServers": {"sms46elks": {"env": {"P": each}}}, "z": "z" * 200}, ensure_ascii=is_ascii)
        for each in ('canary"å1', 'canary"å2')
    )
    assert "canary" not in "".join(shown(old, new, 'canary"å1', 'canary"å2'))


def test_the_secrets_of_an_entry_are_found_and_references_are_not_taken_for_secrets() -> None:
    entry = {
        "command": "x",
        "env": {"ELKS_API_PASSWORD": "a", "ELKS_API_PASSWORD_FILE": "/f", "ELKS_SECRET_KEY": "${KEY}"},
        "headers": {"Authorization": "Bearer b"},
        "bearer_token_env_var": "SMS46ELKS_TOKEN",
    }
    assert find_secrets(entry) == ["a", "b"]
