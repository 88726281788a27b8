"""Helpers shared by the tests of tokens."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from elks_mcp.runtime.clock import Clock
from elks_mcp.sandbox import Sandbox
from tests.support.connecting import (
    PHONE,
    Era,
    new_box,
)
from tests.support.web import Site, http_client, site

_MODERN = "2026-07-28"


_ARGUMENTS: dict[str, dict[str, Any]] = {
    "send_sms": {"to": PHONE, "message": "Hej"},
    "ask_by_sms": {"to": PHONE, "message": "Hej?", "timeout": 0},
    "estimate_sms_cost": {"to": PHONE, "message": "Hej"},
    "check_sms_status": {"messageId": "O-23456789"},
    "cancel_sms": {"orderId": "O-23456789"},
    "wait_for_reply": {"timeout": 0},
    "plan_batch": {"message": "Hej", "recipients": [PHONE]},
    "start_batch": {"batchId": "B-23456789"},
    "check_batch": {"batchId": "B-23456789"},
    "stop_batch": {"batchId": "B-23456789", "change": "pause"},
    "call_phone": {"to": PHONE, "say": "Hej"},
    "get_recording": {"recordingId": f"c{'0' * 32}-r0"},
}


@asynccontextmanager
async def served(
    box: Sandbox | None = None, *, clock: Clock | None = None, **environ: str
) -> AsyncIterator[tuple[Sandbox, Site]]:
    """Serve, with a sandbox in 46elks' place."""
    box = box or new_box()
    async with site(box, clock=clock, environ=environ) as running:
        yield box, running


async def ask(
    where: Site,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    era: Era = "auto",
    headers: Mapping[str, Any] | None = None,
    token: str | None = None,
    capabilities: Mapping[str, Any] | None = None,
) -> httpx2.Response:
    """Make one request in the raw, in the words of an era; the older one without its handshake."""
    shown: dict[str, Any] = {"accept": "application/json, text/event-stream", **(headers or {})}
    if token is not None:
        shown["authorization"] = f"Bearer {token}"
    params = dict(params or {})
    if era == "auto":
        shown |= {"mcp-protocol-version": _MODERN, "mcp-method": method}
        if name := params.get("name") or params.get("uri"):
            shown["mcp-name"] = name
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": _MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": dict(capabilities or {}),
        }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with http_client() as client:
        return await client.post(f"{where.url}/mcp", json=body, headers=shown)


def tool_call(name: str) -> dict[str, Any]:
    """Write the parameters of a call that a tool would carry out."""
    return {"name": name, "arguments": _ARGUMENTS.get(name, {})}


async def _turned_away(where: Site, token: str) -> bool:
    return (await ask(where, "tools/list", token=token)).status_code == 401
