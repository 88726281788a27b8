"""The answers of a server whose configuration cannot be read: every call gets the reason."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST, CallToolResult, TextContent

from elks_mcp.errors import Misconfigured
from elks_mcp.mcp_server.tools.audit import write_audit_line
from elks_mcp.mcp_server.tools.base import ElksTool

_NEED_APP = frozenset(
    {"resources/read", "resources/subscribe", "subscriptions/listen", "completion/complete"}
)
"""Requests that only a configured server can answer."""


class MisconfiguredMiddleware:
    """Refuses every call. The handshake, lists and prompts, which need no configuration, work."""

    def __init__(self, faults: Sequence[str], tools: Iterable[ElksTool]) -> None:
        self._reason = explain(faults)
        self._failed = {tool.name: tool.failed for tool in tools}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Refuse a request that needs a configuration; pass on any other."""
        if ctx.method == "tools/call":
            return self._refuse(ctx.params or {})
        if ctx.method in _NEED_APP:
            raise MCPError(INVALID_REQUEST, self._reason)
        return await call_next(ctx)

    def _refuse(self, params: Mapping[str, Any]) -> CallToolResult:
        name, arguments = str(params.get("name")), params.get("arguments")
        if name in self._failed:  # another name is free text of the client, and is kept out of the log
            write_audit_line(name, arguments if isinstance(arguments, dict) else {}, Misconfigured.code, 0)
        text = f"{self._failed.get(name, '')}{self._reason}"
        return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def explain(faults: Sequence[str]) -> str:
    """Return what is wrong with the configuration and what to do, for the person and the model."""
    return (
        f"The configuration of elks-mcp cannot be read, so every call fails. {' '.join(faults)} "
        "Correct this where your client starts the server, then restart the server in your client. "
        "Trying again before that will not help."
    )
