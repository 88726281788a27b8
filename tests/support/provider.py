"""Our side of the connection to 46elks, over a sandbox or a socket."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx2
from pydantic import SecretStr

from elks_mcp.contacts.accepted import AcceptedContacts
from elks_mcp.contacts.source import ContactSource
from elks_mcp.domain.callbacks import Callbacks, FindCallbacks
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approval, Approver, Claim, Draft, Estimate, Order, OrderState, Quote
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.taint import TaintLog
from elks_mcp.elks.client import MOST_PAGES, ElksClient
from elks_mcp.elks.credentials import Credentials
from elks_mcp.elks.dispatch import Dispatcher
from elks_mcp.elks.own_numbers import OwnNumbers
from elks_mcp.elks.transport import Api
from elks_mcp.inbound.history import HistoryReader
from elks_mcp.runtime.clock import Clock
from elks_mcp.runtime.tasks import background
from elks_mcp.sandbox import ApiRequest, Sandbox
from elks_mcp.sending import Outbox, OutboxOptions
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.sending.orders import Orders
from elks_mcp.store import AccountKey, Placed, StateLocation, Storage
from tests.support.clocks import HANG, ManualClock, SandboxClock, at_rest, autojump, keep_jumping

OURS = Number("+46701740699")
PHONE = Number("+46701740605")
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""The time at which a ManualClock begins."""

PATIENCE = timedelta(seconds=5)
URL = "http://localhost/a1"


SOON = timedelta(seconds=0.3)
"""The time limit of a Backend's requests to 46elks, by its clock."""

UNLIMITED = Policy(dry_run=False, sender=OURS, budget_per_day=10**12, max_per_number=100_000)


