"""Unreadable messages: each request gets an answer, others are skipped, and the server continues."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.support.clocks import HANG
from tests.support.connecting import ERAS, PHONE, Era, new_box, posted
from tests.support.process import Process, running
from tests.support.web import site

SANDBOX = {"ELKS_SANDBOX": "true"}
_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_HALF = "an unpaired surrogate"


def _written(era: Era, **arguments: Any) -> str:
    meta = {"_meta": _META} if era == "auto" else {}
    params = {"name": "send_sms", "arguments": arguments, **meta}
    return json.dumps({"jsonrpc": "2.0", "id": "odd", "method": "tools/call", "params": params})


def _open(server: Process, era: Era) -> None:
    if era == "legacy":
        server.initialize()
    else:
        server.request("server/discover", {"_meta": _META})


def _read_answers(server: Process, era: Era) -> list[dict[str, Any]]:
    """Read what was answered before a request that any server can read."""
    before = len(server.lines)
    assert "tools" in server.request("tools/list", {"_meta": _META} if era == "auto" else {})["result"]
    return [json.loads(line) for line in server.lines[before:-1]]


@pytest.fixture(scope="module", params=ERAS)
def era(request: pytest.FixtureRequest) -> Era:
    """The era that the client speaks."""
    era: Era = request.param
    return era


@pytest.fixture(scope="module")
def server(era: Era, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server for all tests whose messages leave nothing behind in it; in the end it still closes well."""
    with running(SANDBOX, tmp_path_factory.mktemp("server")) as server:
        _open(server, era)
        yield server
        assert server.close() == 0


def test_half_a_surrogate_pair_is_reported_with_the_arguments_name(server: Process, era: Era) -> None:
    for arguments, named in (
        ({"to": PHONE, "message": "Hej \ud800"}, "`message`"),
        ({"to": "\udfff", "message": "Hej"}, "`to`"),
        ({"to": PHONE, "message": "Hej", "idempotencyKey": "\ud83d"}, "`idempotencyKey`"),
        ({"to": PHONE, "message": "Hej", "o\ud800": 1}, "`o?`"),
        ({"to": PHONE, "message": ["Hej", {"a": "\ud800"}]}, "`message`"),
    ):
        server.write(_written(era, **arguments) + "\n")
        (answer,) = _read_answers(server, era)
        assert (answer["id"], answer["error"]["code"]) == ("odd", -32602)
        assert f"The argument {named} contains {_HALF}" in answer["error"]["message"]
    assert _HALF in server.stderr


def test_a_byte_order_mark_before_the_first_message_is_skipped_and_logged(tmp_path: Path, era: Era) -> None:
    with running(SANDBOX, tmp_path) as server:
        server.write("\ufeff")
        _open(server, era)
        assert _read_answers(server, era) == []
        assert server.close() == 0
        assert "byte order mark" in server.stderr


_PARAMS = '{"jsonrpc": "2.0", "id": "odd", "method": "ping", "params": '


def test_a_request_that_cannot_be_read_is_answered(server: Process, era: Era) -> None:
    for line, code in (
        ('{"jsonrpc": "1.0", "id": "odd", "method": "ping"}', -32600),
        ('{"id": "odd", "method": "ping"}', -32600),
        ('{"jsonrpc": "2.0", "id": "odd", "method": 5}', -32600),
        ('[{"jsonrpc": "2.0", "id": "odd", "method": "ping"}]', -32600),
        (_PARAMS + "[]}", -32600),
        (_PARAMS + '{"a": "a\tb"}}', -32700),
        (_PARAMS + '{"a": ' + "9" * 5000 + "}}", -32700),
        (_PARAMS + '{"a": ' + "[" * 300 + "]" * 300 + "}}", -32700),
        ('{"jsonrpc": "2.0", "id": "odd", "method": "\\ud800"}', -32602),
        (_PARAMS.replace("ping", "tools/call") + '{"name": "\\ud800", "arguments": {}}}', -32602),
    ):
        server.write(line + "\n")
        (answer,) = _read_answers(server, era)
        assert (answer["id"], answer["error"]["code"]) == ("odd", code)


def test_a_message_that_cannot_be_answered_is_skipped_and_logged(tmp_path: Path, era: Era) -> None:
    skipped = (
        b"\n",
        b"not json\n",
        b"\x00\n",
        b"\xff\xfe\xfa\n",
        "Hej".encode("utf-16") + b"\n",
        b"5\n",
        b"[]\n",
        b"{}\n",
        b'{"jsonrpc": "2.0"}\n',
        b"[" * 100_000 + b"\n",
        b"x" * 3_000_000 + b"\n",
        b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "ping"}\n',
        b'{"jsonrpc": "2.0", "id": 1, "result": 5}\n',
        b'{"jsonrpc": "2.0", "id": true, "method": 5}\n',
    )
    with running(SANDBOX, tmp_path) as server:
        for line in skipped:  # before the first message, which decides the era
            server.write_bytes(line)
        _open(server, era)
        for line in skipped:
            server.write_bytes(line)
        assert _read_answers(server, era) == []
        assert server.close() == 0
        assert server.stderr.count("Skipped a message that cannot be parsed") == 2 * len(skipped)


def test_lines_can_end_as_on_windows(server: Process, era: Era) -> None:
    meta = {"params": {"_meta": _META}} if era == "auto" else {}
    request = json.dumps({"jsonrpc": "2.0", "id": "odd", "method": "tools/list", **meta})
    server.write_bytes(request.encode() + b"\r\n")
    (answer,) = _read_answers(server, era)
    assert answer["result"]["tools"]


def test_a_notification_with_half_a_surrogate_pair_still_takes_effect(tmp_path: Path) -> None:
    with running(SANDBOX, tmp_path) as server:
        server.initialize()
        wait = {"name": "wait_for_reply", "arguments": {"timeout": 300}}
        server.send({"jsonrpc": "2.0", "id": "odd", "method": "tools/call", "params": wait})
        cancel = {"requestId": "odd", "reason": "\ud800"}
        server.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})
        assert _read_answers(server, "legacy") == []
        assert server.close() == 0
        assert "Replaced an unpaired surrogate" in server.stderr


@pytest.mark.anyio
async def test_half_a_surrogate_pair_is_also_reported_over_http(era: Era) -> None:
    box = new_box()
    shown = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    if era == "auto":
        shown |= {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "send_sms"}
    escaped = _written(era, to=PHONE, message="Hej \ud800").encode()
    with anyio.fail_after(HANG):
        async with site(box) as where, httpx2.AsyncClient(trust_env=False, timeout=60) as client:
            for body in (escaped, b"\xef\xbb\xbf" + escaped, escaped.replace(b"\\ud800", b"\xed\xa0\x80")):
                answer = await client.post(f"{where.url}/mcp", content=body, headers=shown)
                parsed = answer.json()
                assert (answer.status_code, parsed["id"], parsed["error"]["code"]) == (400, "odd", -32602)
                assert f"The argument `message` contains {_HALF}" in parsed["error"]["message"]
            assert (await client.get(f"{where.url}/healthz")).status_code == 200
    assert posted(box) == []
