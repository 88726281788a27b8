"""A lane with alerts: the servers that carry them on are killed while people answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic

import anyio
import anyio.to_thread

from crash.plan import PHONES, Plan
from crash.provider import Provider
from crash.server import start_program
from crash.state import AlertRow, AttemptRow, State, open_state
from elks_mcp.answers.alerts import build_alerts
from elks_mcp.app import App
from elks_mcp.cli.read_only import open_own_only
from elks_mcp.domain.alerts import Alert
from elks_mcp.domain.escalation import OPEN_STATES
from elks_mcp.errors import ElksError
from elks_mcp.sandbox.call_behaviours import SILENT
from elks_mcp.sandbox.requests import ApiRequest
from elks_mcp.sending.plan import Decision
from elks_mcp.settings import load
from elks_mcp.workflows.alert_plans import AlertRequest
from elks_mcp.workflows.alerts import AlertDryRun, AlertRepeated

PEOPLE = PHONES[:3]
"""Everyone on the path, in its order. The last one is called, and presses nothing."""

_WAIT = 0.5
"""Minutes after each step: longer than a lease and the quiet period, so that doubts are cleared meanwhile."""

_ANSWERED = 2
"""Every second alert is answered, by one of the first two people."""

_ALERTS_PER_KILL = 1
_LONGEST_LIFE, _SHORTEST_LIFE = 6.0, 1.5
"""Seconds until a server is killed. It loads for the first of them."""

_SETTLING = 300.0


@dataclass(eq=False)
class RaisedAlert:
    """An alert, as the one who raised it knows it."""

    number: int
    id: str = ""
    code: str = ""
    answers: str = ""
    """The number that answers; "" if nobody does."""

    is_answered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvidence:
    """The sandbox's ledger, the state of the servers, and the alerts that were raised."""

    plan: Plan
    raised: list[RaisedAlert]
    alerts: list[AlertRow]
    attempts: list[AttemptRow]
    provider: Provider
    kills: int
    errors: list[str]
    traces: list[str]
    integrity: str
    seconds: float

    @property
    def calls(self) -> list[ApiRequest]:
        """The requests to call somebody, none of which met a fault."""
        made = (each for each in self.provider.box.requests if each.method == "POST")
        return [each for each in made if each.path.endswith("/calls")]


