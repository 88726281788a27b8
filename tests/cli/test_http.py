"""`elks-mcp serve --http` and `elks-mcp webhooks`, through the real command."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import httpx2
import pytest
from click.testing import Result
from mcp import Client
from mcp_types import CallToolResult

from elks_mcp.sandbox import Fault, Sandbox
from tests.sandbox.serving import serve
from tests.support.clocks import HANG
from tests.support.connecting import EITHER_ERA, ERAS, Era, call, data, live, new_box, posted, until, words
from tests.support.process import PROGRAM, invoke

pytestmark = pytest.mark.anyio


def run_command(arguments: list[str], environ: dict[str, str], typed: str | None = None) -> Result:
    """Run the command in this process."""
    return invoke(arguments, environ, typed)


# ── the server ──


@contextmanager
def serving(
    folder: Path, *options: str, before: Sequence[str] = (), **settings: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the server as people do, in the sandbox unless something else is set; give its address.

    `before`: the words that the command is an argument of.
    """
    settings = settings or {"ELKS_SANDBOX": "true"}
    environ = {"ELKS_STATE_DIR": str(folder), "PATH": os.environ["PATH"], **settings}
    command = [*before, *PROGRAM, "serve", "--http", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environ, encoding="utf-8") as process:
        try:
            assert process.stderr
            found = re.search(r"serving at (http://[0-9.]+:[0-9]+)/mcp", process.stderr.readline())
            assert found
            yield process, found[1]
        finally:
            process.kill()


