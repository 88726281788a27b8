"""A configuration that cannot be read: the reason in every answer, and nothing else happens."""

import json
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp_types import CompletionArgument, PromptReference

from elks_mcp.cli import commands, stdio
from elks_mcp.cli.environment import read_configuration
from elks_mcp.mcp_server.subscriptions import Subscriptions
from elks_mcp.settings import read
from tests.cli.test_start import TRACED, loaded_by
from tests.mcp_server.test_surface import SNAPSHOT
from tests.sandbox.serving import serve
from tests.support.connecting import ERAS, Era, call, live, new_box, without_ids, words
from tests.support.process import having_only, run, running

RESTART = "then restart the server in your client"
SECRET = "5a4db0" * 6
NOT_ON_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="Windows guesses where it would be")


@asynccontextmanager
async def served(
    environ: Mapping[str, str], era: Era, *, env_file: Path | None = None
) -> AsyncIterator[Client]:
    """Connect a client to a server in this process, which the command's own code reads and builds."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with having_only({"ELKS_STATE_DIR": str(Path(folder, "state")), **environ}):
            server = stdio._build(read_configuration(env_file), Subscriptions())
        async with Client(server, mode=era) as client:
            yield client


def faults(**environ: str) -> str:
    """Return all that is wrong with an environment."""
    return " ".join(fault.text for fault in read(environ).faults)


# ── over stdio ──


@pytest.mark.anyio
async def test_a_process_with_an_unreadable_value_serves_and_reports_it_to_every_call(tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "elks_mcp", "--env-file", str(tmp_path / "elks.env")],
        env={"ELKS_STATE_DIR": str(tmp_path / "state"), "DRY_RUN": "maybe"},
    )
    async with Client(server) as client:
        assert (await client.list_tools()).tools
        answer = await call(client, "explain_policy")
    assert answer.is_error
    assert "elks.env cannot be read: No such file or directory." in words(answer)
    assert "DRY_RUN='maybe' is not valid" in words(answer)


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("environ", "text"),
    [
        (
            {"ELKS_PHONE_NUMBER": "46701740699"},
            "ELKS_PHONE_NUMBER='46701740699' is not valid: '46701740699' has no country code. It can be",
        ),
        ({"ELKS_PHONE_NUMBER": "46701740699"}, "with its +. The + is probably missing."),
        ({"DRY_RUN": "perhaps"}, "DRY_RUN='perhaps' is not valid: use true or false."),
        ({"ELKS_API_BASE_URL": "https://[::1/a1"}, "ELKS_API_BASE_URL (15 characters) is not valid: it is"),
        (
            {"ELKS_API_BASE_URL": "https://46elks.example:a1"},
            "ELKS_API_BASE_URL (25 characters) is not valid",
        ),
        pytest.param(
            {"ELKS_STATE_DIR": "~nobody-by-that-name/x"},
            "ELKS_STATE_DIR (22 characters) is not valid: no user of this machine has that home directory",
            marks=NOT_ON_WINDOWS,
        ),
        (
            {"ELKS_API_PASSWORD_FILE": "/nowhere"},
            "ELKS_API_PASSWORD_FILE names a file that cannot be read: No",
        ),
        ({"ELKS_SANDBOX": "1", "ELKS_API_BASE_URL": "http://127.0.0.1:1/a1"}, "cannot be used together"),
        ({"ELKS_SECRET_KEY": "short"}, "ELKS_SECRET_KEY (5 characters) is not valid: it needs 32 bytes"),
        ({"ELKS_ALLOWED_COUNTRIES": "SE,UK"}, "'UK' is not a country, perhaps GB is meant; use two-letter"),
    ],
)
async def test_a_server_with_an_unreadable_value_lists_its_tools_and_reports_it_to_every_call(
    environ: dict[str, str], text: str, era: Era
) -> None:
    async with served(environ, era) as client:
        tools = (await client.list_tools()).tools
        listing = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
        assert listing == json.loads(SNAPSHOT.read_text(encoding="utf-8"))
        assert "cannot be read, so every call fails" in (client.instructions or "")
        for tool in tools:
            answer = await call(client, tool.name)
            assert answer.is_error
            assert text in words(answer)
            assert RESTART in words(answer)
        sent = await call(client, "send_sms", to="+46701740605", message="Hej")
        assert words(sent).startswith("Not sent: ")


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_prompts_and_lists_are_served_as_usual_and_resources_report_the_reason(era: Era) -> None:
    async with served({"ELKS_MAX_PARTS": "many"}, era) as client:
        assert len((await client.list_resources()).resources) == 2
        assert len((await client.list_resource_templates()).resource_templates) == 2
        assert len((await client.list_prompts()).prompts) == 2
        prompt = await client.get_prompt("text_somebody", {})
        assert "wait for my approval" in str(prompt.messages[0].content)
        for uri in ("elks://policy", "elks://inbox", "elks://messages/O-1"):
            with pytest.raises(MCPError, match=r"ELKS_MAX_PARTS='many' is not valid: .* whole number"):
                await client.read_resource(uri)
        with pytest.raises(MCPError, match="ELKS_MAX_PARTS='many'"):
            await client.complete(
                PromptReference(type="ref/prompt", name="text_somebody"),
                CompletionArgument(name="recipient", value="+46").model_dump(),
            )


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_a_misconfigured_server_makes_no_request_and_creates_no_state(era: Era, tmp_path: Path) -> None:
    """P1: a server that does not know what its operator wants sends nothing."""
    box, state = new_box(), tmp_path / "state"
    async with serve(box) as url:
        environ = live(
            box,
            ELKS_API_BASE_URL=f"{url}/a1",
            ELKS_STATE_DIR=str(state),
            ELKS_POLL_SECONDS="1",
            ELKS_ALLOWED_RECIPIENTS="46701740605",
        )
        async with served(environ, era) as client:
            for tool in ("send_sms", "ask_by_sms", "wait_for_reply", "check_account_balance"):
                assert (await call(client, tool, to="+46701740605", message="Hej")).is_error
    assert box.requests == []
    assert not state.exists()


def test_neither_the_sandbox_nor_a_database_is_loaded(tmp_path: Path) -> None:
    environ = {"ELKS_SANDBOX": "true", "ELKS_PHONE_NUMBER": "46701740699"}
    with running(environ, tmp_path, command=TRACED) as server:
        server.initialize()
        assert server.call("send_sms", to="+46701740605", message="Hej")["isError"]
        server.close()
        assert not loaded_by(server) & {"elks_mcp.sandbox", "sqlalchemy", "aiosqlite"}


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_several_unreadable_values_are_all_reported(era: Era) -> None:
    environ = {
        "ELKS_PHONE_NUMBER": "46701740699",
        "ELKS_ALLOWED_RECIPIENTS": "070-174 06 05,46701740606",
        "ELKS_API_PASSWORD_FILE": "/nowhere",
        "ELKS_SANDBOX": "on",
        "ELKS_API_BASE_URL": "http://127.0.0.1:1/a1",
        "ELKS_TIMEOUT": "soon",
    }
    async with served(environ, era) as client:
        text = words(await call(client, "explain_policy"))
    for variable in environ.keys() - {"ELKS_SANDBOX"}:
        assert variable in text


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read: No such file or directory."),
        ("ELKS_SANDBOX=true\n".encode("utf-16-le"), "cannot be read: it is not UTF-8; save it as UTF-8."),
        (
            b"ELKS_SANDBOX=true\nELKS_MAX_PARTS 1\n",
            "must have the form NAME=value on every line; see line 2.",
        ),
    ],
)
async def test_an_unreadable_file_of_settings_is_reported_to_every_call(
    content: bytes | None, text: str, era: Era, tmp_path: Path
) -> None:
    file = tmp_path / "elks.env"
    if content is not None:
        file.write_bytes(content)
    async with served({"DRY_RUN": "maybe"}, era, env_file=file) as client:
        answer = await call(client, "explain_policy")
    assert answer.is_error
    assert f"elks.env {text}" in words(answer)
    assert "DRY_RUN='maybe'" in words(answer), "the environment is read all the same"


def test_the_log_has_the_reason_with_its_number_masked_and_the_call(tmp_path: Path) -> None:
    """P8: a client keeps a server's standard error."""
    with running({"ELKS_PHONE_NUMBER": "46701740699", "ELKS_RETENTION_DAYS": "3651"}, tmp_path) as server:
        server.initialize()
        server.call("send_sms", to="+46701740605", message="Hej")
        assert server.close() == 0
        log = server.stderr
    assert "ELKS_PHONE_NUMBER='467" in log
    assert "ELKS_RETENTION_DAYS='3651' is not valid: 3650.0 is the most." in log
    assert "01740" not in without_ids(log)
    audit = [json.loads(line) for line in log.splitlines() if "elks_mcp.audit" in line]
    assert [(line["tool"], line["outcome"]) for line in audit] == [("send_sms", "misconfigured")]


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_an_unwritable_state_directory_is_reported_when_it_is_needed(era: Era, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    box = new_box()
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_STATE_DIR=str(file / "state"))
        async with served(environ, era) as client:
            assert not (await call(client, "check_account_balance")).is_error
            sent = await call(client, "send_sms", to="+46701740605", message="Hej")
    assert sent.is_error
    assert "The state directory cannot be used" in words(sent)
    assert "Set ELKS_STATE_DIR to a directory" in words(sent)
    assert box.accepted == []