@dataclass
class AlertLane:
    """One lane, and all that happens in it."""

    plan: Plan
    provider: Provider
    state: State
    folder: Path
    kills: int = 0
    raised: list[RaisedAlert] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _is_over: bool = False
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = self.plan.random("alerts")

    async def run(self) -> AlertEvidence:
        """Run the lane, and return its results."""
        began, log = monotonic(), self.folder / "log"
        log.touch()
        (self.folder / "paging.yaml").write_text(_write_policy(), "utf-8")
        self.provider.box.handset(PEOPLE[-1]).calls = SILENT
        async with open_own_only(load(self._environ())) as app, anyio.create_task_group() as group:
            group.start_soon(self._answer, app)
            async with anyio.create_task_group() as slots:
                slots.start_soon(self._raise_again_and_again, app)
                for _ in range(self.plan.processes):
                    slots.start_soon(self._kill_again_and_again, log)
            self.provider.calm()
            await self._settle(app, log)
            self._is_over = True
        await anyio.sleep(self.plan.provider_delay)  # texts that are accepted late count, too
        alerts, attempts = await anyio.to_thread.run_sync(self.state.read_alerts)
        return AlertEvidence(
            plan=self.plan,
            raised=self.raised,
            alerts=alerts,
            attempts=attempts,
            provider=self.provider,
            kills=self.kills,
            errors=self.errors,
            traces=[line for line in log.read_text("utf-8").splitlines() if "Traceback" in line],
            integrity=await anyio.to_thread.run_sync(self.state.check),
            seconds=monotonic() - began,
        )

    def _environ(self) -> dict[str, str]:
        box, plan = self.provider.box, self.plan
        return {
            "ELKS_API_USERNAME": box.username,
            "ELKS_API_PASSWORD": box.password,
            "ELKS_PHONE_NUMBER": box.number,
            "ELKS_API_BASE_URL": self.provider.url,
            "DRY_RUN": "false",
            "ELKS_TIMEOUT": f"{plan.timeout}",
            "ELKS_QUIET_PERIOD": f"{plan.quiet}",
            "ELKS_POLL_SECONDS": "1",
            "ELKS_SMS_PER_MINUTE": "600",
            "ELKS_MAX_PER_NUMBER": "100000",
            "ELKS_BUDGET_PER_DAY": "1000000",
            "ELKS_TOOLSETS": "sms,calls,escalation",
            "ELKS_TTS_46ELKS": "true",
            "ELKS_CALL_PRICE_PER_MINUTE": "5",
            "ELKS_ESCALATION": str(self.folder / "paging.yaml"),
            "ELKS_LOG_LEVEL": "ERROR",
            **self.state.environ,
        }

    @asynccontextmanager
    async def _server(self, log: Path) -> AsyncIterator[None]:
        """Run a server that carries alerts on, and kill it at the end."""
        process = await start_program(self._environ(), log, "serve")
        async with process:
            try:
                yield
            finally:
                with suppress(ProcessLookupError):
                    process.kill()

    async def _kill_again_and_again(self, log: Path) -> None:
        while self.kills < self.plan.kills:
            self.kills += 1
            async with self._server(log):
                await anyio.sleep(self._random.uniform(_SHORTEST_LIFE, _LONGEST_LIFE))

    async def _raise_again_and_again(self, app: App) -> None:
        for number in range(max(2, self.plan.kills * _ALERTS_PER_KILL)):
            one = RaisedAlert(number)
            if number % _ANSWERED:
                one.answers = self._random.choice(PEOPLE[:2])
            self.raised.append(one)
            while not one.id:
                with suppress(ElksError):  # no server has said yet that it runs, or 46elks is in trouble
                    await self._raise(app, one)
                await anyio.sleep(self._random.uniform(0.5, 2))

    async def _raise(self, app: App, one: RaisedAlert) -> None:
        key = f"k{one.number}"
        request = AlertRequest(message=f"Alert {one.number:03}", policy="jour", idempotency_key=key)
        alerts = build_alerts(app)
        prepared = await alerts.prepare(request, can_ask=True)
        if isinstance(prepared, AlertDryRun):
            self.errors.append("It is a dry run.")
            return
        if isinstance(prepared, AlertRepeated):
            alert = prepared.alert
        else:
            alert = await alerts.start(prepared, Decision.APPROVED)
        one.code = (await (await app.storage.open()).alerts.get_plan(alert.id)).code
        one.id = alert.id

    async def _answer(self, app: App) -> None:
        """Have people answer the texts that they got, each alert once."""
        while not self._is_over:
            for one in self.raised:
                got = {each.to for each in self.provider.box.accepted if f"OK {one.code} " in each.text}
                if one.id and one.answers in got and not one.is_answered and await self._runs(app, one):
                    self.provider.box.receive(one.answers, f"ok {one.code}")
                    one.is_answered = True
            await anyio.sleep(0.2)

    async def _runs(self, app: App, one: RaisedAlert) -> bool:
        alert: Alert = await (await app.storage.open()).alerts.get(one.id)
        return alert.state in OPEN_STATES

    async def _settle(self, app: App, log: Path) -> None:
        """Run servers that are not killed until every alert is over."""
        async with self._server(log), self._server(log):
            with anyio.move_on_after(_SETTLING):
                while any([await self._runs(app, one) for one in self.raised]):  # noqa: ASYNC110  (another process)
                    await anyio.sleep(0.5)


def _write_policy() -> str:
    means = ["sms"] * (len(PEOPLE) - 1) + ["call"]
    steps = ", ".join(
        f'{{whom: "{to}", by: {by}, wait: {_WAIT}}}' for to, by in zip(PEOPLE, means, strict=True)
    )
    return f"policies: {{jour: {{cost_cap: 100, time_cap: 60, steps: [{steps}]}}}}"


async def _run_lane(plan: Plan) -> AlertEvidence:
    with TemporaryDirectory(prefix="crash") as name:
        folder = Path(name)
        with open_state(plan, folder) as state:
            provider = Provider(plan)
            provider.box.rules.per_minute = 100_000
            async with provider.serving():
                return await AlertLane(plan, provider, state, folder).run()


def run_alerts(plan: Plan) -> AlertEvidence:
    """Run one lane with alerts, in an event loop of its own."""
    return anyio.run(_run_lane, plan)
