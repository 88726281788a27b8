"""An on-call team: a server that carries alerts on, and a client on the same state."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from mcp import Client

from elks_mcp.app import App, open_app
from elks_mcp.runtime.tasks import background
from elks_mcp.sandbox import Sandbox
from elks_mcp.settings import load
from elks_mcp.store import ServerKind
from tests.support.clocks import ManualClock, keep_jumping, pass_time
from tests.support.connecting import Era, Person, box_on, call, connected, data, live, posted
from tests.support.state_folders import with_tables

FIRST, SECOND_PERSON = "+46701740620", "+46701740621"

PEOPLE = f"name,phone,groups\nÅsa Lind,{FIRST},jour\nBo Ek,{SECOND_PERSON},jour\n"

POLICY_TEXT = """\
policies:
  jour:
    steps:
      - {whom: Åsa Lind, by: sms, wait: 5}
      - {whom: Bo Ek, by: sms, wait: 10}
    cost_cap: 50
  alla:
    steps:
      - {whom: "@jour", by: sms, wait: 5}
    cost_cap: 50
"""


@dataclass
class Team:
    """An assistant of the team, a server that runs beside it, and their 46elks."""

    client: Client
    server: App
    box: Sandbox
    clock: ManualClock

    async def alert(self, message: str = "Disken är full", **more: Any) -> dict[str, Any]:
        """Raise an alert, by the policy `jour` unless one is named; return the answer's data."""
        arguments = {"message": message, "policy": "jour", **more}
        return data(await call(self.client, "alert_until_acknowledged", **arguments))

    async def check(self, alert: dict[str, Any]) -> dict[str, Any]:
        """Follow an alert; return the data of the answer."""
        return data(await call(self.client, "check_alert", alertId=alert["alertId"]))

    async def code(self, alert: dict[str, Any]) -> str:
        """Return the code of an alert, which no answer shows."""
        return (await (await self.server.storage.open()).alerts.get_plan(alert["alertId"])).code

    async def pass_time(self, minutes: float) -> None:
        """Let time pass."""
        await pass_time(self.clock, timedelta(minutes=minutes))

    @property
    def reached(self) -> list[str]:
        """The recipients of what was handed to 46elks, in order."""
        return [form["to"] for form in posted(self.box)]


@asynccontextmanager
async def open_team(
    folder: Path,
    era: Era = "auto",
    person: Person | None = None,
    *,
    paging: str = POLICY_TEXT,
    shared: Mapping[str, str] | None = None,
    **environ: str,
) -> AsyncIterator[Team]:
    """Run the server, and connect a client.

    `paging`: the policy file. `shared`: settings of both; the others are those of the client alone.
    """
    clock = ManualClock()
    box = box_on(clock)
    policies, people = folder / "paging.yaml", folder / "people.csv"
    policies.write_text(paging, "utf-8")
    people.write_text(PEOPLE, "utf-8")
    state = with_tables(folder / "state").folder
    ours = {"ELKS_STATE_DIR": str(state), "ELKS_ESCALATION": str(policies), "ELKS_CONTACTS": str(people)}
    ours |= {"ELKS_TOOLSETS": "sms,inbox,escalation"}
    ours |= shared or {}
    configuration = load({**live(box), **ours})
    async with AsyncExitStack() as stack:
        ending = await stack.enter_async_context(background())
        opened = open_app(configuration, transport=box.transport(), clock=clock)
        server = await stack.enter_async_context(opened)
        await stack.enter_async_context(server.alerts.carried_on())
        await stack.enter_async_context(server.outbox.heartbeat.kept(ServerKind.SERVE))
        await pass_time(clock, timedelta(seconds=2))
        client = connected({**live(box), **ours, **environ}, box=box, way=era, person=person, clock=clock)
        try:
            yield Team(await stack.enter_async_context(client), server, box, clock)
        finally:
            ending.start_soon(keep_jumping, clock)
