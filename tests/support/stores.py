"""Stores for tests, on a SQLite file or a real PostgreSQL, and the values that go into them."""

import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from elks_mcp.app_parts import CallParts
from elks_mcp.contacts.accepted import AcceptedContacts
from elks_mcp.contacts.source import ContactSource
from elks_mcp.domain.kinds import KINDS, Kinds
from elks_mcp.domain.models import Direction, Message, Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approver, Claim, Draft, Order, Receipt
from elks_mcp.domain.phone import Number
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.taint import TaintLog
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.own_numbers import OwnNumbers
from elks_mcp.inbound.history import FRESH, HistoryReader
from elks_mcp.inbound.webhook_addresses import callbacks_finder
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.sandbox import Sandbox
from elks_mcp.sending import Outbox, OutboxOptions
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.sending.orders import Orders
from elks_mcp.settings import Settings
from elks_mcp.store import AccountKey, Idle, Pace, StateLocation, Storage
from elks_mcp.store.queue import Queue
from elks_mcp.store.store import Store
from elks_mcp.store.values import DraftCheck, Refusal
from tests.support.clocks import HANG, ManualClock, SandboxClock, at_rest, keep_jumping, pass_time
from tests.support.provider import (
    NOON,
    OURS,
    PATIENCE,
    PHONE,
    UNLIMITED,
    URL,
    RecordingTransport,
    a_draft,
    an_approval,
    api_of,
    reporting_to,
)
from tests.support.state_folders import with_tables

OTHER_PHONE = Number("+46701740606")
ACCOUNT = AccountKey("http://localhost/a1", "u1")
PRICE = 5200
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
KEY = SecretStr("a secret of this test, long enough")
AUDIO_URL = "http://audio.localhost"
"""The origin of what calls play; nothing serves it, so they play silence."""

UNPACED = Pace(gap=timedelta(0), lease=timedelta(seconds=15))
"""No pace, and leases of 15 seconds."""

DATABASES = ("sqlite", "postgres")
EITHER_DATABASE = ("sqlite", pytest.param("postgres", marks=pytest.mark.long))
"""For tests whose outcome does not depend on the database, so that PostgreSQL is long."""

on_both_databases = pytest.mark.parametrize("location", DATABASES, indirect=True)
"""For locks, clocks, types, unique constraints, other connections; and once for each statement."""

_numbers = count(1)


def a_place(request: pytest.FixtureRequest, folder: Path) -> StateLocation:
    """Return a location for a store, of the kind that the fixture's parameter names."""
    if request.param == "sqlite":
        return with_tables(folder / "state")
    return StateLocation(url=SecretStr(request.getfixturevalue("postgres_with_tables")), key=KEY)


@asynccontextmanager
async def opened(
    location: StateLocation,
    clock: Clock | None = None,
    account: AccountKey = ACCOUNT,
    kinds: Kinds = KINDS,
) -> AsyncIterator[Store]:
    """Open a store, and close it at the end."""
    storage = Storage(location, account, clock, kinds)
    try:
        yield await storage.open()
    finally:
        await storage.close()


def allow(draft: Draft, price: Money, recall: Recall) -> None:
    """Allow everything."""


def unless_opted_out(draft: Draft, price: Money, recall: Recall) -> Refusal | None:
    """Refuse only recipients who opted out."""
    return Refusal("They said STOP.") if recall.opted_out else None


def within(budget: int) -> DraftCheck:
    """Return a check that refuses only what exceeds a daily budget, in units."""

    def check(draft: Draft, price: Money, recall: Recall) -> Refusal | None:
        return None if recall.spent + price.units <= budget else Refusal(f"{recall.spent} is spent.")

    return check


def account_of(state: object) -> AccountKey:
    """Return an account of its own for tests of one state."""
    return AccountKey(ACCOUNT.base_url, f"u-{state}")


async def place_one(store: Store, text: str = "Hej!", **more: Any) -> Order:
    """Place an order, which must not be a repeat."""
    placed = await store.orders.place(an_approval(a_draft(text, **more)), allow)
    assert not placed.is_repeat
    return placed.order