def api_of(
    box: Sandbox,
    timeout: timedelta = PATIENCE,
    clock: Clock | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> Api:
    """Return the API of a sandbox in this process. Without a clock, its time does not move."""
    return Api(
        Credentials(box.username, SecretStr(box.password)),
        base_url=URL,
        timeout=timeout,
        transport=transport or box.transport(),
        clock=clock or ManualClock(),
    )


def account_of(box: Sandbox) -> AccountKey:
    """Return the account whose orders go to a sandbox."""
    return AccountKey(URL, box.username)


def client_of(box: Sandbox) -> ElksClient:
    """Return a client of a sandbox in this process."""
    return ElksClient(api_of(box))


def a_draft(
    text: str = "Hej!",
    *,
    to: Number = PHONE,
    key: str | None = None,
    flash: bool = False,
    send_at: datetime | None = None,
) -> Draft:
    """Return a draft of a text from our number to a handset of the sandbox."""
    payload = Sms(text=text, flash=flash)
    return Draft(to=to, payload=payload, sender=OURS, idempotency_key=key, send_at=send_at)


def an_approval(draft: Draft, approver: Approver = Approver.POLICY, *, price: int = 5200) -> Approval:
    """Return an approval as the tools make it, without asking 46elks for the price."""
    quote = Quote(
        draft=draft,
        estimate=Estimate(price=Money(price, "SEK"), parts=1),
        findings=(),
        quoted_at=NOON,
    )
    return Approval(quote=quote, approver=approver)


def a_claim(draft: Draft) -> Claim:
    """Return a claim as the queue makes it, of an order that is in no store."""
    return Claim(
        order_id="O-22222222", attempt=1, lease="lease", draft=draft, currency="SEK", wait=timedelta()
    )


class Permission:
    """A permission to send that ends after `answers` checks, and counts them."""

    def __init__(self, answers: int) -> None:
        self.asked = 0
        self._answers = answers

    async def holds(self) -> bool:
        """Return whether checks are left."""
        return self.is_in_time()

    def is_in_time(self) -> bool:
        """Return whether checks are left."""
        self.asked += 1
        return self.asked <= self._answers


def a_permission() -> Permission:
    """Return a permission to send that does not end."""
    return Permission(10**9)


def posts(box: Sandbox, *, dry_run: bool = False) -> list[ApiRequest]:
    """List the POSTs of /sms that reached 46elks: the paid ones, or the dry runs."""
    found = [each for each in box.requests if (each.method, each.path) == ("POST", "/a1/sms")]
    return [each for each in found if (each.form.get("dryrun") == "yes") is dry_run]


def gets(box: Sandbox, path: str) -> list[ApiRequest]:
    """List the GETs of a path that reached 46elks."""
    return [each for each in box.requests if (each.method, each.path) == ("GET", f"/a1{path}")]


_NO_TIME, _A_WHILE = timedelta(), timedelta(minutes=5)


class RecordingTransport(httpx2.AsyncBaseTransport):
    """A transport to a sandbox that records when each request left."""

    def __init__(self, box: Sandbox, clock: Clock) -> None:
        self._inner = box.transport()
        self._clock = clock
        self.tries: list[tuple[str, datetime]] = []
        """Each request, such as `POST /a1/sms`, and its time, also if it never arrives."""

    def tried(self, request: str) -> list[datetime]:
        """List the times at which a request left."""
        return [at for each, at in self.tries if each == request]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Record a request, and pass it on."""
        self.tries.append((f"{request.method} {request.url.path}", self._clock.now()))
        return await self._inner.handle_async_request(request)


def reporting_to(address: Callable[[str], Awaitable[str]] | None) -> FindCallbacks | None:
    """Return what finds the address for the report of an order."""
    return Reporting(address) if address else None


class Reporting:
    """Finds the address for the report of an order; `address` returns it by the order's id."""

    serves_audio = False

    def __init__(self, address: Callable[[str], Awaitable[str]]) -> None:
        self._address = address

    async def __call__(self, claim: Claim) -> Callbacks:
        """Return the address."""
        return Callbacks(report=await self._address(claim.order_id))


class Backend:
    """The parts of one process between its tools and 46elks.

    Several can share a folder and a sandbox.
    """

    most_pages = MOST_PAGES
    """The number of pages of history that it reads."""

    def __init__(
        self,
        folder: Path,
        *,
        beside: "Backend | None" = None,
        policy: Policy = UNLIMITED,
        per_minute: int = 95,
        quiet: timedelta = timedelta(seconds=120),
        only_own: bool = False,
        report_to: Callable[[str], Awaitable[str]] | None = None,
        dispatcher: type[Dispatcher] = Dispatcher,
    ) -> None:
        self.folder = folder
        self.clock: ManualClock = beside.clock if beside else ManualClock()
        self.box: Sandbox = beside.box if beside else Sandbox(clock=SandboxClock(self.clock), balance=10**9)
        self.transport = RecordingTransport(self.box, self.clock)
        self.api = api_of(self.box, SOON, self.clock, self.transport)
        self.client = ElksClient(self.api, most_pages=self.most_pages)
        self.storage = Storage(StateLocation(folder=folder), account_of(self.box), self.clock)
        self.taint_log = TaintLog()
        self.history = HistoryReader(self.client, self.storage, self.clock)
        self.checks = DraftChecks(
            policy, OwnNumbers(self.client, self.clock), AcceptedContacts(ContactSource()), self.clock
        )
        self.orders = Orders(self.client, self.storage, self.taint_log, self.checks)
        self.options = OutboxOptions(
            per_minute=per_minute,
            timeout=SOON,
            quiet=quiet,
            only_own=only_own,
            find_callbacks=reporting_to(report_to),
        )
        self.dispatcher = dispatcher(self.api.post, reporting_to(report_to))
        self.outbox = Outbox(
            self.client, self.storage, self.dispatcher, self.checks, self.clock, self.options
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Backend"]:
        """Open the store without a worker, and close it at the end."""
        try:
            with anyio.fail_after(HANG):
                yield self
        finally:
            await self.storage.close()
            await self.api.aclose()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Backend"]:
        """Run the outbox, too. While it ends, the clock advances, so that hanging requests time out."""
        async with AsyncExitStack() as stack:
            ending = await stack.enter_async_context(background())
            await stack.enter_async_context(self.opened())
            await stack.enter_async_context(self.outbox.running())
            try:
                yield self
            finally:
                ending.start_soon(keep_jumping, self.clock)

    async def place(
        self, text: str = "Text 1", *, to: Number = PHONE, key: str | None = None, hand_over: bool = True
    ) -> Order:
        """Place an order as the tools do, or only queue it, as another process would."""
        approval = an_approval(a_draft(text, to=to, key=key))
        placing = self.outbox.place(approval, self.orders) if hand_over else self.orders.place(approval)
        return (await placing).order

    async def approve(self, order: Order) -> Placed:
        """Release an order that waits for a person; nothing is handed to the worker."""
        store = await self.storage.open()
        return await store.orders.approve(order.id, self.checks.recheck)

    async def cancel(self, order: Order, why: str) -> Order:
        """Cancel an order; return how it stands."""
        store = await self.storage.open()
        return await store.cancellations.cancel(order.id, why)

    async def wait(self, order: Order) -> Order:
        """Wait for an order as a caller does. The clock advances, so that hanging requests time out."""
        async with autojump(self.clock):
            return await self.outbox.wait(order, timedelta(days=1))

    async def find(self, order: Order) -> Order:
        """Return an order in its present state."""
        return await (await self.storage.open()).orders.get(order.id)

    async def rest(self) -> None:
        """Wait until this process is at rest."""
        await at_rest()

    async def pass_until(self, is_so: Callable[[], Awaitable[bool]], stride: timedelta = _NO_TIME) -> None:
        """Advance the clock to the next alarm, or by a longer `stride`, until a condition is true."""
        await self.rest()
        while not await is_so():
            self.clock.advance(max(await self.clock.next_alarm() - self.clock.now(), stride))
            await self.rest()

    async def pass_time(self, time: timedelta) -> None:
        """Advance the clock alarm by alarm, or a long time in sixty strides."""
        end = self.clock.now() + time
        stride = time / 60 if time > _A_WHILE else _NO_TIME

        async def is_over() -> bool:
            return self.clock.next_at is None or max(self.clock.next_at, self.clock.now() + stride) > end

        await self.pass_until(is_over, stride)
        self.clock.advance(end - self.clock.now())
        await self.rest()

    async def settled(self, order: Order, stride: timedelta = _NO_TIME) -> Order:
        """Advance the clock until an order is neither queued, sending nor in doubt; return it."""

        async def is_settled() -> bool:
            return (await self.find(order)).state not in _UNSETTLED

        await self.pass_until(is_settled, stride)
        return await self.find(order)


_UNSETTLED = {OrderState.QUEUED, OrderState.SENDING, OrderState.IN_DOUBT}
