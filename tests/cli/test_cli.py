"""The command line: commands in this process, and as processes where it matters how they start or end."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio.to_thread
import httpx2
import pytest

from elks_mcp.cli.sandbox import PASSWORD_FILE
from tests.sandbox.serving import serve
from tests.support.connecting import live, new_box
from tests.support.process import PROGRAM, run, start


def test_version_and_help_are_printed_on_standard_output() -> None:
    assert re.fullmatch(r"elks-mcp, version \d+\.\d+\.\d+\n", run("--version").stdout)
    output = run("--help")
    assert (output.returncode, output.stderr) == (0, "")
    for command in ("demo", "doctor", "sandbox", "--env-file"):
        assert command in output.stdout
    for command in ("approve", "pending", "outbox", "policy", "forget", "export"):
        assert re.search(rf"^  {command} +[A-Z].*\.$", output.stdout, re.MULTILINE), command


def test_an_unknown_command_is_an_error() -> None:
    done = start("dmeo")
    assert done.returncode == 2
    assert "No such command 'dmeo'" in done.stderr


@pytest.mark.usefixtures("fresh_start")
def test_the_demo_shows_all_steps_in_a_few_seconds() -> None:
    done = run("demo", ELKS_API_USERNAME="a live account", DRY_RUN="false")
    assert done.returncode == 0, done.stderr
    for part in (
        "get_delivery_statistics",
        "1 part (GSM-7)",
        "2 parts (UCS-2)",
        "Dry run: nothing was sent",
        "Sandbox: Sent:",
        "Delivered: it reached the phone.",
        "Hälsar Åsa",
        "Balance: 100.00 SEK",
        "Balance: 99.48 SEK",
        "Refused by impersonation",
        "The simulated phones, in your browser while this runs\n  http://127.0.0.1:",
        "See it arrive: http://127.0.0.1:",
    ):
        assert part in done.stdout
    assert done.stdout.endswith(" connect --sandbox`.\n"), "the next step leads to the same phones"
    assert "Keep it running" not in done.stdout, "no person is asked in a pipe"


def test_in_a_terminal_the_server_explains_itself_instead_of_waiting() -> None:
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    ours, theirs = pty.openpty()
    done = subprocess.run(
        PROGRAM, stdin=theirs, capture_output=True, encoding="utf-8", timeout=30, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert "You started it by hand, so it has no client." in done.stdout
    assert "elks-mcp demo" in done.stdout


# ── doctor ──


@pytest.mark.usefixtures("fresh_start")
def test_the_doctor_finds_nothing_wrong_with_the_sandbox() -> None:
    done = run("doctor", ELKS_SANDBOX="true")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Nothing is wrong.\n")
    assert "writes nothing but the protocol" in done.stdout
    assert "State is in memory (ELKS_SANDBOX). It is lost when the server ends." in done.stdout


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('Hello')", "The server writes text that is not JSON to standard output"),
        ("raise SystemExit('no such module')", "The end of its log: no such module"),
        ("print('{}')", "The server did not answer `initialize`."),
    ],
)
def test_the_doctor_says_what_is_wrong_with_a_server_that_does_not_answer(
    stand_in: Path, program: str, said: str
) -> None:
    stand_in.write_text(program, encoding="ascii")
    done = run("doctor", ELKS_SANDBOX="true")
    assert done.returncode == 1
    assert said in done.stdout.partition("fail  ")[2]


@pytest.mark.anyio
@pytest.mark.usefixtures("stand_in")
async def test_the_doctor_checks_credentials_and_sender_at_46elks_and_masks_what_it_shows() -> None:
    box = new_box()
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_GUARDS_OFF="night")
        done = await in_thread("doctor", environ)
        assert done.returncode == 0, done.stdout
        assert "46elks accepts the credentials. The balance is 100.00 SEK." in done.stdout
        assert "46elks returns a price for a text from +4670*****99." in done.stdout
        assert "guards off: night" in done.stdout
        assert "ELKS_CONFIRM is auto" in done.stdout
        assert "Mode sandbox: texts only go to simulated phones, and nothing costs money" in done.stdout
        assert box.password not in done.stdout
        assert box.username not in done.stdout
        assert box.number not in done.stdout
        wrong = await in_thread("doctor", environ | {"ELKS_API_PASSWORD": "wrong"})
        assert wrong.returncode == 1
        assert "fail  46elks does not accept the API credentials" in wrong.stdout
        box.balance = 0
        assert "There is no money on the account" in (await in_thread("doctor", environ)).stdout
    assert box.accepted == []


async def in_thread(command: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command while this process serves the sandbox."""
    return await anyio.to_thread.run_sync(lambda: run(command, **environ))