async def wait_one(store: Store, text: str = "Hej!", **more: Any) -> Order:
    """Place an order that waits for approval."""
    placed = await store.orders.place(an_approval(a_draft(text, **more), Approver.TERMINAL), allow)
    assert not placed.is_repeat
    return placed.order


async def claim_one(store: Store, pace: Pace = UNPACED) -> Claim:
    """Claim the next order, which must exist."""
    claim = await claim_next(store.queue, pace, allow)
    assert isinstance(claim, Claim)
    return claim


async def claim_next(
    queue: Queue, pace: Pace, check: DraftCheck, *, only: Collection[str] | None = None
) -> Claim | Idle:
    """Claim the next order, or return why there is none."""
    claims = await queue.claim(pace, check, only=only)
    if isinstance(claims, Idle):
        return claims
    [claim] = claims
    return claim


async def claim_new(store: Store, text: str = "Hej!", pace: Pace = UNPACED, **more: Any) -> Claim:
    """Place an order, and claim it."""
    order = await place_one(store, text, **more)
    claim = await claim_one(store, pace)
    assert claim.order_id == order.id
    return claim


def a_receipt(message_id: str = "", *, cost: int | None = PRICE, status: str = "created") -> Receipt:
    """Return a receipt of 46elks, with a unique id unless one is given."""
    return Receipt(
        message_id=message_id or f"s{next(_numbers):032x}",
        status=status,
        created_at=NOON,
        cost=None if cost is None else Money(cost, "SEK"),
        parts=1,
    )


def a_message(
    text: str | None = "Hej!",
    *,
    at: datetime = NOON,
    to: Number = PHONE,
    message_id: str = "",
    direction: Direction = Direction.OUTBOUND,
) -> Message:
    """Return a message of history, with a unique id; an inbound one comes from `to`."""
    ours, theirs = OURS.e164, to.e164
    inbound = direction is Direction.INBOUND
    return Message(
        id=message_id or f"s{next(_numbers):032x}",
        direction=direction,
        sender=theirs if inbound else ours,
        to=ours if inbound else theirs,
        created_at=at,
        status="received" if inbound else "sent",
        text=text,
        cost=None if inbound else Money(PRICE, "SEK"),
        parts=1,
    )


def said(text: str, *, at: datetime = NOON, by: Number = PHONE) -> Message:
    """Return a message that we received."""
    return a_message(text, at=at, to=by, direction=Direction.INBOUND)


def read_rows(location: StateLocation, question: str, *values: object) -> list[tuple[Any, ...]]:
    """Query a database directly, without our code."""
    if location.url:
        with psycopg.connect(location.url.get_secret_value()) as other:
            return other.execute(question.replace("?", "%s").encode(), values).fetchall()
    assert location.file
    with closing(sqlite3.connect(location.file)) as connection:
        return connection.execute(question, values).fetchall()


def change_rows(location: StateLocation, statement: str, *values: object) -> None:
    """Change a database directly, without our code."""
    if location.url:
        with psycopg.connect(location.url.get_secret_value()) as other:
            other.execute(statement.replace("?", "%s").encode(), values)
        return
    assert location.file
    with closing(sqlite3.connect(location.file)) as connection, connection:
        connection.execute(statement, values)


def is_unfinished(location: StateLocation, account: AccountKey = ACCOUNT) -> bool:
    """Return whether an account has unfinished orders."""
    question = """
        SELECT count(*) FROM orders JOIN accounts ON accounts.id = account_id
        WHERE username = ? AND state IN ('waiting', 'scheduled', 'queued', 'sending', 'in doubt')
    """
    return read_rows(location, question, account.username) != [(0,)]


def engine_of(store: Store) -> Engine:
    """Return the engine of a store, so that a test can watch its statements."""
    return store.database._engine


