"""`elks-mcp doctor --client`, as a user with a home folder of their own sees it."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_http import serving
from tests.support.connecting import live, new_box
from tests.support.homes import CONNECTED, HERE, SANDBOX, SCRIPT, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Have a home folder with Cursor, Codex and Gemini CLI."""
    return Home(tmp_path)


def test_the_doctor_starts_what_the_client_starts(home: Home) -> None:
    home.cursor.write_text(json.dumps({"mcpServers": {"sms46elks": SANDBOX}}), encoding="utf-8")
    result = home.run("doctor", "--client", "cursor")
    assert result.exit_code == 0, result.output
    assert f"  ok  {home.cursor} has the server sms46elks." in result.stdout
    assert f"  ok  {CONNECTED}, SANDBOX.\n" in result.stdout
    assert "46elks' history was not read" not in result.stdout, "a simulated 46elks has none yet"
    assert result.stdout.endswith("Nothing is wrong.\n")


def test_the_doctor_reads_a_command_that_is_one_list_with_its_arguments(home: Home) -> None:
    entered = {"type": "local", "command": [str(SCRIPT)], "environment": {"ELKS_SANDBOX": "true"}}
    file = home.make(".config/opencode/opencode.jsonc")
    file.write_text(json.dumps({"mcp": {"sms46elks": entered}}), encoding="utf-8")
    result = home.run("doctor", "--client", "opencode")
    assert result.exit_code == 0, result.output
    assert f"  ok  {CONNECTED}, SANDBOX." in result.stdout


def test_the_doctor_reports_that_every_call_of_the_server_fails(home: Home) -> None:
    started = {"command": str(SCRIPT), "args": ["--env-file", "${HOME}/x.env"]}
    home.cursor.write_text(json.dumps({"mcpServers": {"sms46elks": started}}), encoding="utf-8")
    result = home.run("doctor", "--client", "cursor")
    assert result.exit_code == 1
    assert "fail  An argument has ${HOME}, which Cursor does not replace." in result.stdout
    assert "fail  The server answers with an error: The configuration of elks-mcp cannot" in result.stdout
    assert "The file ${HOME}/x.env cannot be read: No such file or directory." in result.stdout


def test_the_doctor_repeats_what_the_server_notes(home: Home) -> None:
    started = {"command": str(SCRIPT), "env": {"ELKS_API_USER": "u1"}}
    home.cursor.write_text(json.dumps({"mcpServers": {"sms46elks": started}}), encoding="utf-8")
    result = home.run("doctor", "--client", "cursor")
    assert f"  ok  {CONNECTED}, DRY RUN.\nwarn  Missing required environment variables: " in result.stdout
    assert "ELKS_API_USER is set, but the name is ELKS_API_USERNAME." in result.stdout
    assert "Nothing is wrong." not in result.stdout


def test_missing_credentials_are_a_warning_also_if_the_client_may_have_them(home: Home) -> None:
    env = {"ELKS_API_PASSWORD": "${ELKS_API_PASSWORD}"}
    started = {"mcpServers": {"sms46elks": {"command": str(SCRIPT), "env": env}}}
    home.make(".claude.json").write_text(json.dumps(started), encoding="utf-8")
    result = home.run("doctor", "--client", "claude-code")
    assert "note  ELKS_API_PASSWORD is not set in this environment, so it was left out here." in result.stdout
    assert "warn  Missing required environment variables: " in result.stdout
    assert "Nothing is wrong." not in result.stdout


def entry(**fields: Any) -> dict[str, Any]:
    """Return an entry whose command does not exist, so that nothing is started."""
    return {"command": "/nowhere/elks-mcp"} | fields