# ── what is shown ──


@pytest.mark.parametrize(
    ("environ", "hidden"),
    [
        ({"ELKS_PHONE_NUMBER": SECRET}, SECRET),
        ({"ELKS_ALLOWED_COUNTRIES": f"SE,{SECRET}"}, SECRET),
        ({"ELKS_ALLOWED_RECIPIENTS": f"+46701740605, {SECRET}"}, SECRET),
        ({"ELKS_ALLOWED_HOSTS": "https://user:hunter@sms.example"}, "hunter"),
        ({"ELKS_TRUSTED_PROXIES": "user@proxy"}, "user@proxy"),
        ({"ELKS_CONFIRM": "hunter2", "ELKS_API_PASSWORD": "hunter2"}, "hunter2"),
        ({"ELKS_CONFIRM": '"Hunter2"', "ELKS_API_PASSWORD": "hunter2"}, "unter2"),
        ({"ELKS_ALLOWED_COUNTRIES": "SE,hunter2", "ELKS_API_PASSWORD": "hunter2"}, "hunter2"),
        ({"ELKS_GUARDS_OFF": "hunter2", "ELKS_PASSWORD": "hunter2"}, "hunter2"),
        ({"ELKS_MAX_PARTS": "hunter2", "ELKS_DATABASE_URL": "postgresql://elks:hunter2@db/elks"}, "hunter2"),
        ({"ELKS_ALLOWED_HOSTS": "db/hunter2!!!", "ELKS_SECRET_KEY": "hunter2!!!"}, "hunter2"),
        ({"ELKS_BUDGET_PER_DAY": "u0123", "ELKS_API_USERNAME": "u0123"}, "u0123"),
        ({"ELKS_DATABASE_URL": "mysql://u:hunter2@db/elks"}, "hunter2"),
        ({"ELKS_PUBLIC_URL": "http://hunter2.example"}, "hunter2"),
        ({"ELKS_API_PASSWORD_FILE": "hunter2"}, "hunter2"),
    ],
)
def test_a_value_that_may_hold_a_secret_is_never_shown(environ: dict[str, str], hidden: str) -> None:
    """P8."""
    text = faults(**environ)
    assert hidden not in text
    assert re.search(r"ELKS_\w+ \(\d+ characters\) is not valid: ..|_FILE names a file", text)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ELKS_PHONE_NUMBER", "46701740699"),
        ("ELKS_PHONE_NUMBER", "+46 70 174 06 99 (Klara)"),
        ("ELKS_ALLOWED_RECIPIENTS", "46701740605,46701740606,46701740607"),
        ("ELKS_CONFIRM", "sometimes"),
        ("ELKS_MAX_PARTS", "9" * 19),
    ],
)
def test_any_other_value_is_shown_as_it_was_written(variable: str, value: str) -> None:
    environ = {"ELKS_API_USERNAME": "u0123", "ELKS_API_PASSWORD": "hunter2"}
    assert faults(**{**environ, variable: value}).startswith(f"{variable}={value!r} is not valid: ")


