"""A simulated 46elks in which things go wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from urllib.parse import parse_qs, urlsplit

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tests.sandbox.serving import serve

from crash.front import Front
from crash.plan import OURS, PRICE, Plan
from elks_mcp.sandbox import SAMPLE, Fault, Rules, Sandbox
from elks_mcp.sandbox.requests import ApiRequest

_RICH = 10**12

_PAID = {
    Fault.DROP_AFTER: 3,
    Fault.ERROR_AFTER: 3,
    Fault.ACCEPT_LATE: 4,
    Fault.ACCEPT_LATE_DROP: 5,
    Fault.DROP_BEFORE: 2,
    Fault.ERROR_BEFORE: 1,
    Fault.UNAVAILABLE: 1,
    Fault.HALF_BODY: 1,
    Fault.EMPTY: 1,
    Fault.MISSING_ID: 1,
    Fault.READ_TIMEOUT: 1,
    Fault.HANG: 1,
    Fault.LATENCY: 2,
    Fault.TOO_MANY_REQUESTS: 1,
}
"""The faults of paid requests, with their relative frequency."""

_ENOUGH_LATE = 10
_LATE = {Fault.ACCEPT_LATE: 1, Fault.ACCEPT_LATE_DROP: 3}
"""The same for the lane whose quiet period is too short, which must show duplicates."""

_HISTORY = {Fault.STALE_HISTORY: 3, Fault.ERROR_BEFORE: 1, Fault.DROP_BEFORE: 1, Fault.LATENCY: 1}

_BETWEEN_PAID, _BETWEEN_LATE, _BETWEEN_HISTORY = 2, 1.5, 5
"""The average number of requests without a fault between two with one."""


@dataclass
class Provider:
    """The sandbox, its faults, and the requests that it received."""

    plan: Plan
    box: Sandbox = field(init=False)
    url: str = field(init=False)
    front: Front = field(init=False)
    is_calm: bool = False
    injected: dict[str, int] = field(default_factory=dict)
    lookalikes: set[tuple[str, str]] = field(default_factory=set)
    _random: Random = field(init=False)
    _arrived: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.box = Sandbox(balance=_RICH, number=OURS, rules=Rules(mms_price=PRICE))
        self.box.app = self._watched(self.box.app)
        self._random = self.plan.random("faults")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve the sandbox on this machine inside the context."""
        async with serve(self.box) as url, anyio.create_task_group() as group:
            self.front = Front(lambda: urlsplit(url).port or 0)
            self.url = f"http://127.0.0.1:{await group.start(self.front.run)}/a1"
            try:
                yield
            finally:
                self.box.release()
                group.cancel_scope.cancel()

    def calm(self) -> None:
        """Stop all faults, except in the lane that must fail."""
        if self.plan.is_sound:
            self.is_calm = True
            self.box.faults.clear()

    async def arrival(self) -> None:
        """Wait until the next paid request has arrived."""
        await self._arrived.wait()

    def add_lookalike(self, to: str, text: str, *, has_picture: bool) -> None:
        """Add a foreign text or MMS to history that could be ours, changed on its way."""
        self.lookalikes.add((to, text))
        if has_picture:  # the server draws its own pictures, so the bytes of this one differ
            self.box.add_history(datetime.now(UTC), to=to, text=text, pictures=[SAMPLE.content])
        else:
            self.box.add_history(datetime.now(UTC), to=to, text=text.upper())

    @property
    def paid(self) -> list[ApiRequest]:
        """The requests that cost money if they are accepted, in order."""
        posts = (request for request in self.box.requests if request.method == "POST")
        return [post for post in posts if "message" in post.form and post.form.get("dryrun") != "yes"]

    def _watched(self, app: ASGIApp) -> ASGIApp:
        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["method"] == "POST":
                receive = self._listening(receive)
            self._schedule_faults()
            await app(scope, receive, send)

        return watched

    def _listening(self, receive: Receive) -> Receive:
        async def listening() -> Message:
            event = await receive()
            form = parse_qs(event.get("body", b""))
            if b"message" in form and b"dryrun" not in form:
                arrived, self._arrived = self._arrived, anyio.Event()
                arrived.set()
            return event

        return listening

    def _schedule_faults(self) -> None:
        """Schedule the next fault, for texts and for history."""
        if self.is_calm:
            return
        waiting = {fault.method for fault in self.box.faults.waiting}
        if not self.plan.is_sound:
            if not waiting and sum(self.injected.values()) < _ENOUGH_LATE:
                self._inject(_LATE, "POST", _BETWEEN_LATE)
            return
        if "POST" not in waiting:
            self._inject(_PAID, "POST", _BETWEEN_PAID)
        if "GET" not in waiting:
            self._inject(_HISTORY, "GET", _BETWEEN_HISTORY)

    def _inject(self, kinds: dict[Fault, int], method: str, between: float) -> None:
        [fault] = self._random.choices(list(kinds), list(kinds.values()))
        self.injected[fault.value] = self.injected.get(fault.value, 0) + 1
        self.box.faults.inject(
            fault,
            method="POST" if method == "POST" else "GET",
            path="/[sm]ms",
            dryrun=False if method == "POST" else None,
            skip=int(self._random.expovariate(1 / between)),
            duration=self._duration(fault),
            retry_after=1 if fault is Fault.TOO_MANY_REQUESTS else None,
        )

    def _duration(self, fault: Fault) -> timedelta | None:
        if fault in {Fault.ACCEPT_LATE, Fault.ACCEPT_LATE_DROP}:
            return timedelta(seconds=self.plan.provider_delay * self._random.uniform(0.6, 1))
        if fault is Fault.STALE_HISTORY:
            return timedelta(seconds=self.plan.lag)
        if fault is Fault.LATENCY:
            return timedelta(seconds=self._random.uniform(0, self.plan.timeout))
        return None
