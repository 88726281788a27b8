"""`elks-mcp connect`, as a user with a home folder of their own sees it."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.homes import CONNECTED, HERE, SANDBOX, SCRIPT, Home
from tests.support.terminal import at_terminal
from tests.support.verb_cases import simulated_elks

CANARY = "canary-password"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Have a home folder with Cursor, Codex and Gemini CLI."""
    return Home(tmp_path)


@pytest.mark.usefixtures("fresh_start")
def test_connect_shows_the_change_asks_applies_it_and_starts_the_server(home: Home) -> None:
    result = home.run("connect", "cursor", "--sandbox", typed="y\n")
    assert result.exit_code == 0, result.output
    assert f"File: {home.cursor} (new)" in result.stdout
    assert '+      "command": ' in result.stdout
    assert "Create the file? [Y/n]" in result.stdout
    assert f"{CONNECTED}, SANDBOX." in result.stdout
    assert "Restart Cursor" in result.stdout
    assert "Try: Text 070-174 06 14" in result.stdout
    assert home.read(home.cursor) == SANDBOX
    removed = home.run("connect", "cursor", "--remove", "--yes")
    assert removed.stdout.endswith("Deleted.\n")
    assert not home.cursor.exists()
    again = home.run("connect", "cursor", "--remove", "--yes")
    assert again.stdout == f"sms46elks is not in {home.cursor}. Nothing was changed.\n"


def test_without_consent_nothing_changes(home: Home) -> None:
    for typed in ("n\n", ""):
        result = home.run("connect", "cursor", "--sandbox", typed=typed)
        assert result.exit_code == 1
        assert "Nothing was changed. To change it without a question: `--yes`." in result.stderr
        assert not home.cursor.exists()