def test_the_content_of_a_file_is_not_shown_since_it_may_be_the_wrong_file(tmp_path: Path) -> None:
    """P8."""
    (tmp_path / "number").write_text("hunter2!", encoding="utf-8")
    text = faults(ELKS_PHONE_NUMBER_FILE=str(tmp_path / "number"))
    assert text.startswith("ELKS_PHONE_NUMBER_FILE (8 characters) is not valid: A sender is ")
    assert "hunter2" not in text


def test_a_secret_in_a_file_can_begin_with_a_byte_order_mark_and_is_never_empty(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2\n", encoding="utf-8-sig")
    password = read({"ELKS_API_PASSWORD_FILE": str(file)}).settings.api_password
    assert password is not None
    assert password.get_secret_value() == "hunter2"
    file.write_bytes(b"\xef\xbb\xbf\n")
    assert faults(ELKS_API_PASSWORD_FILE=str(file)) == "ELKS_API_PASSWORD_FILE names a file that is empty."


def test_a_value_with_bytes_that_are_not_utf_8_cannot_be_read() -> None:
    assert faults(ELKS_API_PASSWORD="p\udcff") == "ELKS_API_PASSWORD contains bytes that are not UTF-8."


@pytest.mark.parametrize("word", ["null", "None", "undefined", "nil", "NaN"])
def test_the_word_null_is_no_sender(word: str) -> None:
    assert "your client had no value for" in faults(ELKS_PHONE_NUMBER=word)
    assert "your client had no value for" in faults(ELKS_ALLOWED_RECIPIENTS=word)


def test_national_numbers_are_not_judged_when_the_senders_country_cannot_be_read() -> None:
    text = faults(ELKS_PHONE_NUMBER="358401234567", ELKS_ALLOWED_RECIPIENTS="040 123 4568")
    assert "ELKS_PHONE_NUMBER" in text
    assert "ELKS_ALLOWED_RECIPIENTS" not in text


# ── everything but stdio ──


@pytest.mark.parametrize(
    "command", [("serve", "--http"), ("policy",), ("pending",), ("outbox",), ("token", "list")]
)
def test_other_commands_end_with_code_2_and_one_masked_line(command: tuple[str, ...]) -> None:
    done = run(*command, ELKS_PHONE_NUMBER="46701740699", DRY_RUN="perhaps")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("elks-mcp: cannot start: ELKS_PHONE_NUMBER='467")
    assert "DRY_RUN='perhaps' is not valid: use true or false." in done.stderr
    assert "01740" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    missing = run("--env-file", "nowhere.env", *command)
    assert missing.returncode == 2
    assert "The file nowhere.env cannot be read: No such file or directory." in missing.stderr


@NOT_ON_WINDOWS
def test_a_state_directory_in_the_home_of_an_unknown_user_ends_with_code_2() -> None:
    done = run("pending", "--state-dir", "~nobody-by-that-name/x")
    assert done.returncode == 2
    assert done.stderr.startswith("elks-mcp: cannot start: --state-dir is not valid: no user of this machine")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_secret_or_settings_saved_by_windows_are_read(tmp_path: Path, encoding: str) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    secret, env = tmp_path / "password", tmp_path / "settings.env"
    secret.write_bytes(mark + "hunter2å\r\n".encode(encoding))
    env.write_bytes(mark + "ELKS_PHONE_NUMBER=+46701740605\r\nDRY_RUN=perhaps\r\n".encode(encoding))
    password = read({"ELKS_API_PASSWORD_FILE": str(secret)}).settings.api_password
    assert password is not None
    assert password.get_secret_value() == "hunter2å"
    text = CliRunner().invoke(commands, ["pending", "--env-file", str(env)], env={})
    assert "DRY_RUN='perhaps' is not valid" in text.output


@pytest.mark.parametrize("content", [b"\xff\xfeh", "hunter2".encode("utf-16-le"), "hunter2".encode("utf-32")])
def test_a_secret_in_another_encoding_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    text = "ELKS_API_PASSWORD_FILE names a file that cannot be read: it is not UTF-8; save it as UTF-8."
    assert faults(ELKS_API_PASSWORD_FILE=str(file)) == text


# ── the account of a subaccount ──

MAIN, OTHER, CAPPED = "u" + "1" * 32, "u" + "2" * 32, "a" + "3" * 32


@pytest.mark.parametrize(
    ("username", "account", "said"),
    [
        (MAIN, OTHER, "it is another account than ELKS_API_USERNAME, which is not a subaccount"),
        (MAIN, CAPPED, "use the API username of the account itself"),
        (CAPPED, CAPPED, "use the API username of the account itself"),
        (CAPPED, "u1 u2", "use the API username of the account itself"),
        (CAPPED, MAIN, ""),
        (MAIN, MAIN, ""),
        ("", MAIN, ""),
    ],
)
def test_two_accounts_never_share_what_is_stored(username: str, account: str, said: str) -> None:
    found = faults(ELKS_API_USERNAME=username, ELKS_API_PASSWORD="p", ELKS_ACCOUNT=account)
    assert said in found if said else not found
    assert account not in found or len(account) < 3
