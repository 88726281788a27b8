"""A parameter of a wrong type is an error of the request, in both eras, over HTTP and stdio."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.connecting import Era, new_box
from tests.support.process import running
from tests.support.web import Site, site

pytestmark = pytest.mark.anyio

_MODERN = "2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": _MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_INTERNAL_ERROR, _RESERVED = -32603, range(-32768, -31999)
"""Codes of JSON-RPC; the SDK writes 0 for an exception that it knows nothing of."""

_WRONG: tuple[Any, ...] = (
    None,
    True,
    0,
    -1.5,
    10**400,
    "",
    "x",
    "\u202e\x85",
    [],
    [[]],
    {},
    {"uri": {"uri": []}},
    ["elks://policy"],
)
"""Values of every type that JSON has."""

_REF = {"type": "ref/resource", "uri": "elks://messages/{message_id}"}
_ARGUMENT = {"name": "message_id", "value": "O"}
_REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("tools/list", {"cursor": "x"}),
    ("tools/call", {"name": "explain_policy", "arguments": {}}),
    ("tools/call", {"name": "get_sms_messages", "arguments": {"direction": "both", "limit": 10}}),
    ("tools/call", {"name": "estimate_sms_cost", "arguments": {"to": "+46701740605", "message": "Hej"}}),
    ("tools/call", {"name": "check_sms_status", "arguments": {"messageId": "O-22222222"}}),
    ("resources/list", {"cursor": "x"}),
    ("resources/templates/list", {"cursor": "x"}),
    ("resources/read", {"uri": "elks://policy"}),
    ("resources/subscribe", {"uri": "elks://policy"}),
    ("resources/unsubscribe", {"uri": "elks://policy"}),
    ("prompts/list", {"cursor": "x"}),
    ("prompts/get", {"name": "text_somebody", "arguments": {"recipient": "+46701740605"}}),
    ("prompts/get", {"name": "how_did_it_go", "arguments": {"nonsense": "x"}}),
    ("completion/complete", {"ref": _REF, "argument": _ARGUMENT, "context": {"arguments": {"a": "b"}}}),
    ("logging/setLevel", {"level": "info"}),
    ("nonsense", {"uri": "elks://policy"}),
)
"""Requests of each kind. `subscriptions/listen` has a test of its own, since a good one does not end."""


def _spoiled(params: Any) -> Iterator[Any]:
    """List parameters with each value replaced by each wrong one, and without it."""
    if isinstance(params, dict):
        for name, value in params.items():
            rest = {each: other for each, other in params.items() if each != name}
            yield rest
            for wrong in (*_WRONG, *_spoiled(value)):
                yield {**rest, name: wrong}


def _requests() -> Iterator[tuple[str, Any]]:
    for method, params in _REQUESTS:
        for wrong in _spoiled(params):
            yield method, wrong
    for wrong in _spoiled({"notifications": {"resourceSubscriptions": ["elks://policy"]}}):
        if not isinstance(wrong.get("notifications"), dict):
            yield "subscriptions/listen", wrong


def _check(answer: dict[str, Any], method: str, params: Any) -> None:
    assert ("result" in answer) != ("error" in answer), (method, params)
    code = answer.get("error", {}).get("code")
    assert code != _INTERNAL_ERROR, (method, params, answer)
    assert code is None or code in _RESERVED, (method, params, answer)


@pytest.mark.parametrize(
    ("era", "with_token"),
    [
        ("auto", True),
        ("legacy", False),
        pytest.param("auto", False, marks=pytest.mark.long),
        pytest.param("legacy", True, marks=pytest.mark.long),
    ],
)
async def test_over_http_a_wrong_type_is_an_error_of_the_request(era: Era, with_token: bool) -> None:
    async with site(new_box()) as where, httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        shown = {"accept": "application/json, text/event-stream"}
        if with_token:
            shown["authorization"] = f"Bearer {await where.token('agent')}"
        if era == "legacy":
            shown["mcp-session-id"] = await _open_session(client, where, shown)
        for method, params in _requests():
            answer = await client.post(f"{where.url}/mcp", **_written(method, params, era, shown))
            assert answer.status_code < 500, (method, params)
            _check(_read(answer), method, params)


async def _open_session(client: httpx2.AsyncClient, where: Site, shown: dict[str, str]) -> str:
    info = {"name": "test", "version": "1"}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    session = (await client.post(f"{where.url}/mcp", json=body, headers=shown)).headers["mcp-session-id"]
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    await client.post(f"{where.url}/mcp", json=ready, headers={**shown, "mcp-session-id": session})
    return str(session)


def _written(method: str, params: Any, era: Era, shown: dict[str, str]) -> dict[str, Any]:
    """Build a request in the format of an era."""
    headers = dict(shown)
    if era == "auto":
        headers |= {"mcp-protocol-version": _MODERN, "mcp-method": method}
        name = params.get("name") or params.get("uri")
        if isinstance(name, str) and name.isascii():
            headers["mcp-name"] = name
        params = {"_meta": _META, **params}
    return {
        "json": {"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
        "headers": headers,
    }


def _read(answer: httpx2.Response) -> dict[str, Any]:
    """Read the one message of an answer, in either form."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        lines = [
            each.removeprefix("data: ") for each in answer.text.split("\r\n") if each.startswith("data: ")
        ]
        return dict(json.loads(next(each for each in lines if each.strip())))
    return dict(answer.json())


@pytest.mark.parametrize("era", ["auto", pytest.param("legacy", marks=pytest.mark.long)])
def test_over_stdio_a_wrong_type_is_an_error_of_the_request(era: Era, tmp_path: Path) -> None:
    with running({"ELKS_SANDBOX": "true"}, tmp_path) as server:
        if era == "legacy":
            server.initialize()
        for method, params in _requests():
            with_meta = {"_meta": _META, **params} if era == "auto" else params
            _check(server.request(method, with_meta), method, params)
        assert server.close() == 0
