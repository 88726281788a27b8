"""The transport for a client in the same process, without a socket; connections can break."""

import anyio
import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from elks_mcp.sandbox.api_app import IN_PROCESS, ConnectionLostError


class InProcessTransport(httpx2.AsyncBaseTransport):
    """An HTTPX transport that connects to the sandbox for any host in the URL.

    Unlike `httpx2.ASGITransport` it raises the errors of a socket: `ConnectError`, `ConnectTimeout`,
    `ReadError`, `RemoteProtocolError`, and `ReadTimeout` when the client's own time-out has passed.
    """

    def __init__(self, app: ASGIApp) -> None:
        async def marked(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "extensions": {IN_PROCESS: {}}}, receive, send)

        self._inner = httpx2.ASGITransport(app=marked)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request` to the sandbox."""
        try:
            with anyio.fail_after(request.extensions.get("timeout", {}).get("read")):
                return await self._inner.handle_async_request(request)
        except TimeoutError:
            raise httpx2.ReadTimeout("the sandbox did not answer in time", request=request) from None
        except ConnectionLostError as lost:
            raise lost.loss.value(f"sandbox: {lost}", request=request) from None