def files_with(folder: Path, words: str) -> list[str]:
    """Return the names of files below a folder that contain a text, in UTF-8 or UTF-16."""
    found = []
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = file.read_bytes()
        if any(words.encode(encoding) in content for encoding in ("utf-8", "utf-16-le", "utf-16-be")):
            found.append(file.name)
    return found


class World:
    """A 46elks, a clock and a state that outlive the processes of a test."""

    def __init__(self, location: StateLocation, **of_box: Any) -> None:
        self.place = location
        self.clock = ManualClock()
        self.box = Sandbox(clock=SandboxClock(self.clock), balance=10**9, **of_box)
        self.account = AccountKey(URL, f"u-{next(_numbers)}")
        """An account of its own, so that many worlds fit in one database."""


class WorldBackend:
    """The parts of one process between its tools and 46elks."""

    def __init__(
        self,
        world: World,
        *,
        policy: Policy = UNLIMITED,
        per_minute: float = 95,
        around: "Callable[[RecordingTransport], httpx2.AsyncBaseTransport]" = lambda transport: transport,
        report_to: Callable[[str], Awaitable[str]] | None = None,
        audio_url: str | None = AUDIO_URL,
        **more: Any,
    ) -> None:
        self.world = world
        self.clock = world.clock
        self.transport = RecordingTransport(world.box, world.clock)
        self.api = api_of(world.box, PATIENCE, world.clock, around(self.transport))
        self.client = ElksClient(self.api)
        self.storage = Storage(world.place, world.account, world.clock)
        own_numbers = OwnNumbers(self.client, world.clock)
        self.checks = DraftChecks(policy, own_numbers, AcceptedContacts(ContactSource()), world.clock)
        self.orders = Orders(self.client, self.storage, TaintLog(), self.checks)
        self.history = HistoryReader(self.client, self.storage, world.clock)
        self.reads_history = False
        """Whether history is read for opt-outs before something that waited goes out."""
        of_calls = self.client, self.storage, world.clock, Settings(), False, lambda: 5 * SECOND
        self.call_parts = CallParts(*of_calls)
        self.calls = self.call_parts.outcomes
        self.follows_calls = False
        """Whether 46elks is asked how calls end."""
        finder = callbacks_finder(None, self.storage, audio_url=audio_url)
        options = OutboxOptions(
            per_minute=per_minute,
            timeout=PATIENCE,
            refresh_history=self._refresh_history,
            find_callbacks=reporting_to(report_to) or finder,
            follow_calls=self._follow_calls,
            **{"quiet": 2 * MINUTE, **more},
        )
        self.outbox = Outbox.over(self.api.post, self.client, self.storage, self.checks, world.clock, options)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        """Open the store without a worker, and close it at the end."""
        try:
            with anyio.fail_after(HANG):
                yield await self.storage.open()
        finally:
            await self.storage.close()
            await self.api.aclose()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Store]:
        """Run the outbox, too. While it ends, the clock advances, so that hanging requests time out."""
        async with AsyncExitStack() as stack:
            ending = await stack.enter_async_context(background())
            store = await stack.enter_async_context(self.opened())
            await stack.enter_async_context(self.outbox.running())
            try:
                yield store
            finally:
                ending.start_soon(keep_jumping, self.clock)

    async def _refresh_history(self, good_for: timedelta = FRESH) -> None:
        if self.reads_history:
            await self.history.refresh(good_for)

    async def _follow_calls(self) -> None:
        if self.follows_calls:
            await self.calls.follow()

    async def rest(self) -> None:
        """Wait until this process is at rest."""
        await at_rest()

    async def pass_until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Advance the clock alarm by alarm until a condition is true."""
        await self.rest()
        while not await is_so():
            await self.clock.advance_to_next_alarm()
            await self.rest()

    async def pass_time(self, time: timedelta) -> None:
        """Advance the clock alarm by alarm."""
        await pass_time(self.clock, time)


async def until_somebody_waits(url: str) -> None:
    """Wait until a connection waits for the lock of another."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(url, autocommit=True) as other, anyio.fail_after(HANG):
        while other.execute(waiting).fetchall() == [(0,)]:
            await anyio.lowlevel.checkpoint()


