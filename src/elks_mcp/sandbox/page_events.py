"""The event stream of an open page: the state, and then each change to it.

https://html.spec.whatwg.org/multipage/server-sent-events.html: the browser connects again by itself.
"""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import anyio

from elks_mcp.sandbox import call_views, views
from elks_mcp.sandbox.clock import first_of
from elks_mcp.sandbox.page_context import PageContext, ShownBatch, WaitingText
from elks_mcp.sandbox.simulation import Simulation

log = logging.getLogger(__name__)

Content = dict[str, Any]

_RECONNECT_AFTER = timedelta(milliseconds=500)
_COLLECT = timedelta(milliseconds=100)
"""Changes that follow each other within this time are one event."""
_LOOK_EVERY = timedelta(seconds=1)
"""Waiting texts, batches, title and snippets are looked up this often: they send no notification."""
_UNKNOWN = object()
"""The version of an item that a page does not have. It equals no other; that of an incoming text is None."""


class _StreamItem(NamedTuple):
    """Something that a page shows, and a version that differs once it has changed."""

    kind: str
    key: str
    version: object
    build: Callable[[], object]


class PageEvents:
    """The events that bring one open page up to date.

    Args:
        run: names this run of the sandbox, so that a page can tell that another one has taken its place.
    """

    def __init__(self, simulation: Simulation, page: PageContext, run: str) -> None:
        self._simulation, self._page, self._run = simulation, page, run
        self._known: dict[tuple[str, str], object] = {}
        self._summary: Content = {}
        self._waiting: Sequence[WaitingText | ShownBatch] = []
        self._waiting_version = 0
        self._has_failed = False

    async def stream(self) -> AsyncIterator[str]:
        """Yield the events until the sandbox ends them; the first has the whole state."""
        ending = self._simulation.ending
        yield f"retry: {_RECONNECT_AFTER // timedelta(milliseconds=1)}\n\n"
        while not ending.is_set():
            update = self._simulation.update
            await self._look_for_waiting()
            if event := self._next_event():
                yield event
            with anyio.move_on_after(_LOOK_EVERY.total_seconds()):
                await first_of(update.wait, ending.wait)
            with anyio.move_on_after(_COLLECT.total_seconds()):
                await ending.wait()

    async def _look_for_waiting(self) -> None:
        """Look up what waits, and batches; if the program cannot list them, keep what was known."""
        approvals = self._page.approvals
        waiting: Sequence[WaitingText | ShownBatch] = []
        try:
            if approvals:
                waiting = [*await approvals.list_waiting(), *await approvals.list_batches()]
        except Exception:  # whatever fails there, the phones are shown
            if not self._has_failed:
                log.exception("The texts that wait for a person cannot be listed")
            self._has_failed = True
            return
        self._has_failed = False
        if waiting != self._waiting:
            self._waiting, self._waiting_version = waiting, self._waiting_version + 1

    def _next_event(self) -> str | None:
        """Return the event with what has changed since the last one, or None if nothing has."""
        self._simulation.catch_up()
        items = list(self._list_items())
        current = {(item.kind, item.key): item.version for item in items}
        is_first_or_shrunk = not self._known or not self._known.keys() <= current.keys()
        known = {} if is_first_or_shrunk else self._known
        changed: Content = {}
        for item in items:
            if known.get((item.kind, item.key), _UNKNOWN) != item.version:
                changed.setdefault(item.kind, []).append(item.build())
        summary = self._summarize()
        if summary != self._summary:
            changed["summary"] = summary
        self._known, self._summary = current, summary
        if is_first_or_shrunk:
            whole = {"choices": views.choices(), "summary": summary} | changed
            return _format_event("state", whole)
        return _format_event("change", changed) if changed else None

    def _summarize(self) -> Content:
        return views.summary(self._simulation) | {
            "run": self._run,
            "title": self._page.title,
            "snippets": dict(self._page.snippets),
            "waiting": self._waiting_version,
            "takes_approvals": self._page.approvals is not None,
        }

    def _list_items(self) -> Iterator[_StreamItem]:
        network = self._simulation.network
        underway = views.find_underway(network)
        for number, phone in network.handsets.items():
            pending = underway.get(number, [])
            sending = ((entry.id, entry.status) for entry in pending)
            version = (len(phone.texts), phone.behaviour, phone.calls, *sending)
            yield _StreamItem("phones", number, version, partial(views.handset, phone, pending))
        for entry in network.log:
            build = partial(views.detailed_message, self._simulation, entry)
            yield _StreamItem("messages", entry.id, entry.status, build)
        for call in self._simulation.exchange.log:
            build = partial(call_views.call, self._simulation, call)
            yield _StreamItem("calls", call.id, call_views.version(call), build)
        for asked in self._simulation.recent_requests:
            version = (asked.status, asked.fault, asked.message_id)
            yield _StreamItem("requests", str(asked.id), version, partial(views.request, asked))
        for number in views.find_numbers(self._simulation):
            build = partial(views.number, number, self._simulation.own.number)
            yield _StreamItem("numbers", number, number, build)


def _format_event(name: str, content: Content) -> str:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n"