@pytest.mark.parametrize(
    ("client", "said", "expected"),
    [
        (
            "cursor",
            {"servers": {"sms46elks": entry()}},
            "under servers, which Cursor ignores. The key is mcpServers",
        ),
        ("cursor", {"mcpServers": {"46elks": entry()}}, "The name 46elks must begin with a letter"),
        (
            "cursor",
            {"mcpServers": {"46elks": entry(command="/nowhere/python", args=["-m", "elks_mcp"])}},
            "The name 46elks must begin with a letter",
        ),
        ("cursor", {"mcpServers": {"sms46elks": entry()}}, "/nowhere/elks-mcp was not found, or cannot be"),
        ("cursor", {"mcpServers": {"sms46elks": entry(disabled=True)}}, "sms46elks is turned off"),
        ("cursor", {"mcpServers": {"sms46elks": {"env": {}}}}, "neither a command nor an address"),
        ("cursor", {"mcpServers": {}}, f"Cursor has no elks-mcp. To add it: `{HERE} connect cursor`."),
        (
            "cursor",
            {"mcpServers": {"sms46elks": entry(env={"ELKS_API_PASSWORD": "${ELKS_API_PASSWORD}"})}},
            "ELKS_API_PASSWORD has ${ELKS_API_PASSWORD}, which Cursor does not replace.",
        ),
        ("cursor", {"mcpServers": {"sms46elks": {"command": "${HOME}/x"}}}, "The command has ${HOME}, which"),
        (
            "cursor",
            {"mcpServers": {"sms46elks": entry(environment={})}},
            "environment is a field of other clients, and Cursor ignores it. The right one is env.",
        ),
        (
            "cursor",
            {"mcpServers": {"sms46elks": {"cmd": "elks-mcp"}}},
            "ignores it. The right one is command.",
        ),
        (
            "cursor",
            {"mcpServers": {"sms46elks": {"command": ["elks-mcp"]}}},
            "command is a list. Cursor only takes text in quotation marks",
        ),
        (
            "gemini",
            {"mcpServers": {"sms46elks": entry(env={"ELKS_SANDBOX": True})}},
            "env.ELKS_SANDBOX is true or false without quotation marks. Gemini CLI only takes text",
        ),
        (
            "cursor",
            {"mcpServers": {"sms46elks": entry(env={"ELKS_API_USERNAME": "your API username"})}},
            "ELKS_API_USERNAME still has a placeholder. Write your own value there.",
        ),
        (
            "cursor",
            {"mcpServers": {"texts": {"url": "http://127.0.0.1:1/mcp"}, "files": {"command": "npx"}}},
            f"Cursor has no elks-mcp, only texts (http://127.0.0.1:1/mcp), files. To add it: `{HERE} ",
        ),
        ("cursor", {"sms46elks": entry()}, "has the server at the top level, which Cursor ignores."),
        ("cursor", entry(), "has the server at the top level, which Cursor ignores."),
        ("cursor", {"mcpservers": {"sms46elks": entry()}}, "under mcpservers, which Cursor ignores."),
        ("cursor", {"mcp": {"servers": {"texts": entry()}}}, "under mcp.servers, which Cursor ignores."),
        (
            "gemini",
            {"mcpServers": {"sms46elks": entry(env={"ELKS_API_PASSWORD": "${ELKS_API_PASSWORD}"})}},
            "ELKS_API_PASSWORD is not set in this environment",
        ),
        ("gemini", {"mcpServers": {"sms46elks": entry()}}, "Gemini CLI does not trust the folder"),
    ],
)
def test_the_doctor_recognizes_common_mistakes(
    home: Home, client: str, said: dict[str, Any], expected: str
) -> None:
    path = {"cursor": home.cursor, "gemini": home.gemini}[client]
    path.write_text(json.dumps(said), encoding="utf-8")
    result = home.run("doctor", "--client", client)
    assert result.exit_code == 1
    assert expected in result.stdout


