"""Open GET streams, which end only when something cancels them.

A client of the older era of the protocol opens one to receive notifications. Streams of the newer era end by
themselves when the server stops, with a last message.
"""

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class OpenStreams:
    """Cancels the open GET streams of an application, and refuses further ones."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
        self._is_closed = False

    def wrap(self, inner: ASGIApp) -> ASGIApp:
        """Return an application whose GET streams `close` ends."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] != "GET":
                await inner(scope, receive, send)
                return
            if self._is_closed:  # its token was being verified when the server began to stop
                await Response(status_code=503)(scope, receive, send)
                return
            with anyio.CancelScope() as cancel_scope:
                self._scopes.add(cancel_scope)
                try:
                    await inner(scope, receive, send)
                finally:
                    self._scopes.discard(cancel_scope)

        return serve

    def close(self) -> None:
        """Cancel the streams that are open now. Later ones are refused with 503."""
        self._is_closed = True
        for scope in self._scopes:
            scope.cancel()
