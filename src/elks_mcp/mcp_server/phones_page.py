"""Open the sandbox's page after the tools are listed, with client and folder in its title."""

from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError
from mcp_types import ListRootsRequest, ListRootsResult

from elks_mcp.app import App
from elks_mcp.embedded_sandbox import EmbeddedSandbox


class PhonesPageMiddleware:
    """Opens the page before the first call of a tool, or after the first list of the tools.

    A call may have to name the page's address, and a client waits for the list while it starts.
    """

    async def __call__(self, ctx: ServerRequestContext[App, Any], call_next: CallNext) -> HandlerResult:
        """Answer a request, and open the page before or after it if it is one of these two."""
        sandbox = ctx.lifespan_context.sandbox
        if sandbox is None or ctx.method not in {"tools/call", "tools/list"}:
            return await call_next(ctx)
        if ctx.method == "tools/call":
            _open_page(sandbox, ctx.session)
            return await call_next(ctx)
        answer = await call_next(ctx)
        _open_page(sandbox, ctx.session)
        return answer


def _open_page(sandbox: EmbeddedSandbox, session: ServerSession) -> None:
    if params := session.client_params:
        sandbox.add_client(params.client_info.title or params.client_info.name)
    if sandbox.open_page() and session.can_send_request and _has_roots(session):
        sandbox.start_soon(_name_folder, sandbox, session)


def _has_roots(session: ServerSession) -> bool:
    return bool(session.client_capabilities and session.client_capabilities.roots)


async def _name_folder(sandbox: EmbeddedSandbox, session: ServerSession) -> None:
    """Name the folder that the client works in, if it tells; only the older era can be asked."""
    with suppress(MCPError, ValueError):
        found = await session.send_request(ListRootsRequest(), ListRootsResult)
        if found.roots:
            folder = unquote(urlsplit(str(found.roots[0].uri)).path)
            sandbox.set_folder(found.roots[0].name or folder.rstrip("/").rpartition("/")[2])