@pytest.mark.usefixtures("stand_in")
def test_the_doctor_names_what_is_missing_and_what_is_mistaken() -> None:
    done = run("doctor", ELKS_API_USER="u", ELKS_SOMETHING="x")
    assert done.returncode == 1
    assert "fail  ELKS_API_USER is set, but the name is ELKS_API_USERNAME." in done.stdout
    assert "note  ELKS_SOMETHING is set, but it is not a setting." in done.stdout
    missing = "ELKS_API_USERNAME, ELKS_API_PASSWORD, ELKS_PHONE_NUMBER"
    assert f"fail  Missing required environment variables: {missing}." in done.stdout


@pytest.mark.usefixtures("stand_in")
def test_the_doctor_says_that_46elks_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    environ = {
        "ELKS_API_USERNAME": "u",
        "ELKS_API_PASSWORD": "p",
        "ELKS_API_BASE_URL": f"http://127.0.0.1:{port}/a1",
    }
    done = run("doctor", **environ)
    assert done.returncode == 1
    assert "46elks cannot be reached: no connection could be made." in done.stdout


@pytest.mark.usefixtures("stand_in")
def test_settings_can_stand_in_a_file_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "elks.env"
    file.write_text('ELKS_SANDBOX=true\nELKS_MAX_PARTS="3"\nELKS_TIMEOUT=5\n', encoding="utf-8")
    done = run("--env-file", str(file), "doctor", ELKS_TIMEOUT="7")
    assert done.returncode == 0, done.stdout
    assert "ELKS_MAX_PARTS = 3" in done.stdout
    assert "ELKS_TIMEOUT = 7.0" in done.stdout
    assert run("doctor").returncode == 1, "no such file is read by itself"
    unexpanded = run("--env-file", str(file), "doctor", ELKS_MAX_PARTS="${ELKS_MAX_PARTS}")
    assert "ELKS_MAX_PARTS = 3" in unexpanded.stdout, "what a client left unexpanded does not hide the file's"


@pytest.mark.usefixtures("stand_in")
def test_a_reference_in_a_file_is_not_replaced_but_reported_as_unset(tmp_path: Path) -> None:
    """A password may contain `${…}`, and must not become another one."""
    file = tmp_path / "elks.env"
    file.write_text("ELKS_SANDBOX=true\nELKS_SIGNATURE=x${HOME}y\nELKS_MAX_PARTS=${NOPE}\n", encoding="utf-8")
    done = run("--env-file", str(file), "doctor")
    assert "ELKS_SIGNATURE" in done.stdout
    assert "ELKS_MAX_PARTS" in done.stdout, "a setting that was not replaced is named"
    assert str(Path.home()) + "y" not in done.stdout


@pytest.mark.usefixtures("stand_in")
def test_a_settings_file_that_is_not_utf_8_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "elks.env"
    file.write_text("ELKS_SANDBOX=true\n", encoding="utf-16-le")
    done = run("--env-file", str(file), "doctor")
    assert done.returncode == 1
    assert "elks.env cannot be read: it is not UTF-8; save it as UTF-8.\n" in done.stdout
    assert "note  46elks was not asked" in done.stdout
    assert "note  The state was not checked" in done.stdout
    file.write_text("ELKS_SANDBOX=true\n", encoding="utf-8-sig")
    assert run("--env-file", str(file), "doctor").returncode == 0