def test_the_doctor_reads_the_servers_of_a_project_in_claude_code_which_come_first(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without another scope, `claude mcp add` writes into `projects`."""
    inner = tmp_path / "project" / "inner"
    inner.mkdir(parents=True)
    (inner.parent / ".git").mkdir()
    other, own = entry(command="/local/elks-mcp"), entry(command="/user/elks-mcp")
    projects = {str(inner.parent): {"mcpServers": {"sms46elks": other}}, str(tmp_path): {"mcpServers": {}}}
    file = home.make(".claude.json")
    file.write_text(json.dumps({"projects": projects, "mcpServers": {"sms46elks": own}}), encoding="utf-8")
    monkeypatch.chdir(inner)
    result = home.run("doctor", "--client", "claude-code").stdout
    assert f"  ok  {file} (for {inner.parent}) has the server sms46elks.\nfail  The command /local/" in result
    assert (
        f"note  sms46elks in {file} is not used, because the one in {file} (for {inner.parent}) is." in result
    )
    assert "/user/elks-mcp" not in result
    monkeypatch.chdir(tmp_path)
    assert "fail  The command /user/elks-mcp" in home.run("doctor", "--client", "claude-code").stdout


def test_the_doctor_reads_a_file_of_the_home_folder_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.cursor.write_text(json.dumps({"mcpServers": {"sms46elks": entry()}}), encoding="utf-8")
    monkeypatch.chdir(home.folder)
    assert home.run("doctor", "--client", "cursor").stdout.count("has the server sms46elks") == 1


@pytest.mark.parametrize("layout", ["\ufeff%s", '{"x": 1, "mcpServers": {"sms46elks": {"command": "/no"},}}'])
def test_the_doctor_recognizes_a_file_that_gemini_refuses(home: Home, layout: str) -> None:
    said = json.dumps({"mcpServers": {"sms46elks": entry()}})
    home.gemini.write_text(layout.replace("%s", said), encoding="utf-8")
    result = home.run("doctor", "--client", "gemini")
    assert result.exit_code == 1
    assert f"fail  {home.gemini} cannot be read: " in result.stdout
    assert "Gemini CLI refuses" in result.stdout
    assert "has the server sms46elks" in result.stdout


def test_the_doctor_says_that_a_server_over_http_refuses_the_token(home: Home, tmp_path: Path) -> None:
    account = live(new_box(), ELKS_API_BASE_URL="http://127.0.0.1:9/a1")
    state = {"ELKS_STATE_DIR": str(tmp_path / "state")}
    assert home.run("token", "new", "anna", "--scope", "read", **state, **account).exit_code == 0
    with serving(tmp_path / "state", **account) as (_, url):
        connected = home.run("connect", "codex", "--http", f"{url}/mcp", "--yes", SMS46ELKS_TOKEN="wrong")
        refused = home.run("doctor", "--client", "codex", SMS46ELKS_TOKEN="wrong")
        missing = home.run("doctor", "--client", "codex")
    create = (
        "(HTTP 401). To create a token on the server: `elks-mcp token new NAME --scope read --scope send`."
    )
    assert f"Connecting to {url}/mcp, as Codex does …" in connected.stdout
    said = f"The server refuses the token in the variable SMS46ELKS_TOKEN {create}"
    assert (connected.exit_code, said in connected.stderr) == (1, True)
    assert (refused.exit_code, f"fail  {said}" in refused.stdout) == (1, True)
    assert (
        f"The server requires a token, and the variable SMS46ELKS_TOKEN has none {create}" in missing.stdout
    )


def test_the_doctor_does_not_approve_a_file_that_it_cannot_read(home: Home) -> None:
    result = home.run("doctor", "--client", "goose").stdout
    assert "warn  " in result
    assert "config.yaml is YAML, which is not read here, so nothing was checked." in result
    assert "Nothing is wrong." not in result


def test_the_doctor_recognizes_the_wrong_key_in_vs_code(home: Home) -> None:
    file = "AppData/Roaming/Code/User/mcp.json" if sys.platform == "win32" else ".config/Code/User/mcp.json"
    if sys.platform == "darwin":
        file = "Library/Application Support/Code/User/mcp.json"
    home.make(file).write_text(json.dumps({"mcpServers": {"sms46elks": entry()}}), encoding="utf-8")
    result = home.run("doctor", "--client", "vscode")
    assert "under mcpServers, which VS Code ignores. The key is servers." in result.stdout


@pytest.mark.parametrize(
    ("rules", "trusts"),
    [
        ({}, False),
        ({"CWD": "TRUST_FOLDER"}, True),
        ({"CWD/inner": "TRUST_PARENT"}, True),
        ({"/": "TRUST_FOLDER", "CWD": "DO_NOT_TRUST"}, False),
    ],
)
def test_the_doctor_reads_the_folders_that_gemini_trusts(
    home: Home, rules: dict[str, str], *, trusts: bool
) -> None:
    home.gemini.write_text(json.dumps({"mcpServers": {"sms46elks": entry()}}), encoding="utf-8")
    trusted = {rule.replace("CWD", os.getcwd()): level for rule, level in rules.items()}  # noqa: PTH109
    home.make(".gemini/trustedFolders.json").write_text(json.dumps(trusted), encoding="utf-8")
    result = home.run("doctor", "--client", "gemini").stdout
    assert ("does not trust the folder" not in result) is trusts


def test_the_doctor_refuses_unknown_clients(home: Home) -> None:
    result = home.run("doctor", "--client", "emacs")
    assert (result.exit_code, "No client is named 'emacs'." in result.stderr) == (2, True)
