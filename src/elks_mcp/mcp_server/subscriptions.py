"""Subscriptions to resources: clients are notified of changes, in both eras of the protocol.

A notification says only that a resource changed; the client then reads it. Each stream watches what its own
caller can see, so a notification never reveals more than the caller can read.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
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
from elks_mcp.domain.caller_limits import Use
from elks_mcp.errors import NotFound, OverLimit, log_errors
from elks_mcp.mcp_server.resources import is_offered
from elks_mcp.runtime.tasks import background

log = logging.getLogger(__name__)

_MESSAGES, _BATCHES = "elks://messages/", "elks://batches/"

_MAX_STREAMS, _MAX_RESOURCES = 1024, 100
"""The most streams of all callers together, and the most resources of one stream."""

_POLL_INTERVAL = timedelta(seconds=1)
"""How often the store is read: notifications announce incoming texts and deliveries, but no other change."""

_STATE = "elks_mcp.watched"
_NOT_FOUND = "not found"
_FINAL_STATES = frozenset({"delivered", "failed", "received", _NOT_FOUND})
"""States of a text that never change, as 46elks or our orders name them."""

Ctx = ServerRequestContext[App, Any]
Notify = Callable[[str], Awaitable[None]]


class Subscriptions:
    """Watches resources for the clients that subscribe to them."""

    def __init__(self) -> None:
        self._tasks: TaskGroup | None = None
        self._buses: set[InMemorySubscriptionBus] = set()
        self.stream_count = 0
        """How many streams are open now."""

    def add_handlers(self, server: MCPServer[App]) -> None:
        """Register the handlers of subscription requests of both eras."""
        lowlevel = server._lowlevel_server  # noqa: SLF001  (MCPServer cannot register handlers)
        lowlevel.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self.listen)
        lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, self.subscribe)
        lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self.unsubscribe)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch for clients of the older era, until the context ends."""
        async with background() as self._tasks:
            yield
        self._tasks = None

    async def listen(self, ctx: Ctx, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Serve a stream of the newer era until the client closes it or the server stops."""
        uris = tuple(params.notifications.resource_subscriptions or ())
        if len(uris) > _MAX_RESOURCES:
            raise MCPError(INVALID_PARAMS, f"A stream can subscribe to {_MAX_RESOURCES} resources at most.")
        bus = InMemorySubscriptionBus()
        handler = ListenHandler(bus)

        async def notify(uri: str) -> None:
            await bus.publish(ResourceUpdated(uri=uri))

        async def watch_until_stopped(watch: _Watch) -> None:
            await watch.notify_changes(notify)
            handler.close()

        with self._count_stream(ctx.lifespan_context), self._announcing_on(bus):
            watch = await _Watch.start(ctx.lifespan_context, uris)
            async with background() as tasks:
                tasks.start_soon(watch_until_stopped, watch)
                return await handler(ctx, params)

    async def announce_lists(self) -> None:
        """Notify the clients of the newer era that listen for it that all lists have changed."""
        for bus in self._buses:
            for change in (ToolsListChanged(), PromptsListChanged(), ResourcesListChanged()):
                await bus.publish(change)

    @contextmanager
    def _announcing_on(self, bus: InMemorySubscriptionBus) -> Iterator[None]:
        self._buses.add(bus)
        try:
            yield
        finally:
            self._buses.remove(bus)

    async def subscribe(self, ctx: Ctx, params: SubscribeRequestParams) -> EmptyResult:
        """Notify a client of the older era of changes of a resource, on the stream that it has open."""
        connection = ctx.session._connection  # noqa: SLF001  (it outlives the request)
        if _STATE not in connection.state:
            connection.state[_STATE] = {}
            connection.exit_stack.callback(_cancel_all, connection.state[_STATE])
        watched: dict[str, anyio.CancelScope] = connection.state[_STATE]
        uri = str(params.uri)
        watch = await _Watch.start(ctx.lifespan_context, (uri,))
        if uri in watched or self._tasks is None:
            return EmptyResult()
        if len(watched) >= _MAX_RESOURCES:
            raise MCPError(INVALID_PARAMS, f"A session can subscribe to {_MAX_RESOURCES} resources at most.")
        with ExitStack() as counted:
            counted.enter_context(self._count_stream(ctx.lifespan_context))
            watched[uri] = anyio.CancelScope()
            self._tasks.start_soon(self._notify_session, watch, connection, watched[uri], counted.pop_all())
        return EmptyResult()

    async def _notify_session(
        self, watch: "_Watch", connection: Connection, scope: anyio.CancelScope, counted: ExitStack
    ) -> None:
        with (
            log_errors(log, "A session cannot be notified"),  # else the error would end the server
            suppress(anyio.ClosedResourceError, anyio.BrokenResourceError),  # the client is gone
            counted,
            scope,
        ):
            await watch.notify_changes(connection.send_resource_updated)

    async def unsubscribe(self, ctx: Ctx, params: UnsubscribeRequestParams) -> EmptyResult:
        """Stop notifying a client of the older era of a resource."""
        watched: dict[str, anyio.CancelScope] = ctx.session._connection.state.get(_STATE, {})  # noqa: SLF001
        if scope := watched.pop(str(params.uri), None):
            scope.cancel()
        return EmptyResult()

    @contextmanager
    def _count_stream(self, app: App) -> Iterator[None]:
        """Count one more stream of a caller until the context ends.

        Raises:
            MCPError: the caller, or all callers together, have as many streams as allowed.
        """
        if self.stream_count >= _MAX_STREAMS:
            raise MCPError(INTERNAL_ERROR, "Too many streams are open on this server. Try again later.")
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
    """Finds out whether resources have changed, as their caller sees them."""

    def __init__(self, app: App, uris: Sequence[str]) -> None:
        self._app = app
        self._seen: dict[str, str] = dict.fromkeys(uris, "")
        """The last known version of each resource, by URI; "" before the first."""

    @classmethod
    async def start(cls, app: App, uris: Sequence[str]) -> "_Watch":
        """Return a watch that knows how the resources are now, so that it finds the next change."""
        watch = cls(app, uris)
        await watch.find_changed(ask_provider=True)
        return watch

    async def notify_changes(self, notify: Notify) -> None:
        """Call `notify` with the URI of each resource that changes, until the server stops."""
        app, replies = self._app, self._app.replies
        ask_at = app.clock.now() + replies.poll
        while not replies.is_over:
            notified, now = app.storage.notifier.next_event, app.clock.now()
            ask_provider = now >= ask_at
            if ask_provider:
                ask_at = now + replies.poll
                await self._try_read_history()
            for uri in await self.find_changed(ask_provider=ask_provider):
                await notify(uri)
            await app.clock.wait_for(notified.wait(), until=min(ask_at, now + _POLL_INTERVAL))

    async def _try_read_history(self) -> None:
        """Record new messages, unless that was done within the poll interval."""
        if self._app.has_account and self._seen:
            with log_errors(log, "History cannot be read for subscriptions", level=logging.DEBUG):
                await self._app.replies.refresh()

    async def find_changed(self, *, ask_provider: bool) -> list[str]:
        """Return the URIs of resources that changed since the last call.

        `ask_provider`: whether 46elks is asked too, not only the store.
        """
        changed = []
        for uri, before in self._seen.items():
            now = await self._try_find_version(uri, before, ask_provider=ask_provider)
            if now and now != before:
                self._seen[uri] = now
                changed.append(uri)
        return changed

    async def _try_find_version(self, uri: str, before: str, *, ask_provider: bool) -> str:
        """Return a text that differs whenever the resource does; "" if it cannot be read now."""
        with log_errors(log, "A resource cannot be watched", level=logging.DEBUG):
            try:
                return await _find_version(self._app, uri, before, ask_provider=ask_provider)
            except NotFound:
                return _NOT_FOUND
        return ""


async def _find_version(app: App, uri: str, before: str, *, ask_provider: bool) -> str:
    if not is_offered(uri, app.policy.toolsets):
        return _NOT_FOUND
    if uri == "elks://inbox":
        return str(await app.replies.find_latest_position())
    if uri == "elks://policy":  # 46elks may be asked for its currency
        return (
            (await describe_policy(app)).model_dump_json(exclude={"opt_outs_read_until"})
            if ask_provider
            else ""
        )
    if uri.startswith(_MESSAGES):
        return await _find_message_version(
            app, uri.removeprefix(_MESSAGES), before, ask_provider=ask_provider
        )
    if uri.startswith(_BATCHES):
        return await _find_batch_version(app, uri.removeprefix(_BATCHES))
    return _NOT_FOUND


async def _find_batch_version(app: App, batch_id: str) -> str:
    """Return the state of a batch, the states of its rows, and the number of replies."""
    if not app.storage.exists:
        return _NOT_FOUND
    batch = await app.batches.get(batch_id)
    store = await app.storage.open()
    replies = await store.batches.count_replies(batch.id)
    counts = sorted(batch.counts.items())
    return f"{batch.state} {batch.is_approved} {counts} {batch.spent} {replies}"


async def _find_message_version(app: App, message_id: str, before: str, *, ask_provider: bool) -> str:
    """Return the state of a text. 46elks is asked only until the state is final."""
    order = await app.orders.find_order(message_id)
    if order is None:
        if not ask_provider or not app.has_account or before in _FINAL_STATES:
            return before
        return (await app.client.get_message(message_id)).status
    if ask_provider and app.has_account and order.receipt and order.state not in _FINAL_STATES:
        await app.history.record([await app.client.get_message(order.receipt.message_id)])
        order = await app.orders.find_order(message_id) or order
    return f"{order.state} {order.receipt}"