@pytest.fixture
def account(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve a simulated 46elks, and have the settings of its account, whose password is the canary."""
    with simulated_elks(tmp_path, Sandbox(password=CANARY)) as served:
        names = ("ELKS_API_USERNAME", "ELKS_API_PASSWORD", "ELKS_PHONE_NUMBER", "ELKS_API_BASE_URL")
        yield {name: served.environ[name] for name in names}


def test_secrets_go_where_the_client_keeps_them_and_are_never_shown(
    home: Home, account: dict[str, str]
) -> None:
    environ = account | {"ELKS_PHONE_NUMBER": "+46701740699"}
    result = home.run("connect", "codex", "--yes", **environ)
    assert result.exit_code == 0, result.output
    assert home.read(home.codex) == {
        "command": str(SCRIPT),
        "args": [],
        "env": {
            "DRY_RUN": "true",
            "ELKS_API_BASE_URL": account["ELKS_API_BASE_URL"],
            "ELKS_PHONE_NUMBER": "+46701740699",
        },
        "env_vars": ["ELKS_API_USERNAME", "ELKS_API_PASSWORD"],
    }
    assert f"{CONNECTED}, SANDBOX." in result.stdout
    assert "Try: What may you send?" in result.stdout, "a text would not arrive in a dry run"
    assert "No text reaches the simulated phones while DRY_RUN or ELKS_READ_ONLY is on." in result.stdout
    assert CANARY not in result.output + home.codex.read_text("utf-8")
    home.cursor.write_text("{}", encoding="utf-8")
    home.cursor.chmod(0o644)
    result = home.run("connect", "cursor", "--yes", **environ)
    assert home.read(home.cursor)["env"]["ELKS_API_PASSWORD"] == CANARY
    assert "It has your password in it." in result.stdout
    assert "To keep it out: `--env-file`." in result.stdout
    if sys.platform != "win32":
        assert home.cursor.stat().st_mode & 0o777 == 0o600
    assert '"ELKS_API_PASSWORD": "…"' in result.stdout
    assert CANARY not in result.output
    assert CANARY not in home.run("connect", "cursor", "--print", **environ).output


def test_the_vs_code_file_asks_for_what_is_secret(home: Home) -> None:
    result = home.run("connect", "vscode", "--print")
    printed = json.loads(result.stdout)
    assert [each["id"] for each in printed["inputs"] if each.get("password")] == ["elks_api_password"]
    server = printed["servers"]["sms46elks"]
    assert server["env"]["ELKS_API_PASSWORD"] == "${input:elks_api_password}"
    assert server["type"] == "stdio"


def test_an_env_file_is_named_and_not_copied(home: Home) -> None:
    file = home.make("elks.env")
    file.write_text(f"ELKS_API_PASSWORD={CANARY}\nELKS_SANDBOX=true\n", encoding="utf-8")
    result = home.run("--env-file", str(file), "connect", "gemini", "--yes")
    assert result.exit_code == 0, result.output
    assert home.read(home.gemini) == {"command": str(SCRIPT), "args": ["--env-file", str(file)]}
    assert f"{CONNECTED}, SANDBOX." in result.stdout
    assert "Note: Gemini CLI does not trust the folder " in result.stdout, "as after a fresh install"
    missing = home.run("connect", "gemini", "--env-file", str(home.folder / "none"), "--yes")
    assert missing.exit_code == 2
    assert "none cannot be read: No such file or directory." in missing.stderr


def test_a_server_whose_every_call_fails_is_not_reported_as_connected(home: Home) -> None:
    file = home.make("bad.env")
    file.write_text("DRY_RUN=maybe\n", encoding="utf-8")
    result = home.run("connect", "cursor", "--yes", "--env-file", str(file))
    assert result.exit_code == 1
    assert "The server answers with an error: The configuration of elks-mcp cannot be read" in result.stderr
    assert "DRY_RUN='maybe' is not valid: use true or false." in result.stderr
    remove = f"Cursor still has the entry sms46elks. To remove it: `{HERE} connect cursor --remove`."
    assert result.stderr.endswith(f"{remove}\n")
    assert "Connected" not in result.stdout
    assert "Try" not in result.stdout


def test_fields_to_fill_in_are_named(home: Home) -> None:
    result = home.run("connect", "cursor", "--yes")
    assert "Fill in ELKS_API_USERNAME, ELKS_API_PASSWORD and ELKS_PHONE_NUMBER there." in result.stdout
    assert f"{CONNECTED}, DRY RUN." in result.stdout
    assert "Try: What may you send? And what would a text to my own number cost?\n" in result.stdout
    assert "070-174 06 14" not in result.stdout, "only a simulated phone of the sandbox has that number"
    assert re.search(r"^Before real texts: https://\S+/docs/go-live\.md$", result.stdout, re.MULTILINE)


def test_a_password_that_46elks_refuses_is_not_reported_as_connected(
    home: Home, account: dict[str, str]
) -> None:
    environ = account | {"ELKS_API_PASSWORD": "wrong"}
    connected = home.run("connect", "codex", "--yes", **environ)
    assert (connected.exit_code, "Connected" in connected.stdout) == (1, False)
    checked = home.run("doctor", "--client", "codex", **environ)
    assert (checked.exit_code, "Nothing is wrong" in checked.stdout) == (1, False)
    for said in (connected.stderr, checked.stdout):
        assert "The server starts, but the account cannot be read: 46elks " in said
        assert "ELKS_API_USERNAME and ELKS_API_PASSWORD" in said
    checked = home.run("doctor", "--client", "codex", **account)
    assert f"  ok  {CONNECTED}, SANDBOX." in checked.stdout


def test_a_server_over_http_gets_its_token_from_the_environment(home: Home) -> None:
    url = "https://sms.example.com/mcp"
    result = home.run("connect", "codex", "--http", url, "--yes")
    assert home.read(home.codex) == {"url": url, "bearer_token_env_var": "SMS46ELKS_TOKEN"}
    assert '+bearer_token_env_var = "SMS46ELKS_TOKEN"' in result.stdout
    assert "The server was not asked, since SMS46ELKS_TOKEN is not set here." in result.stdout
    printed = json.loads(home.run("connect", "windsurf", "--http", url).stdout)
    assert printed["mcpServers"]["sms46elks"] == {
        "serverUrl": url,
        "headers": {"Authorization": "Bearer your token"},
    }
    cursor = home.run("connect", "cursor", "--http", url, "--yes")
    assert "Write the token after Bearer there. Until then, nothing can be sent." in cursor.stdout
    desktop = home.run("connect", "claude-desktop", "--http", url, "--print")
    assert (desktop.exit_code, "under Settings, Connectors" in desktop.stderr) == (1, True)


def test_a_client_is_said_to_need_the_secrets_wherever_it_is_started(
    home: Home, account: dict[str, str]
) -> None:
    """The next terminal may not have what this one has, and then every call would fail."""
    stdio = home.run("connect", "codex", "--yes", **account).stdout
    assert (
        "Start Codex where ELKS_API_USERNAME and ELKS_API_PASSWORD are set, as in this terminal. "
        "To need none: `--env-file`." in stdio
    )
    home.make(".config/Code/User/mcp.json")
    asked = home.run("connect", "vscode", "--yes", **account).stdout
    assert "VS Code asks for ELKS_API_USERNAME and ELKS_API_PASSWORD at the first start." in asked
    for simulated in ("codex", "vscode"):
        said = home.run("connect", simulated, "--sandbox", "--yes").stdout
        assert "Start Codex where" not in said
        assert "asks for" not in said


def test_a_token_is_not_kept_out_by_an_env_file(home: Home) -> None:
    """`--env-file` and `--http` exclude each other."""
    nowhere, token = "http://127.0.0.1:9/mcp", {"SMS46ELKS_TOKEN": CANARY}
    cursor = home.run("connect", "cursor", "--http", nowhere, "--yes", **token)
    assert "It has your token in it." in cursor.stdout
    assert "--env-file" not in cursor.output
    codex = home.run("connect", "codex", "--http", nowhere, "--yes", **token)
    assert "Start Codex where SMS46ELKS_TOKEN is set, as in this terminal.\n" in codex.stdout
    assert CANARY not in cursor.output + codex.output


def test_an_entry_that_was_added_by_hand_can_be_checked(home: Home) -> None:
    file = home.make(".config/opencode/opencode.jsonc")
    printed = home.run("connect", "opencode", "--sandbox")
    assert f"opencode: add this to {file} (new)\n" in printed.stderr
    (check,) = re.findall(r"To check it afterwards: `.*elks-mcp (.*)`\.\n", printed.stderr)
    file.write_text(printed.stdout, encoding="utf-8")
    assert f"  ok  {CONNECTED}, SANDBOX." in home.run(*check.split()).stdout
    assert f"add this to {file}\n" in home.run("connect", "opencode", "--sandbox").stderr
    goose = home.run("connect", "goose", "--sandbox")
    assert "To check it" not in goose.stderr, "the doctor does not read YAML"


@pytest.mark.parametrize("url", ["sms.example.com", "ftp://x/mcp", "https://", "https://me:pw@x/mcp"])
def test_an_address_is_checked(home: Home, url: str) -> None:
    assert home.run("connect", "cursor", "--http", url, "--yes").exit_code == 2
    assert not home.cursor.exists()


def test_print_and_remove_cannot_be_combined(home: Home) -> None:
    result = home.run("connect", "cursor", "--print", "--remove")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--print and --remove cannot be used together." in result.stderr


def test_a_broken_file_is_refused_and_the_snippet_printed(home: Home) -> None:
    home.cursor.write_text('{"mcpServers": {', encoding="utf-8")
    result = home.run("connect", "cursor", "--sandbox", "--yes")
    assert result.exit_code == 1
    assert f"{home.cursor} cannot be read: it is not JSON" in result.stderr
    assert "Nothing was changed. This can be added by hand:" in result.stderr
    assert json.loads(result.stdout) == {"mcpServers": {"sms46elks": SANDBOX}}
    assert home.cursor.read_text("utf-8") == '{"mcpServers": {'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "\ufeff{}\n",
            "it begins with a byte order mark, which Gemini CLI refuses. Save it as UTF-8",
        ),
        ('{"ui": {},\n "x": 1, // one\n}\n', "Gemini CLI refuses the comma after the last value, in line 2."),
    ],
)
def test_a_file_that_gemini_refuses_is_not_changed(home: Home, text: str, reason: str) -> None:
    home.gemini.write_text(text, encoding="utf-8")
    result = home.run("connect", "gemini", "--sandbox", "--yes")
    assert (result.exit_code, "Connected" in result.stdout) == (1, False)
    assert f"{home.gemini} cannot be read: {reason}" in result.stderr
    assert home.gemini.read_text("utf-8") == text
    home.cursor.write_text(text, encoding="utf-8")
    assert home.run("connect", "cursor", "--http", "https://sms.example.com/mcp", "--yes").exit_code == 0


def test_the_snippet_for_codex_fits_an_inline_table(home: Home) -> None:
    written = 'model = "m"\nmcp_servers = { other = { command = "true" } }\n'
    home.codex.write_text(written, encoding="utf-8")
    result = home.run("connect", "codex", "--sandbox", "--yes")
    assert (result.exit_code, home.codex.read_text("utf-8")) == (1, written)
    assert f"{home.codex} has mcp_servers = {{ … }}, an inline table, which is not changed." in result.stderr
    assert "added by hand between those braces, with a comma before it if others are there:" in result.stderr
    added = written.replace('"true" }', f'"true" }}, {result.stdout.strip()}')
    assert tomllib.loads(added)["mcp_servers"] == {"other": {"command": "true"}, "sms46elks": SANDBOX}


def test_a_file_in_another_encoding_is_refused_once(home: Home) -> None:
    home.cursor.write_bytes(b"\xff\xfe{\0}\0")
    result = home.run("connect", "cursor", "--sandbox", "--yes")
    assert f"{home.cursor} is not UTF-8 text. Nothing was changed. This can be added" in result.stderr
    removed = home.run("connect", "cursor", "--remove", "--yes")
    assert f"{home.cursor} is not UTF-8 text. Nothing was changed. Take sms46elks out" in removed.stderr


def test_a_hand_written_entry_is_replaced_and_restored_by_the_removal(home: Home) -> None:
    mine = '{"mcpServers": {"sms46elks": {"command": "mine", "env": {"ELKS_API_PASSWORD": "canary-own"}}}}'
    home.cursor.write_text(mine, encoding="utf-8")
    backup = home.cursor.with_name("mcp.json.before-elks-mcp")
    first = home.run("connect", "cursor", "--sandbox", "--yes")
    assert f"The previous content is in {backup}" in first.stdout
    second = home.run("connect", "cursor", "--yes")
    assert backup.read_text("utf-8") == mine
    removed = home.run("connect", "cursor", "--remove", "--yes")
    assert home.cursor.read_text("utf-8") == mine
    assert "It has the entry sms46elks again that `connect` had replaced." in removed.stdout
    for result in (first, second, removed):
        assert "canary-own" not in result.output
    home.run("connect", "cursor", "--remove", "--yes")
    assert home.read(home.cursor) == {}


@pytest.mark.parametrize("words", [("connect", "curser"), ("connect", "vscode"), ("connect", "--sandbox")])
def test_after_uvx_each_hint_names_a_command_that_exists(
    home: Home, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(home.folder / "archive-v0" / "x1"))
    suffix = ".exe" if sys.platform == "win32" else ""
    for name in ("uv", "uvx"):
        home.make(f"bin/{name}{suffix}").touch(mode=0o755)
    said = " ".join(home.run(*words, UV=str(home.folder / f"bin/uv{suffix}")).stderr.split())
    assert re.search(r"`uvx --from \S+ elks-mcp connect ", said)
    assert "`elks-mcp " not in said


def test_a_client_that_is_not_installed_is_named_with_an_alternative(home: Home) -> None:
    result = home.run("connect", "vscode", "--sandbox", "--yes")
    assert result.exit_code == 1
    assert "VS Code was not found" in result.stderr
    assert f"`{HERE} connect vscode --print`" in result.stderr
    unknown = home.run("connect", "curser")
    assert (unknown.exit_code, "Did you mean cursor?" in unknown.stderr) == (2, True)
    assert "claude mcp add" in home.run("connect", "claude", "code", "--sandbox", "--print").stdout
    assert "Did you mean claude-code or claude-desktop?" in home.run("connect", "claude").stderr


def test_without_a_name_connect_asks_which_installed_client_is_meant(home: Home) -> None:
    assert "Found here: cursor, codex, gemini." in home.run("connect", "--sandbox").stderr
    with at_terminal("connect", "--sandbox", environ=home.environ) as terminal:
        terminal.read_until("  1  Cursor").read_until("Type its number").type("1")
        terminal.read_until("Create the file?").type("y").read_until(f"{CONNECTED}, SANDBOX.")
        assert terminal.finish() == 0
    assert home.read(home.cursor) == SANDBOX
    listed = home.run("connect", "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed if " here " in line] == ["cursor", "codex", "gemini"]
    assert all(len(line) < 80 or str(home.folder) in line for line in listed)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
def test_claude_code_is_changed_by_its_own_command_without_secrets_on_it(home: Home) -> None:
    """The stand-in writes what Claude Code 2.1 wrote when it was tried, and keeps its command line."""
    command = home.make("bin/claude")
    command.write_text(_CLAUDE.format(python=sys.executable), encoding="utf-8")
    command.chmod(0o755)
    result = home.run("connect", "claude-code", "--yes", ELKS_API_PASSWORD=CANARY)
    assert result.exit_code == 0, result.output
    assert f"{CONNECTED}, DRY RUN." in result.stdout
    added = (home.folder / "claude.log").read_text("utf-8")
    assert "ELKS_API_PASSWORD=${ELKS_API_PASSWORD}" in added
    assert CANARY not in added + result.output
    assert "is in Claude Code already" in home.run("connect", "claude-code", "--yes").stdout
    replaced = home.run("connect", "claude-code", "--sandbox", "--yes")
    assert "with other values. They are replaced." in replaced.stdout
    assert home.read(home.folder / ".claude.json") == {"type": "stdio", **SANDBOX}
    assert "The previous entry is in " in replaced.stdout
    assert "ELKS_API_PASSWORD" in home.make(".claude.json.before-elks-mcp.1").read_text("utf-8")
    for is_last in (False, True):
        assert home.run("connect", "claude-code", "--remove", "--yes").exit_code == 0
        assert home.read(home.folder / ".claude.json") == {}
        assert sorted(path.name for path in home.folder.glob(".claude.json.*")) == [
            ".claude.json.before-elks-mcp.1",
            ".claude.json.before-elks-mcp.2",
        ], "each entry is kept once"
        if not is_last:
            home.run("connect", "claude-code", "--sandbox", "--yes")


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
def test_an_entry_that_claude_code_uses_instead_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.make("bin/claude").write_text(_CLAUDE.format(python=sys.executable), encoding="utf-8")
    home.make("bin/claude").chmod(0o755)
    local = {"mcpServers": {"sms46elks": {"command": "/local/elks-mcp"}}}
    written = {"mcpServers": {}, "projects": {"/work": local, "/other": {"mcpServers": {}}}}
    home.make(".claude.json").write_text(json.dumps(written), encoding="utf-8")
    monkeypatch.chdir(home.folder)
    home.make(".mcp.json").write_text(json.dumps(local), encoding="utf-8")
    connected = home.run("connect", "claude-code", "--sandbox", "--yes")
    removed = home.run("connect", "claude-code", "--remove", "--yes")
    again = home.run("connect", "claude-code", "--remove", "--yes")
    for result in (connected, removed, again):
        assert result.stdout.count("Claude Code uses another entry sms46elks") == 2
        assert "Note: in /work, Claude Code uses another entry sms46elks (scope local)." in result.stdout
        assert "type this there: `claude mcp remove --scope local sms46elks`" in result.stdout
        assert (
            f"Note: in {home.folder}, Claude Code uses another entry sms46elks (scope project)"
            in result.stdout
        )


_CLAUDE = """#!{python}
import json, os, pathlib, sys
home = pathlib.Path(os.environ["HOME"])
with (home / "claude.log").open("a") as log:
    log.write(" ".join(sys.argv) + "\\n")
file = home / ".claude.json"
said = json.loads(file.read_text()) if file.exists() else {{"mcpServers": {{}}}}
verb, words = sys.argv[2], sys.argv[3:]
if verb == "remove":
    del said["mcpServers"][words[-1]]
else:
    assert words[:3] == ["--scope", "user", "sms46elks"] and words[3] not in said["mcpServers"]
    end = words.index("--")
    env = dict(pair.split("=", 1) for pair in words[4:end] if pair != "-e")
    started = {{"type": "stdio", "command": words[end + 1], "args": words[end + 2:], "env": env}}
    said["mcpServers"][words[2]] = started
file.write_text(json.dumps(said))
"""