@pytest.mark.anyio
async def test_the_doctor_goes_on_after_a_value_that_cannot_be_read() -> None:
    box = new_box()
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1")
        sender = await in_thread("doctor", environ | {"ELKS_PHONE_NUMBER": "46701740699"})
        state = await in_thread("doctor", environ | {"ELKS_DATABASE_URL": "outbox.db"})
        asked = len(box.requests)
        address = await in_thread("doctor", environ | {"ELKS_API_BASE_URL": "https://46elks:a1"})
        assert len(box.requests) == asked
    assert {each.returncode for each in (sender, state, address)} == {1}
    assert "fail  ELKS_PHONE_NUMBER='46701740699' is not valid: " in sender.stdout
    assert "The + is probably missing." in sender.stdout
    assert "Missing required environment variables" not in sender.stdout
    assert "fail  ELKS_DATABASE_URL (9 characters) is not valid: use postgresql://" in state.stdout
    assert "note  The state was not checked" in state.stdout
    assert "note  46elks was not asked" in address.stdout
    for done in (sender, state):
        assert "46elks accepts the credentials. The balance is 100.00 SEK." in done.stdout
    for done in (sender, address):
        assert "ok  State is in " in done.stdout
    for done in (sender, state, address):
        assert (
            "fail  Every call of a client fails until the values that cannot be read are corrected."
            in done.stdout
        )
        assert "The server starts, answers, writes nothing but the protocol, and ends." in done.stdout


_USERNAME, _PASSWORD = "u" + "5a4db0".rjust(32, "0"), "7e57".rjust(32, "0")


@pytest.mark.parametrize(
    ("environ", "output"),
    [
        (
            {
                "ELKS_API_USERNAME": "klara@example.com",
                "ELKS_ALLOWED_RECIPIENTS": "${X}",
                "ELKS_PHONE_NUMBER": '"+46701740699"',
                "ELKS_ALLOWED_COUNTRIES": "SE,UK",
                "ELKS_STATE_DIR": "$HOME/elks",
            },
            [
                "warn  The API username begins with u. It is not",
                "warn  ELKS_ALLOWED_RECIPIENTS is a variable that",
                "The quotation marks are part of the value. Remove them.",
                "'UK' is not a country, perhaps GB is meant; use two-letter",
                "ELKS_STATE_DIR may be wrong. It looks like a variable",
            ],
        ),
        (
            {
                "ELKS_API_USERNAME": _PASSWORD,
                "ELKS_API_PASSWORD": _USERNAME,
                "ELKS_PHONE_NUMBER": "46701740699",
                "ELKS_ALLOWED_COUNTRIES": "XX",
            },
            [
                "ELKS_API_PASSWORD look swapped",
                "The + is probably missing.",
                "'XX' is not a country; use two-letter codes of ISO 3166",
            ],
        ),
        (
            {
                "ELKS_API_USERNAME": f'"{_USERNAME}"',
                "ELKS_API_PASSWORD": f"'{_PASSWORD}'",
                "ELKS_PHONE_NUMBER": "+46${REST}",
            },
            [
                "ELKS_API_USERNAME may be wrong. The quotation marks are part",
                "ELKS_API_PASSWORD may be wrong. The quotation marks are part",
                "It looks like a variable that your client did not expand",
            ],
        ),
        (
            {
                "ELKS_API_USERNAME": "undefined",
                "ELKS_API_PASSWORD": "$ELKS",
                "ELKS_PHONE_NUMBER": "klara@example.com",
            },
            [
                "ELKS_API_USERNAME may be wrong. It looks like a variable that your",
                "ELKS_API_PASSWORD may be wrong. It looks like a variable that your",
                "It looks like an e-mail address.",
            ],
        ),
        (
            {"ELKS_API_USERNAME": "${USER}"},
            ["warn  ELKS_API_USERNAME is a variable that your client"],
        ),
    ],
)
@pytest.mark.usefixtures("stand_in")
def test_the_doctor_names_the_likely_slip_and_shows_no_secret(
    environ: dict[str, str], output: list[str]
) -> None:
    credentials = {"ELKS_API_USERNAME": _USERNAME, "ELKS_API_PASSWORD": _PASSWORD}
    done = run("doctor", **{"ELKS_API_BASE_URL": "http://127.0.0.1:9/a1", **credentials, **environ})
    assert done.returncode == 1
    assert [said for said in output if said not in done.stdout] == []
    assert not any(secret in done.stdout for secret in (_USERNAME, _PASSWORD))


