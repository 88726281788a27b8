"""An alert over real connections: a server and a sandbox in processes of their own."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest
from mcp import Client

from tests.support.clocks import HANG
from tests.support.connecting import call, come_true, data
from tests.support.process import PLAIN, PROGRAM
from tests.support.speech import find_espeak
from tests.support.web import http_client

pytestmark = [pytest.mark.anyio, pytest.mark.long]

FIRST, SECOND_PERSON = "+46701740630", "+46701740631"
POLICY_TEXT = f"""\
policies:
  jour:
    steps:
      - {{whom: "{FIRST}", by: [sms, call], wait: 0.1}}
      - {{whom: "{SECOND_PERSON}", by: sms, wait: 0.1}}
    cost_cap: 50
"""
OUTSIDE = ("/sms", "/calls")


@contextmanager
def started(folder: Path, said: str, *arguments: str, **settings: str) -> Iterator[re.Match[str]]:
    """Run a command until the context ends, once its output matches `said`."""
    environ = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "ELKS_STATE_DIR": str(folder), **PLAIN}
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    with (
        (folder / f"{arguments[0]}.log").open("w+", encoding="utf-8") as log,
        subprocess.Popen(
            [*PROGRAM, *arguments],
            env=environ | settings,
            encoding="utf-8",
            stderr=subprocess.STDOUT,
            **pipes,
        ) as process,
    ):
        try:
            assert process.stdout
            first = process.stdout.readline()
            found = re.search(said, first)
            assert found, first + process.stdout.read()
            reader = Thread(target=log.writelines, args=(process.stdout,))
            reader.start()
            yield found
            process.kill()
            reader.join()
        finally:
            process.kill()


def free_port() -> int:
    """Return a port of this machine that nothing uses."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def both_running(folder: Path) -> Iterator[tuple[str, str]]:
    """Run a sandbox, and a server that it reaches; give the addresses of both."""
    port = free_port()
    (folder / "paging.yaml").write_text(POLICY_TEXT, "utf-8")
    state = folder / "sandbox"
    state.mkdir()
    box = ("sandbox", "--port", "0", "--webhook-port", str(port))
    with started(state, r"runs at (http://\S+)\. ", *box) as sandbox:
        password = (state / "sandbox.password").read_text("utf-8").strip()
        settings = {
            "ELKS_API_BASE_URL": f"{sandbox[1]}/a1",
            "ELKS_API_USERNAME": "u000000000000000000000000005a4db0",
            "ELKS_API_PASSWORD": password,
            "ELKS_PHONE_NUMBER": "+46701740699",
            "DRY_RUN": "false",
            "ELKS_TOOLSETS": "sms,inbox,escalation",
            "ELKS_ESCALATION": str(folder / "paging.yaml"),
            "ELKS_CALL_PRICE_PER_MINUTE": "0.80",
            "ELKS_TTS_COMMAND": "espeak-ng",
            "ELKS_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "ELKS_POLL_SECONDS": "1",
            "ELKS_SMS_PER_MINUTE": "6000",
        }
        command = ("serve", "--http", "--port", str(port))
        with started(folder, r"serving at (http://[0-9.]+:[0-9]+)/mcp", *command, **settings) as server:
            yield sandbox[1], server[1]


async def ask(url: str, path: str, body: Any = None) -> Any:
    """Ask the control API of the sandbox."""
    async with http_client() as client:
        method = "GET" if body is None else "POST"
        answer = await client.request(method, f"{url}/_sandbox/{path}", json=body)
        answer.raise_for_status()
        return answer.json()


async def list_steps(url: str) -> list[tuple[str, str]]:
    """List what the sandbox was paid for: the path and the recipient, in order."""
    requests = (await ask(url, "ledger"))["requests"]
    paid = [each for each in requests if each["method"] == "POST" and each["form"].get("dryrun") != "yes"]
    return [(each["path"].rpartition("/")[2], each["form"]["to"]) for each in paid]


async def wait_for_end(client: Client, alert: dict[str, Any]) -> dict[str, Any]:
    """Return an alert once it has ended."""
    found: dict[str, Any] = {}

    async def has_ended() -> bool:
        found.update(data(await call(client, "check_alert", alertId=alert["alertId"])))
        return bool(found["status"] != "running")

    await come_true(has_ended)
    return found


async def test_a_digit_on_a_phone_ends_an_alert_whose_call_plays_our_audio(tmp_path: Path) -> None:
    """The second alert lasts as long as the next step of the first one would have had to wait."""
    find_espeak()
    with both_running(tmp_path) as (sandbox, server):
        presses = {"number": FIRST, "behaviour": "presses", "digits": "1"}
        await ask(sandbox, "call-behaviour", presses)
        with anyio.fail_after(HANG):
            async with Client(f"{server}/mcp") as client:
                for text in ("Disken är full", "Disken är full igen"):
                    raised = data(await call(client, "alert_until_acknowledged", message=text, policy="jour"))
                    done = await wait_for_end(client, raised)
                    assert (done["status"], done["acknowledgedBy"]) == ("acknowledged", FIRST), done
        assert await list_steps(sandbox) == [("sms", FIRST), ("calls", FIRST)] * 2
        heard = await ask(sandbox, "calls")
        await check_audio(sandbox, server, heard)
        hooks = (await ask(sandbox, "ledger"))["webhooks"]
    assert {each["status"] for each in hooks if each["kind"] == "voice"} == {200}
    log = (tmp_path / "serve.log").read_text("utf-8")
    assert "alert_until_acknowledged" in log
    addresses = [each["source"] for each in heard["sounds"]] + [each["url"] for each in hooks]
    assert [each for each in addresses if each.split("/")[4] in log] == []


async def check_audio(sandbox: str, server: str, heard: dict[str, Any]) -> None:
    """Check that each call played audio of the server, whose address has its digest."""
    sounds = heard["sounds"]
    assert [each["problem"] for each in sounds] == ["", ""]
    for made, sound in zip(reversed(heard["calls"]), sounds, strict=True):
        assert made["actions"][0]["result"] == "1"
        assert sound["source"].startswith(f"{server}/audio/")
        assert sound["sha256"] in sound["source"]
        async with http_client() as client:
            played = (await client.get(f"{sandbox}/_sandbox/audio/{sound['sha256']}")).content
        assert played.startswith(b"RIFF")
        assert len(played) == sound["bytes"] > 10_000
        assert sha256(played).hexdigest() == sound["sha256"]
