"""Records how a server answers the requests that begin a session, for the next start."""

from collections.abc import Iterator
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.lowlevel import NotificationOptions
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic_core import to_json

from elks_mcp.mcp_server.greeting import (
    DISCOVERY,
    HANDSHAKE,
    INITIALIZED,
    LIST_CHANGES,
    LISTEN,
    LISTS,
    META,
)
from elks_mcp.mcp_server.snapshots import Answers
from elks_mcp.runtime.tasks import background

ALL_LISTS = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
"""The declaration of a server that may announce changes of its lists."""

_RECORDER = {"name": "elks-mcp", "version": "0"}


async def record_answers(server: MCPServer[Any]) -> Answers:
    """Return the answers of a server that serves no client, in each version of the protocol.

    A request that the server refuses has no answer.
    """
    versions = (*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS)
    return {version: await _ask(server, version) for version in versions}


async def _ask(server: MCPServer[Any], version: str) -> dict[str, str]:
    lowlevel = server._lowlevel_server  # noqa: SLF001  (MCPServer accepts no streams)
    requests, received = anyio.create_memory_object_stream[SessionMessage | Exception]()
    sent, answers = anyio.create_memory_object_stream[SessionMessage]()
    found = {}
    async with background() as tasks, requests, answers:
        tasks.start_soon(lowlevel.run, received, sent, lowlevel.create_initialization_options(ALL_LISTS))
        for message in _list_messages(version):
            await requests.send(SessionMessage(message))
            if isinstance(message, JSONRPCRequest):
                answer = (await answers.receive()).message
                if isinstance(answer, JSONRPCResponse):
                    found[message.method] = to_json(answer.result).decode()
                elif isinstance(answer, JSONRPCNotification) and answer.params:  # acknowledges a subscription
                    found[message.method] = to_json(answer.params["notifications"]).decode()
    return found


def _list_messages(version: str) -> Iterator[JSONRPCMessage]:
    if version in HANDSHAKE_PROTOCOL_VERSIONS:
        hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": _RECORDER}
        yield JSONRPCRequest(jsonrpc="2.0", id=HANDSHAKE, method=HANDSHAKE, params=hello)
        yield JSONRPCNotification(jsonrpc="2.0", method=INITIALIZED)
        params: dict[str, Any] = {}
    else:
        params = {"_meta": {f"{META}protocolVersion": version, f"{META}clientCapabilities": {}}}
        yield JSONRPCRequest(jsonrpc="2.0", id=DISCOVERY, method=DISCOVERY, params=params)
        changes = params | {"notifications": LIST_CHANGES}
        yield JSONRPCRequest(jsonrpc="2.0", id=LISTEN, method=LISTEN, params=changes)
    for method in LISTS:
        yield JSONRPCRequest(jsonrpc="2.0", id=method, method=method, params=params)