@pytest.mark.anyio
@pytest.mark.usefixtures("stand_in")
async def test_the_doctor_warns_of_a_sender_that_is_not_a_number_of_the_account() -> None:
    box = new_box()
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_PHONE_NUMBER="+46701740606")
        foreign = await in_thread("doctor", environ)
        allowed = await in_thread(
            "doctor",
            environ | {"ELKS_PHONE_NUMBER": box.number, "ELKS_ALLOWED_SENDERS": "Klara,+46701740607"},
        )
    assert (foreign.returncode, allowed.returncode) == (0, 0), "a verified mobile number is listed nowhere"
    assert "warn  +4670*****06 is not among the numbers of the account (+4670*****99)." in foreign.stdout
    assert "verified at 46elks" in foreign.stdout
    assert "set ELKS_PHONE_NUMBER, or ELKS_ALLOWED_SENDERS, to a number of the account." in foreign.stdout
    verdict = "Nothing failed, but something may be wrong. See the lines that begin with warn.\n"
    assert foreign.stdout.endswith(verdict)
    assert "warn  +4670*****07 is not among the numbers" in allowed.stdout
    assert allowed.stdout.count("is not among") == 1


@pytest.mark.parametrize("location", ["file", "file/state/deep"])
@pytest.mark.usefixtures("stand_in")
def test_the_doctor_says_that_a_state_directory_cannot_be_made(location: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("doctor", ELKS_STATE_DIR=str(tmp_path / location), ELKS_API_BASE_URL="http://127.0.0.1:9/a1")
    assert done.returncode == 1
    assert f"{tmp_path / 'file'}: it is not a directory. Set ELKS_STATE_DIR" in done.stdout
    assert not (tmp_path / location).is_dir()


def test_a_credential_that_was_left_unexpanded_is_reported_as_such() -> None:
    done = run("webhooks", "show", ELKS_API_USERNAME="${USER}", ELKS_API_PASSWORD="p")
    assert "Missing required environment variables: ELKS_API_USERNAME." in done.stderr
    assert "ELKS_API_USERNAME is a variable that your client did not expand" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
@pytest.mark.parametrize(("command", "last"), [("doctor", "elks-mcp"), ("demo", "  send_sms")])
def test_a_closed_output_pipe_causes_no_stack_trace(command: str, last: str) -> None:
    environ = {"PATH": os.environ["PATH"], "ELKS_SANDBOX": "true", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*PROGRAM, command], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout
        assert process.stderr
        assert any(line.startswith(last) for line in process.stdout)
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 1


def test_a_console_that_lacks_a_character_gets_another() -> None:
    done = start("outbox", "show", "--help", PYTHONUTF8="0", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert " O-?\n" in done.stdout


# ── sandbox ──


SMS = {"from": "Klara", "to": "+46701740605", "message": "Hej"}


@contextmanager
def sandbox(folder: Path, *arguments: str, **environ: str) -> Iterator[tuple[httpx2.Client, str]]:
    """Run the sandbox as a command; give a client with the credentials that it prints, and all it prints."""
    environ |= {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    command = [*PROGRAM, "sandbox", "--port", "0", "--state-dir", str(folder), *arguments]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            assert process.stdout
            output = "".join(
                iter(process.stdout.readline, "Ctrl-C stops the sandbox and discards all its data.\n")
            )
            said = [
                re.search(pattern, output)
                for pattern in (r"(http://127\.0\.0\.1:\d+)", r"username +(\S+)", r"password +(\S+)")
            ]
            url, username, password = (found[1] for found in said if found)
            with httpx2.Client(base_url=url, auth=(username, password), trust_env=False) as client:
                yield client, output
        finally:
            process.terminate()


@pytest.mark.usefixtures("fresh_start")
def test_the_sandbox_says_where_it_is_and_answers_like_46elks(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (client, _):
        accepted = client.post("/a1/sms", data=SMS)
        assert (accepted.status_code, accepted.json()["cost"]) == (200, 5200)
        assert client.get("/").headers["content-type"].startswith("text/html")
        assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_text_reaches_the_sandbox_with_the_variables_that_it_prints(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (client, output):
        file = tmp_path / "sandbox.env"
        file.write_text("\n".join(re.findall(r"^  (\w+=.+)$", output, re.MULTILINE)))
        done = run("send", SMS["to"], "Hej", "--env-file", str(file), "--state-dir", str(tmp_path / "state"))
        assert (done.returncode, done.stderr) == (0, "")
        messages = client.get("/_sandbox/state").json()["messages"]
        assert [(each["to"], each["text"]) for each in messages] == [(SMS["to"], "Hej")]


def test_the_sandboxs_password_is_created_once_and_readable_only_by_its_user(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    done = run("sandbox", "--password", "--state-dir", str(folder))
    password = done.stdout.strip()
    assert re.fullmatch("[0-9a-f]{32}", password)
    assert done.stderr == ""
    assert run("sandbox", "--password", ELKS_STATE_DIR=str(folder), DRY_RUN="no idea").stdout == done.stdout
    assert run("sandbox", "--password", ELKS_STATE_DIR=str(tmp_path / "other")).stdout != done.stdout
    (file,) = folder.iterdir()
    if sys.platform != "win32":
        assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    with sandbox(folder) as (client, output):
        assert f"API password        {password}\n" in output
        assert str(file) in output
        assert client.get("/_sandbox/state").json()["password"] == password
        assert client.post("/a1/sms", data=SMS).status_code == 200
        published = ("u" + "5a4db0".rjust(32, "0"), "7e57".rjust(32, "0"))
        assert client.post("/a1/sms", data=SMS, auth=published).status_code == 401


def test_a_sandbox_password_that_cannot_be_stored_or_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("Hej", encoding="ascii")
    done = run("sandbox", "--password", "--state-dir", str(tmp_path / "file" / "state"))
    assert (done.returncode, done.stdout, "--state-dir" in done.stderr) == (1, "", True)
    (tmp_path / PASSWORD_FILE).write_text("\n", encoding="ascii")
    done = run("sandbox", "--port", "0", "--state-dir", str(tmp_path))
    assert (done.returncode, "too short. Delete the file;" in done.stderr) == (1, True)


def test_webhooks_go_only_to_the_ports_named_at_the_start_and_the_answer_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as named, socket.create_server(("127.0.0.1", 0)) as other:
        port, closed = named.getsockname()[1], other.getsockname()[1]
        with sandbox(tmp_path, "--webhook-port", str(port)) as (client, output):
            assert f"Webhooks            to port {port} of this machine\n" in output
            form = SMS | {"whendelivered": f"http://127.0.0.1:{closed}/hook"}
            refused = client.post("/a1/sms", data=form)
            reason = f"whendelivered refused: the sandbox was not started with --webhook-port {closed}"
            assert (refused.status_code, refused.text) == (403, reason)
            assert client.get("/_sandbox/state").json()["requests"][-1]["error"] == reason
            form = SMS | {"to": "+46701740610", "whendelivered": f"http://127.0.0.1:{port}/hook"}
            assert client.post("/a1/sms", data=form).status_code == 200
            named.settimeout(30)
            with named.accept()[0] as connection:
                assert connection.recv(100).startswith(b"POST /hook HTTP/1.1")


def test_a_port_that_is_taken_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("sandbox", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "cannot be used" in done.stderr
    assert "--port" in done.stderr


_BROKEN = """
import sys
import click
from elks_mcp.__main__ import main
from elks_mcp.cli import commands
commands.add_command(click.Command("broken", callback=lambda: [][len("canary")]))
sys.argv = ["elks-mcp", "broken"]
main()
"""


@pytest.mark.parametrize("level", ["", "debug"])
def test_an_unexpected_error_is_one_line_unless_the_whole_trace_is_asked_for(level: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BROKEN],
        env={**os.environ, "ELKS_LOG_LEVEL": level},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1
    if level:
        assert "Traceback" in done.stderr
    else:
        assert re.fullmatch(
            r"elks-mcp: Unexpected error: IndexError at \S+:\d+\. Retrying is unlikely to help\. "
            r"Please report it\. To see the whole trace, set ELKS_LOG_LEVEL=DEBUG\.\n",
            done.stderr,
        )
