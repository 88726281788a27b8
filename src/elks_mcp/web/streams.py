"""Open GET streams, which end only when something cancels them.

A client of the older era of the protocol opens one to receive notifications. Streams of the newer era end by
themselves when the server stops, with a last message.
"""

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send


class OpenStreams:
    """Cancels the open GET streams of an application."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()

    def wrap(self, inner: ASGIApp) -> ASGIApp:
        """Return an application whose GET streams `cancel_all` cancels."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] != "GET":
                await inner(scope, receive, send)
                return
            with anyio.CancelScope() as cancel_scope:
                self._scopes.add(cancel_scope)
                try:
                    await inner(scope, receive, send)
                finally:
                    self._scopes.discard(cancel_scope)

        return serve

    def cancel_all(self) -> None:
        """Cancel the streams that are open now."""
        for scope in self._scopes:
            scope.cancel()
