"""The settings that `elks-mcp connect` passes on from the environment to a client."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from elks_mcp.settings import DECLARATIONS
from tests.support.homes import CONNECTED, Home

SECRETS = {
    "ELKS_API_USERNAME": "u1",
    "ELKS_API_PASSWORD": "canary-password",
    "ELKS_DATABASE_URL": "postgresql://host/canary",
    "ELKS_SECRET_KEY": "canary" * 8,
}
OTHERS = {
    "DRY_RUN": "false",
    "ELKS_ACCOUNT": "u0",
    "ELKS_ALLOWED_COUNTRIES": "SE,NO",
    "ELKS_ALLOWED_HOSTS": "sms.example.com",
    "ELKS_ALLOWED_RECIPIENTS": "+46701740605",
    "ELKS_ALLOWED_SENDERS": "Salongen",
    "ELKS_API_BASE_URL": "https://api.example.com/a1",
    "ELKS_ASK_FROM": "5",
    "ELKS_BUDGET_PER_DAY": "20",
    "ELKS_BUDGET_PER_MESSAGE": "2.50",
    "ELKS_CALL_PRICE_PER_MINUTE": "0.80",
    "ELKS_CONFIRM": "always",
    "ELKS_CONTACTS": str(Path("/people.csv").absolute()),
    "ELKS_DONTLOG": "true",
    "ELKS_ESCALATION": str(Path("/paging.yaml").absolute()),
    "ELKS_FILES_DIR": str(Path("/lists").absolute()),
    "ELKS_GUARDS_OFF": "night",
    "ELKS_INBOUND": "known",
    "ELKS_LATEST": "30",
    "ELKS_GREETER": "false",
    "ELKS_LOG_LEVEL": "DEBUG",
    "ELKS_MAX_BATCH": "50",
    "ELKS_MAX_PARTS": "2",
    "ELKS_MAX_PER_NUMBER": "3",
    "ELKS_METRICS_FROM": "192.0.2.7",
    "ELKS_MMS_PRICE": "1.25",
    "ELKS_PHONE_NUMBER": "+46701740699",
    "ELKS_POLL_SECONDS": "5",
    "ELKS_PROMPTS_DIR": str(Path("/prompts").absolute()),
    "ELKS_PUBLIC_URL": "https://sms.example.com",
    "ELKS_QUIET_PERIOD": "60",
    "ELKS_READ_ONLY": "true",
    "ELKS_RETENTION_DAYS": "1",
    "ELKS_SANDBOX": "false",
    "ELKS_SANDBOX_PAGE": "off",
    "ELKS_SHOW_NUMBERS": "false",
    "ELKS_SIGNATURE": "Hälsar Åsa",
    "ELKS_SMS_PER_MINUTE": "10",
    "ELKS_STATE_DIR": str(Path("/state").absolute()),
    "ELKS_TIMEOUT": "5",
    "ELKS_TIME_ZONE": "Europe/Stockholm",
    "ELKS_TOOLSETS": "sms",
    "ELKS_TRUSTED_PROXIES": "192.0.2.7",
    "ELKS_WEBHOOK_SOURCES": "192.0.2.7",
    "ELKS_TTS_46ELKS": "true",
    "ELKS_TTS_COMMAND": "espeak-ng",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Have a home folder with Cursor, Codex and Gemini CLI."""
    return Home(tmp_path)


def printed(home: Home, *options: str, **environ: str) -> tuple[dict[str, Any], str]:
    """Return what Cursor gets and the printed message, as one line."""
    result = home.run("connect", "cursor", "--print", *options, **environ)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["mcpServers"]["sms46elks"], " ".join(result.stderr.split())


def test_every_setting_reaches_the_client_and_secrets_have_their_place(home: Home) -> None:
    assert {*SECRETS, *OTHERS} == {each.variable for each in DECLARATIONS.values()}
    result = home.run("connect", "codex", "--print", **SECRETS, **OTHERS)
    server = tomllib.loads(result.stdout)["mcp_servers"]["sms46elks"]
    assert server["env"] == OTHERS
    assert sorted(server["env_vars"]) == sorted(SECRETS)
    assert "canary" not in result.output
    said = " ".join(result.stderr.split())
    assert "Passed on from the environment: " in said
    assert all(name in said for name in OTHERS)


def test_the_limits_hold_in_the_server_that_the_client_starts(home: Home) -> None:
    limits = {"ELKS_READ_ONLY": "true", "ELKS_BUDGET_PER_DAY": "20", "DRY_RUN": "false"}
    result = home.run("connect", "cursor", "--yes", ELKS_PHONE_NUMBER="+46701740699", **limits)
    assert result.exit_code == 0, result.output
    assert f"{CONNECTED}, DRY RUN." in result.stdout
    env = home.read(home.cursor)["env"]
    assert limits.items() <= env.items()


def test_the_sandbox_of_the_environment_is_passed_on_without_secrets(home: Home) -> None:
    server, said = printed(home, ELKS_SANDBOX="true", ELKS_MAX_PARTS="2", **SECRETS)
    assert server["env"] == {"ELKS_SANDBOX": "true", "ELKS_MAX_PARTS": "2"}
    assert "Not passed on, since the sandbox does not use them: " in said
    assert all(name in said for name in SECRETS)
    assert "canary" not in said


def test_paths_are_valid_in_the_folder_in_which_the_client_starts_the_server(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.folder)
    home.make("password").write_text("canary", encoding="utf-8")
    named = {"ELKS_CONTACTS": "people.csv", "ELKS_STATE_DIR": "state", "ELKS_API_PASSWORD_FILE": "password"}
    server, _ = printed(home, **named)
    for name, file in named.items():
        assert server["env"][name] == str(home.folder / file)
    assert "ELKS_API_PASSWORD" not in server["env"], "the server refuses both"
    server, _ = printed(home, "--state-dir", "other", **named)
    assert server["args"] == ["--state-dir", str(home.folder / "other")]
    assert "ELKS_STATE_DIR" not in server["env"]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ELKS_BUDGET_DAY": "5"}, "ELKS_BUDGET_DAY is set, but the name is ELKS_BUDGET_PER_DAY."),
        ({"ELKS_MAX_PARTS": "many"}, "ELKS_MAX_PARTS='many' is not valid"),
    ],
)
def test_a_limit_that_would_not_reach_the_server_stops_the_command(
    home: Home, environ: dict[str, str], said: str
) -> None:
    result = home.run("connect", "cursor", "--yes", **environ)
    assert result.exit_code == 2
    assert f"Nothing was changed. {said}" in " ".join(result.stderr.split())
    assert not home.cursor.exists()
    assert home.run("connect", "cursor", "--remove", "--yes", **environ).exit_code == 0


def test_settings_of_the_environment_that_an_env_file_lacks_are_named(home: Home) -> None:
    file = home.make("elks.env")
    file.write_text("ELKS_CONFIRM=always\nELKS_MAX_PARTS=2\n", encoding="utf-8")
    environ = {"ELKS_CONFIRM": "always", "ELKS_MAX_PARTS": "1", "ELKS_READ_ONLY": "true"}
    server, said = printed(home, "--env-file", str(file), **environ)
    assert server["args"] == ["--env-file", str(file)]
    assert "since the client gets only the file: ELKS_MAX_PARTS, ELKS_READ_ONLY." in said
