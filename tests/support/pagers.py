"""An on-call team whose agent pages people, on a sandbox of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from elks_mcp.domain.alerts import Alert
from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.domain.policy import Policy
from elks_mcp.runtime.metrics import Counters
from elks_mcp.sandbox import Fault
from elks_mcp.sending.plan import Decision, Planner
from elks_mcp.store import StateLocation
from elks_mcp.store.calls import StoredAudio
from elks_mcp.workflows.alert_plans import AlertPlanner, AlertRequest
from elks_mcp.workflows.alerts import AlertNeedsApproval, AlertReady, AlertRepeated, Alerts
from elks_mcp.workflows.escalation import EscalationParts, Escalations, FindDigits
from elks_mcp.workflows.policy_files import PolicyFile, read_policies
from tests.support.clocks import ManualClock
from tests.support.provider import UNLIMITED, posts
from tests.support.shops import ShopSetup
from tests.support.stores import World, WorldBackend

FIRST, SECOND_PERSON, THIRD = (Number(f"+467017406{number:02}") for number in (20, 21, 22))

PAGING = f"""
policies:
  jour:
    steps:
      - {{whom: {FIRST.e164}, by: sms, wait: 5}}
      - {{whom: {SECOND_PERSON.e164}, by: sms, wait: 10}}
    cost_cap: 50
"""
POLL = timedelta(seconds=10)
CALL_PRICE = 8000
"""The price of a started minute at most."""


class Pager:
    """One process of an on-call team."""

    def __init__(self, backend: WorldBackend, paging: str = PAGING, **more: Any) -> None:
        self.backend = backend
        self.paging = paging
        self.counters = Counters()
        self.find_digits: FindDigits = more.pop("find_digits", self._read_digits)
        poll: timedelta = more.pop("poll", POLL)
        self.audio = ""
        """The digest of what calls play; "" if 46elks speaks."""
        backend.follows_calls = True
        self.contacts = Contacts()
        parts = EscalationParts(
            storage=backend.storage,
            outbox=backend.outbox,
            checks=backend.checks,
            clock=backend.clock,
            counters=self.counters,
            refresh_history=backend.history.refresh,
            poll=lambda: poll,
            find_digits=self.find_digits,
            prepare_call=self._speak,
            call_listeners=backend.call_parts.listeners,
        )
        self.escalations = Escalations(parts, is_enabled=True)
        planner = Planner(
            orders=backend.orders,
            outbox=backend.outbox,
            storage=backend.storage,
            clock=backend.clock,
            find_recipient=self._find,
            refresh_history=backend.history.refresh,
            setup=ShopSetup(),
        )
        self.planner = AlertPlanner(planner, self, self._load, prepare_call=self._speak)
        self.alerts: Alerts = Alerts(self.planner, self.escalations.is_carried_on, self.escalations.wake)

    async def read_leniently(self) -> Contacts:
        """Return the contacts of the team."""
        return self.contacts

    def _load(self) -> PolicyFile:
        found = read_policies(self.paging.encode())
        assert not found.faults, found.faults
        return found

    async def _find(self, text: str) -> Number:
        return parse_number(text, "SE")

    async def _speak(self, said: str, *, keep: bool) -> Call:
        """Prepare a call that 46elks speaks, or one whose audio is stored."""
        if self.audio and keep:
            store = await self.backend.storage.open()
            await store.calls.keep_audio(self.audio, StoredAudio(b"RIFF", "wav"))
        return Call(text=said, audio=self.audio, digits=1, per_minute=CALL_PRICE)

    async def _read_digits(self, order_id: str) -> str | None:
        outcome = await self.backend.calls.find(order_id)
        return outcome.digits if outcome else None

    @property
    def clock(self) -> ManualClock:
        """The clock of the team's world."""
        return self.backend.clock

    async def page(self, message: str = "Disken är full", **more: Any) -> Alert:
        """Raise an alert that a person approves if one is asked."""
        request = AlertRequest(message=message, policy=more.pop("policy", "jour"), **more)
        prepared = await self.alerts.prepare(request, can_ask=True)
        if isinstance(prepared, AlertRepeated):
            return prepared.alert
        assert isinstance(prepared, AlertReady | AlertNeedsApproval), prepared
        return await self.alerts.start(prepared, Decision.APPROVED)

    async def get(self, alert: Alert) -> Alert:
        """Return an alert as it is now."""
        return await self.alerts.get(alert.id)

    async def pass_time(self, time: timedelta) -> None:
        """Let time pass."""
        await self.backend.pass_time(time)

    async def pass_until_over(self, alert: Alert) -> Alert:
        """Let time pass until an alert is over, and return it."""

        async def is_over() -> bool:
            return (await self.get(alert)).state not in {AlertState.RUNNING, AlertState.WAITING}

        await self.backend.pass_until(is_over)
        return await self.get(alert)

    async def pass_until(self, is_so: Callable[[], bool]) -> None:
        """Let time pass until a condition is true."""

        async def is_true() -> bool:
            return is_so()

        await self.backend.pass_until(is_true)

    @property
    def sent(self) -> list[tuple[str, str]]:
        """The recipients and texts that were handed to 46elks, in order."""
        return [(post.form["to"], post.form["message"]) for post in posts(self.backend.world.box)]

    @property
    def reached(self) -> list[str]:
        """The recipients of what was handed to 46elks, in order."""
        return [to for to, _ in self.sent]

    async def code(self, alert: Alert) -> str:
        """Return the code of an alert, which no answer shows."""
        return (await (await self.backend.storage.open()).alerts.get_plan(alert.id)).code

    def fail(self, fault: Fault, *, times: int | None = None, text: str = "") -> None:
        """Have a fault when texts are handed to 46elks."""
        more: dict[str, Any] = {"text": text} if text else {}
        self.backend.world.box.faults.inject(fault, method="POST", path="/sms", times=times, **more)

    def answer(self, text: str, by: Number = FIRST) -> None:
        """Have a person text the account."""
        self.backend.world.box.receive(by.e164, text)


def list_called(pager: Pager) -> list[str]:
    """List the numbers that were called, in order."""
    return [each.to for each in pager.backend.world.box.calls.history]


@asynccontextmanager
async def open_pager(
    place: StateLocation | World, policy: Policy = UNLIMITED, paging: str = PAGING, **more: Any
) -> AsyncIterator[Pager]:
    """Run a process of an on-call team, in a world of its own or in a given one."""
    world = place if isinstance(place, World) else World(place)
    backend = WorldBackend(world, policy=policy)
    backend.reads_history = True
    async with backend.running():
        pager = Pager(backend, paging, **more)
        async with pager.escalations.running():
            yield pager