class Killed(BaseException):
    """The simulated process died: nothing that it still does counts."""


class Steps:
    """Counts the steps of one process, and makes one of them fail."""

    def __init__(self, wrong: int | None = None, *, fatal: bool = False) -> None:
        self._wrong = wrong
        self._fatal = fatal
        self.is_dead = False
        self.taken: list[str] = []

    def die_in(self, number: int) -> None:
        """Make the process die at one of the next steps; 0 is the very next."""
        self._wrong, self._fatal = len(self.taken) + number, True

    def die(self) -> None:
        """Make the process die now."""
        self.is_dead = True

    def take(self, name: str, failure: Exception) -> None:
        """Take a step, unless it is the one that fails."""
        if self.is_dead:
            raise Killed
        self.taken.append(name)
        if len(self.taken) - 1 == self._wrong:
            self.is_dead = self._fatal
            raise Killed if self._fatal else failure

    def listen(self, store: Store) -> None:
        """Take a step for each statement and commit of a store."""

        def execute(_: object, __: object, statement: str, *___: object) -> None:
            self.take(statement, _broken())

        def commit(connection: Connection) -> None:
            self.take("commit", _broken())
            connection.connection.commit()
            self.take("committed", _broken())  # which its caller may never learn

        for engine in _engines_of(store):
            event.listen(engine, "before_cursor_execute", execute)
            event.listen(engine, "commit", commit)


def _engines_of(store: Store) -> list[Engine]:
    engines = [engine_of(store)]
    if store.database.is_postgres:  # which has an engine for single statements
        engines.append(store.database._statements)
    return engines


def _broken() -> OperationalError:
    return OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))


class StoreFault:
    """A fault of a store, and the number of statements that met it."""

    def __init__(self) -> None:
        self.met = 0
        self._over = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether statements pass."""
        return self._over.is_set()

    def end(self) -> None:
        """Let hanging statements continue, and later ones pass."""
        self._over.set()

    def hang(self) -> None:
        """Hang until the fault is over."""
        self._over.wait(HANG)


@contextmanager
def failing(
    store: Store, about: str = "", *, error: Callable[[], Exception] = _broken
) -> Iterator[StoreFault]:
    """Make a store's statements with `about` in their SQL fail, until the context ends."""
    fault = StoreFault()

    def fail() -> None:
        raise error()

    with _meeting(fault, store, about, fail):
        yield fault


@contextmanager
def hanging(store: Store, about: str = "") -> Iterator[StoreFault]:
    """Make a store's statements with `about` in their SQL hang.

    They hang until the fault or the context ends. Then they continue, unless a fault that was begun later
    makes them fail.
    """
    fault = StoreFault()
    with _meeting(fault, store, about, fault.hang):
        yield fault


@contextmanager
def _meeting(fault: StoreFault, store: Store, about: str, do: Callable[[], None]) -> Iterator[None]:
    def execute(_: object, __: object, statement: str, *___: object) -> None:
        if not fault.is_over and about in statement:
            fault.met += 1
            do()

    for engine in _engines_of(store):
        event.listen(engine, "before_cursor_execute", execute)
    try:
        yield
    finally:
        fault.end()  # the listener stays: a thread may be about to call it


class SteppedTransport(httpx2.AsyncBaseTransport):
    """A transport that takes a step for each request and for each answer."""

    def __init__(self, transport: RecordingTransport, steps: Steps) -> None:
        self._transport = transport
        self._steps = steps

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a request on, and its answer back."""
        name = f"{request.method} {request.url.path}"
        self._steps.take(name, httpx2.ConnectError("nobody there"))
        response = await self._transport.handle_async_request(request)
        self._steps.take(f"answer to {name}", httpx2.ReadError("cut"))
        return response


def is_death(error: BaseException) -> bool:
    """Return whether an error only means that the simulated process died."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_death(each) for each in error.exceptions)
    return isinstance(error, Killed)
