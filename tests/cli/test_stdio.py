"""The server as clients start it: a process on standard input and output."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from tests.support.clocks import HANG
from tests.support.connecting import ERAS, Era, call, connected, words
from tests.support.process import running

SANDBOX = {"ELKS_SANDBOX": "true"}
TOOLS = 16
_OUTERMOST = {min(HANDSHAKE_PROTOCOL_VERSIONS), max(HANDSHAKE_PROTOCOL_VERSIONS)}


@pytest.mark.parametrize(
    "version",
    [
        version if version in _OUTERMOST else pytest.param(version, marks=pytest.mark.long)
        for version in HANDSHAKE_PROTOCOL_VERSIONS
    ],
)
def test_every_revision_with_a_handshake_is_served(tmp_path: Path, version: str) -> None:
    with running(SANDBOX, tmp_path) as server:
        result = server.initialize(version)
        assert result["protocolVersion"] == version
        assert "Mode: SANDBOX" in result["instructions"]
        assert len(server.request("tools/list")["result"]["tools"]) == TOOLS
        balance = server.call("check_account_balance")
        assert balance["content"] == [{"type": "text", "text": "Sandbox: Balance: 100.00 SEK."}]
        assert server.close() == 0


@pytest.mark.usefixtures("fresh_start")
def test_the_newest_revision_is_served_without_a_handshake(tmp_path: Path) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    with running(SANDBOX, tmp_path) as server:
        discovered = server.request("server/discover", {"_meta": meta})["result"]
        assert "2026-07-28" in discovered["supportedVersions"]
        assert "Mode: SANDBOX" in discovered["instructions"]
        listed = server.request("tools/list", {"_meta": meta})["result"]
        assert len(listed["tools"]) == TOOLS
        assert server.close() == 0


@pytest.mark.usefixtures("fresh_start")
def test_the_process_ends_when_its_input_is_closed(tmp_path: Path) -> None:
    with running({}, tmp_path) as server:
        assert server.close() == 0
        assert server.lines == []


@pytest.mark.usefixtures("fresh_start")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_without_a_stack_trace(tmp_path: Path, number: signal.Signals) -> None:
    with running({}, tmp_path) as server:
        server.initialize()
        assert server.end(number) == -number
        assert "Traceback" not in server.stderr


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_without_credentials_the_server_lists_its_tools_and_names_what_is_missing(era: Era) -> None:
    async with connected({}, way=era) as client:
        assert len((await client.list_tools()).tools) == TOOLS
        for tool, arguments, missing in (
            ("check_account_balance", {}, "ELKS_API_USERNAME, ELKS_API_PASSWORD."),
            (
                "send_sms",
                {"to": "+46701740605", "message": "Hej"},
                "ELKS_API_USERNAME, ELKS_API_PASSWORD, ELKS_PHONE_NUMBER.",
            ),
        ):
            answer = await call(client, tool, **arguments)
            assert answer.is_error
            assert f"Missing required environment variables: {missing}" in words(answer)
            assert "46elks.com under Account → API" in words(answer)
            assert "not the log-in" in words(answer)
            assert "ELKS_SANDBOX=true" in words(answer)


def test_a_mistaken_name_is_pointed_out_and_stops_live_sends(tmp_path: Path) -> None:
    with running({"ELKS_API_USER": "u", "ELKS_API_PASSWORD": "p"}, tmp_path) as server:
        server.initialize()
        text = server.call("check_account_balance")["content"][0]["text"]
        assert "ELKS_API_USER is set, but the name is ELKS_API_USERNAME." in text
        assert "ELKS_API_USER is set, but the name is ELKS_API_USERNAME." in server.stderr


def test_each_tool_call_logs_one_masked_line(tmp_path: Path) -> None:
    with running(SANDBOX, tmp_path) as server:
        server.initialize()
        server.call("send_sms", to="+46701740605", message="En hemlig text", dryRun=True, idempotencyKey="k")
        server.call("send_sms", to="+46701740605", message="En hemlig text", bcc="+46701740688")
        server.call("get_sms_messages", **{"with": "Åsa", "since": "2026-11-30"})
        server.close()
        lines = [json.loads(line) for line in server.stderr.splitlines()]
    audit = [line for line in lines if line["logger"] == "elks_mcp.audit"]
    assert [(line["tool"], line["outcome"]) for line in audit] == [
        ("send_sms", "dry_run"),
        ("send_sms", "invalid_input"),
        ("get_sms_messages", "invalid_input"),
    ]
    assert audit[0]["arguments"] == {
        "to": "+46… (12 characters)",
        "message": "(14 characters)",
        "dryRun": True,
        "idempotencyKey": "(1 characters)",
    }
    assert audit[1]["unknown_arguments"] == 1
    assert audit[2]["arguments"] == {"with": "(3 characters)", "since": "(10 characters)"}
    assert audit[0]["ms"] >= 0


@pytest.mark.skipif(sys.platform == "win32", reason="no shell that closes streams")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["", "--version", "opt-outs add 0701740605"])
def test_a_stream_that_was_closed_at_the_start_does_no_harm(
    tmp_path: Path, command: str, closed: str
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -m elks_mcp {command} {closed}', sys.executable],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ELKS_STATE_DIR": str(tmp_path)},
        input="",
        capture_output=True,
        encoding="utf-8",
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 0
    assert not {"Traceback", "Unexpected"} & set(done.stderr.split())
