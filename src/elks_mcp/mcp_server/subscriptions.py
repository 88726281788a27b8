"""Telling clients that a resource has changed: those they listen to, in both eras of the protocol.

A client is told that something changed, and reads what. Each stream watches what its own caller can see, so
nobody learns from an update what they could not read.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from elks_mcp.answers.policy import describe_policy
from elks_mcp.app import App
from elks_mcp.domain.limits import Use
from elks_mcp.errors import ElksError, NotFound, OverLimit
from elks_mcp.runtime.tasks import background

log = logging.getLogger(__name__)

_MESSAGES = "elks://messages/"

_MOST_STREAMS, _MOST_WATCHED = 1024, 100
"""How many streams there may be, and how many resources one may be about."""

_POLL_INTERVAL = timedelta(seconds=1)
"""Between two looks into the store; the bell rings for what comes in or is delivered, and nothing else."""

_STATE = "elks_mcp.watched"
_NOT_THERE = "not there"
_LAST_WORDS = frozenset({"delivered", "failed", "received", _NOT_THERE})
"""After which nothing changes any more: what 46elks says of a text, and our states of the same names."""

Ctx = ServerRequestContext[App, Any]
Notify = Callable[[str], Awaitable[None]]


class Subscriptions:
    """Watches for clients, for as long as they listen."""

    def __init__(self) -> None:
        self._tasks: TaskGroup | None = None
        self.stream_count = 0
        """How many listen now."""

    def add_handlers(self, server: MCPServer[App]) -> None:
        """Answer what clients of both eras ask."""
        lowlevel = server._lowlevel_server  # noqa: SLF001  (MCPServer passes no handler of ours on)
        lowlevel.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self.listen)
        lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, self.subscribe)
        lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self.unsubscribe)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch for clients of the older era, for as long as the context lasts."""
        async with background() as self._tasks:
            yield
        self._tasks = None

    async def listen(self, ctx: Ctx, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Serve a stream of the newer era, until the client hangs up or the server stops."""
        uris = tuple(params.notifications.resource_subscriptions or ())
        if len(uris) > _MOST_WATCHED:
            raise MCPError(INVALID_PARAMS, f"A stream can be about {_MOST_WATCHED} resources at most.")
        bus = InMemorySubscriptionBus()
        handler = ListenHandler(bus)

        async def tell(uri: str) -> None:
            await bus.publish(ResourceUpdated(uri=uri))

        async def follow(watch: _Watch) -> None:
            await watch.follow(tell)
            handler.close()

        with self._place_for(ctx.lifespan_context):
            watch = await _Watch.begin(ctx.lifespan_context, uris)
            async with background() as tasks:
                tasks.start_soon(follow, watch)
                return await handler(ctx, params)

    async def subscribe(self, ctx: Ctx, params: SubscribeRequestParams) -> EmptyResult:
        """Tell a client of the older era of a resource from now on, on the stream it has open."""
        connection = ctx.session._connection  # noqa: SLF001  (what outlives the request)
        if _STATE not in connection.state:
            connection.state[_STATE] = {}
            connection.exit_stack.callback(_cancel_all, connection.state[_STATE])
        watched: dict[str, anyio.CancelScope] = connection.state[_STATE]
        uri = str(params.uri)
        watch = await _Watch.begin(ctx.lifespan_context, (uri,))
        if uri in watched or self._tasks is None:
            return EmptyResult()
        if len(watched) >= _MOST_WATCHED:
            raise MCPError(INVALID_PARAMS, f"{_MOST_WATCHED} resources at most can be subscribed to.")
        with ExitStack() as location:
            location.enter_context(self._place_for(ctx.lifespan_context))
            watched[uri] = anyio.CancelScope()
            self._tasks.start_soon(self._follow, watch, connection, watched[uri], location.pop_all())
        return EmptyResult()

    async def _follow(
        self, watch: "_Watch", connection: Connection, scope: anyio.CancelScope, location: ExitStack
    ) -> None:
        try:
            with location, scope:
                await watch.follow(connection.send_resource_updated)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # the client is gone
        except Exception:  # which would end the whole server
            log.exception("telling of changes has a fault of its own")

    async def unsubscribe(self, ctx: Ctx, params: UnsubscribeRequestParams) -> EmptyResult:
        """Tell it no more."""
        watched: dict[str, anyio.CancelScope] = ctx.session._connection.state.get(_STATE, {})  # noqa: SLF001
        if scope := watched.pop(str(params.uri), None):
            scope.cancel()
        return EmptyResult()

    @contextmanager
    def _place_for(self, app: App) -> Iterator[None]:
        """Count one more stream of a caller until the context ends.

        Raises:
            MCPError: the caller has as many as it may, or all callers together have.
        """
        if self.stream_count >= _MOST_STREAMS:
            raise MCPError(INTERNAL_ERROR, "There are too many streams already. Try again in a while.")
        try:
            with app.share.hold(Use.STREAMS):
                self.stream_count += 1
                try:
                    yield
                finally:
                    self.stream_count -= 1
        except OverLimit as over:
            raise MCPError(INTERNAL_ERROR, over.explain()) from None


def _cancel_all(watched: Mapping[str, anyio.CancelScope]) -> None:
    for scope in watched.values():
        scope.cancel()


class _Watch:
    """Looks whether resources have changed, as their caller sees them."""

    def __init__(self, app: App, uris: Sequence[str]) -> None:
        self._app = app
        self._seen: dict[str, str] = dict.fromkeys(uris, "")

    @classmethod
    async def begin(cls, app: App, uris: Sequence[str]) -> "_Watch":
        """Note how they are now; what changes from here on is told."""
        watch = cls(app, uris)
        await watch.look(ask=True)
        return watch

    async def follow(self, tell: Notify) -> None:
        """Tell of changes until the server stops."""
        app, replies = self._app, self._app.replies
        ask_at = app.clock.now() + replies.poll
        while not replies.is_over:
            woken, now = app.storage.notifier.next_event, app.clock.now()
            asks = now >= ask_at
            if asks:
                ask_at = now + replies.poll
                await self._read_history()
            for uri in await self.look(ask=asks):
                await tell(uri)
            await app.clock.wait_for(woken.wait(), until=min(ask_at, now + _POLL_INTERVAL))

    async def _read_history(self) -> None:
        """Hear what is new, where nobody did lately; what cannot be read now is tried again."""
        if self._app.has_account and self._seen:
            try:
                await self._app.replies.refresh()
            except ElksError:
                pass
            except Exception:  # which would end the whole server
                log.exception("reading history for who listens has a fault of its own")

    async def look(self, *, ask: bool) -> list[str]:
        """Look at all; list those that have changed. `ask`: ask 46elks too."""
        changed = []
        for uri, before in self._seen.items():
            now = await self._try_describe(uri, before, ask=ask)
            if now and now != before:
                self._seen[uri] = now
                changed.append(uri)
        return changed

    async def _try_describe(self, uri: str, before: str, *, ask: bool) -> str:
        """Say how a resource is, in words that change when it does; "" where nobody can tell."""
        try:
            return await _describe(self._app, uri, before, ask=ask)
        except NotFound:
            return _NOT_THERE
        except ElksError:
            return ""
        except Exception:  # which would end the whole server
            log.exception("watching resources has a fault of its own")
            return ""


async def _describe(app: App, uri: str, before: str, *, ask: bool) -> str:
    if uri == "elks://inbox":
        return str(await app.replies.find_latest_position())
    if uri == "elks://policy":  # 46elks may be asked for its currency
        return (await describe_policy(app)).model_dump_json(exclude={"stops_heard_until"}) if ask else ""
    if uri.startswith(_MESSAGES):
        return await _describe_message(app, uri.removeprefix(_MESSAGES), before, ask=ask)
    return _NOT_THERE


async def _describe_message(app: App, number: str, before: str, *, ask: bool) -> str:
    """Say how a text is; 46elks is asked only until it has had its last word."""
    order = await app.orders.find_order(number)
    if order is None:
        if not ask or not app.has_account or before in _LAST_WORDS:
            return before
        return (await app.client.get_message(number)).status
    if ask and app.has_account and order.receipt and order.state not in _LAST_WORDS:
        await app.history.record([await app.client.get_message(order.receipt.message_id)])
        order = await app.orders.find_order(number) or order
    return f"{order.state} {order.receipt}"