async def is_up(url: str) -> httpx2.Response:
    """Wait until it answers, and ask whether it can work."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.get(f"{url}/readyz?verbose")


@pytest.mark.usefixtures("fresh_start")
@pytest.mark.parametrize("era", ERAS)
async def test_the_server_serves_until_it_is_stopped_and_notifies_waiting_calls(
    tmp_path: Path, era: Era
) -> None:
    with serving(tmp_path) as (process, url):
        ready = await is_up(url)
        assert (ready.status_code, set(ready.json().values())) == (200, {"ok"})
        async with Client(f"{url}/mcp", mode=era) as client:
            sent = await call(client, "send_sms", to="+46701740605", message="Hej å ä ö ✈️")
            assert words(sent).startswith("Sandbox: Sent")

            async def stop(progress: float, total: float | None, message: str | None) -> None:
                process.send_signal(signal.SIGTERM)

            with anyio.fail_after(HANG):
                waited = await client.call_tool("wait_for_reply", {"timeout": 60}, progress_callback=stop)
        assert isinstance(waited, CallToolResult)
        assert data(waited)["status"] == "no_reply"
        assert "The server is stopping" in words(waited)
        assert await anyio.to_thread.run_sync(lambda: process.wait(15)) == 0


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_a_request_under_way_when_the_server_is_stopped_is_answered(tmp_path: Path, era: Era) -> None:
    box = Sandbox()
    box.faults.inject(Fault.LATENCY, method="POST", path="/sms", dryrun=False, duration=timedelta(seconds=2))
    async with serve(box) as url:
        with serving(tmp_path, **live(box, ELKS_API_BASE_URL=f"{url}/a1")) as (process, ours):
            async with Client(f"{ours}/mcp", mode=era) as client, anyio.create_task_group() as group:
                await client.list_tools()  # or the client would ask for them to check the answer

                @group.start_soon
                async def _stop_it() -> None:
                    await until(lambda: bool(posted(box)))
                    process.send_signal(signal.SIGTERM)

                sent = await call(client, "send_sms", to="+46701740605", message="Hej")
            assert (sent.is_error, len(box.accepted)) == (False, 1)
            assert await anyio.to_thread.run_sync(lambda: process.wait(15)) == 0


async def test_the_server_listens_on_the_network_only_for_callers_with_a_token(tmp_path: Path) -> None:
    box = new_box()
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_STATE_DIR=str(tmp_path))

        async def ask(words: str) -> Result:
            return await anyio.to_thread.run_sync(run_command, words.split(), environ)

        refused = await ask("serve --http --port 0 --host 0.0.0.0")
        assert (refused.exit_code, "elks-mcp token new" in refused.stderr) == (2, True)
        assert "There are no tokens" in (await ask("token list")).stdout
        made = await ask("token new anna --scope send")
        token = made.stdout.strip()
        assert re.fullmatch(r"elks_mcp_[\w-]{43}", token)
        with serving(tmp_path, "--host", "0.0.0.0", **environ) as (_, ours):  # noqa: S104
            async with httpx2.AsyncClient(trust_env=False) as client:
                kind = {"accept": "application/json, text/event-stream"}
                hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
                there = ours.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
                answers = [
                    await client.post(f"{there}/mcp", json=hello, headers={**kind, **shown})
                    for shown in ({}, {"authorization": f"Bearer {token}"})
                ]
            assert [each.status_code == 401 for each in answers] == [True, False]
        listed = (await ask("token list")).stdout
        assert re.fullmatch(r"T-\w{6}  anna  agent anna  send  created \S+ \S+ \+00:00\n", listed)
        revoked = await ask(f"token revoke {listed.split()[0]}")
        assert (revoked.exit_code, "of anna is revoked" in revoked.stdout) == (0, True)
        assert ", revoked " in (await ask("token list")).stdout
        assert (await ask("serve --http --port 0 --host 0.0.0.0")).exit_code == 2
        assert (await ask("token revoke anna")).exit_code == 1
        assert token not in listed + revoked.stdout
        kept = [file.read_bytes() for file in tmp_path.iterdir()]  # noqa: ASYNC240
        assert not any(token.encode() in content for content in kept)


@pytest.mark.parametrize("name", ["", "å", "a b", "a" * 65, "-a"])
def test_a_token_has_a_name_that_can_be_typed_and_shown(name: str) -> None:
    ended = run_command(["token", "new", "--scope", "read", "--", name], {"ELKS_SANDBOX": "true"})
    assert (ended.exit_code, "A name of a token or agent has" in ended.stderr) == (2, True)


async def test_a_token_is_for_an_agent_and_the_command_explains_that(tmp_path: Path) -> None:
    environ = live(new_box(), ELKS_STATE_DIR=str(tmp_path))
    help_ = await anyio.to_thread.run_sync(run_command, ["token", "new", "--help"], environ)
    assert "share" in help_.stdout
    making = ["token", "new", "reader", "--scope", "read", "--agent", "assistant"]
    made = await anyio.to_thread.run_sync(run_command, making, environ)
    assert "Only tokens of the same agent share orders, limits, and the record of" in made.stderr
    listed = await anyio.to_thread.run_sync(run_command, ["token", "list"], environ)
    assert "  reader  agent assistant  read  created " in listed.stdout
    wrong = await anyio.to_thread.run_sync(run_command, [*making[:-1], "a b"], environ)
    assert (wrong.exit_code, "A name of a token or agent has" in wrong.stderr) == (2, True)


def test_no_token_can_be_created_for_state_in_memory() -> None:
    ended = run_command(["token", "new", "anna", "--scope", "read"], {"ELKS_SANDBOX": "true"})
    assert (ended.exit_code, "no token can be created" in ended.stderr) == (2, True)
    ended = run_command(["token", "list"], {"ELKS_STATE_DIR": "nowhere"})
    assert (ended.exit_code, "ELKS_API_USERNAME" in ended.stderr) == (2, True)


# ── webhooks ──


async def test_webhooks_are_shown_and_set_after_a_confirmation_and_cleared(tmp_path: Path) -> None:
    box = new_box()
    async with serve(box) as url:
        environ = live(box, ELKS_API_BASE_URL=f"{url}/a1", ELKS_PUBLIC_URL="https://sms.example.com")

        async def ask(words: str, typed: str | None = None) -> Result:
            location = {"ELKS_STATE_DIR": str(tmp_path)}
            return await anyio.to_thread.run_sync(run_command, words.split(), environ | location, typed)

        shown = await ask("webhooks show")
        assert shown.exit_code == 0
        found = re.search(r"https://sms\.example\.com/hooks/[0-9a-f]{64}/sms", shown.stdout)
        assert found
        assert f"{box.number} now: incoming texts are forwarded to no address" in shown.stdout
        kept = await ask("webhooks set", "n\n")
        assert (kept.exit_code, "Nothing was changed." in kept.stdout) == (1, True)
        assert box._simulation.own.sms_url == ""
        done = await ask("webhooks set", "y\n")
        assert (done.exit_code, box._simulation.own.sms_url) == (0, found[0])
        assert "Nothing needs to be changed." in (await ask("webhooks set --yes")).stdout
        assert "forwarded to this server" in (await ask("webhooks show")).stdout
        for _ in range(3):  # a no changes nothing, the secret neither
            assert (await ask("webhooks set --new-secret", "n\n")).exit_code == 1
        assert found[0] in (await ask("webhooks show")).stdout
        renewed = await ask("webhooks set --new-secret --yes")
        assert (renewed.exit_code, "forwarded to this server" in renewed.stdout) == (0, True)
        assert re.fullmatch(r"https://sms\.example\.com/hooks/[0-9a-f]{64}/sms", box._simulation.own.sms_url)
        assert box._simulation.own.sms_url != found[0]
        cleared = await ask("webhooks clear --yes")
        assert (cleared.exit_code, box._simulation.own.sms_url) == (0, "")
        strange = await ask("webhooks set +46701740690 --yes")
        assert (strange.exit_code, "no such number" in strange.stderr) == (1, True)


def test_webhooks_need_an_address() -> None:
    ended = run_command(["webhooks", "show"], {"ELKS_API_USERNAME": "u", "ELKS_API_PASSWORD": "p"})
    assert ended.exit_code == 2
    assert "ELKS_PUBLIC_URL is not set" in ended.stderr
