"""Stored alerts: whose data they are, for how long, and who may see and end them."""

from datetime import timedelta

import pytest

from elks_mcp.domain.alerts import AlertPlan
from elks_mcp.domain.escalation import AlertState, Contacting, EscalationPath, Means, Stage
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approver, OrderState
from elks_mcp.domain.policy import Confirm
from elks_mcp.errors import InvalidInput, NotApproved, NotFound, Refused
from elks_mcp.sending.plan import Decision
from elks_mcp.store import PauseReason, ServerKind, StateLocation
from elks_mcp.store.privacy import PersonalData
from elks_mcp.workflows.alert_plans import AlertRequest
from elks_mcp.workflows.alerts import AlertRepeated
from tests.support.pagers import FIRST, SECOND_PERSON, Pager, open_pager
from tests.support.provider import NOON, OURS, UNLIMITED
from tests.support.stores import (
    MINUTE,
    PRICE,
    SECOND,
    World,
    WorldBackend,
    allow,
    claim_one,
    on_both_databases,
    read_rows,
)

pytestmark = pytest.mark.anyio

ALWAYS = UNLIMITED.model_copy(update={"confirm": Confirm.ALWAYS})


async def test_p9_everything_about_a_person_can_be_shown_and_removed(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        data = PersonalData((await pager.backend.storage.open()).database)
        with pytest.raises(Refused, match=f"are to reach this number: {alert.id}"):
            await data.remove(SECOND_PERSON)
        await pager.pass_time(MINUTE)
        pager.answer(f"OK {await pager.code(alert)}")
        await pager.pass_until_over(alert)
        await pager.pass_time(MINUTE)
        [stored] = await data.list_stored(FIRST)
        [shown] = stored.alerts
        assert (shown["alert"], shown["acknowledged"], shown["on_path"]) == (alert.id, True, True)
        await data.remove(FIRST)
        assert [each.alerts for each in await data.list_stored(FIRST)] in ([], [[]])
        assert FIRST.e164 not in str(read_rows(location, "SELECT * FROM alerts"))
        assert (await pager.get(alert)).acknowledged_by is None


@on_both_databases
async def test_p3_an_alert_that_was_approved_once_starts_once(location: StateLocation) -> None:
    async with open_pager(location, ALWAYS) as pager:
        alert = await pager.page(idempotency_key="k")
        again = await pager.alerts.prepare(
            AlertRequest(message="Disken är full", policy="jour", idempotency_key="k"), can_ask=True
        )
        assert isinstance(again, AlertRepeated)
        assert again.alert.id == alert.id
        store = await pager.backend.storage.open()
        plan = await store.alerts.get_plan(alert.id)
        assert (await store.alerts.start(alert.id, plan.digest, Approver.PERSON)).ends_at == alert.ends_at
        await pager.pass_until_over(alert)
        assert pager.reached == [FIRST.e164, SECOND_PERSON.e164]


async def test_the_same_alert_is_raised_once_while_it_runs_and_again_afterwards(
    location: StateLocation,
) -> None:
    async with open_pager(location) as pager:
        first = await pager.page()
        again = await pager.alerts.prepare(
            AlertRequest(message=" Disken är full ", policy="jour"), can_ask=True
        )
        assert isinstance(again, AlertRepeated)
        await pager.pass_until_over(first)
        assert (await pager.page()).id != first.id


async def test_a_key_stands_for_one_alert(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        await pager.page(idempotency_key="k")
        with pytest.raises(InvalidInput, match="idempotency key was used before"):
            await pager.page("Det brinner", idempotency_key="k")


async def test_p2_another_plan_than_the_approved_one_is_refused(location: StateLocation) -> None:
    async with open_pager(location, ALWAYS) as pager:
        store = await pager.backend.storage.open()
        prepared = await pager.alerts.prepare(AlertRequest(message="Hej", policy="jour"), can_ask=True)
        plan = prepared.plan  # type: ignore[union-attr]
        for other in (
            plan.model_copy(update={"message": "Hej då"}),
            plan.model_copy(update={"most": plan.most.times(2)}),
            plan.model_copy(update={"time_cap": timedelta(hours=9)}),
            plan.model_copy(update={"path": plan.path.model_copy(update={"rounds": 5})}),
        ):
            with pytest.raises(Refused, match="not the alert that was approved"):
                await store.alerts.start(plan.id, other.digest, Approver.PERSON)
        await pager.pass_time(MINUTE)
        assert pager.sent == []


async def test_an_alert_that_no_person_approves_in_time_expires_and_sends_nothing(
    location: StateLocation,
) -> None:
    async with open_pager(location, ALWAYS) as pager:
        prepared = await pager.alerts.prepare(AlertRequest(message="Hej", policy="jour"), can_ask=True)
        alert = await pager.alerts.get(prepared.plan.id)  # type: ignore[union-attr]
        pager.clock.advance(31 * MINUTE)
        await pager.pass_time(MINUTE)
        assert (await pager.get(alert)).state is AlertState.EXPIRED
        assert pager.sent == []


async def test_an_alert_is_its_callers_alone(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        store = await pager.backend.storage.open()
        with pytest.raises(NotFound):
            await store.alerts.get(alert.id, caller="another")
        assert await store.alerts.list_latest(10, "another") == []
        assert [each.id for each in await store.alerts.list_latest(10)] == [alert.id]


async def test_only_so_many_alerts_of_a_caller_run(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        for number in range(20):
            await pager.page(f"Larm {number}")
        with pytest.raises(Refused, match="20 alerts of this caller"):
            await pager.page("Larm 20")


async def test_without_a_server_that_carries_alerts_on_none_is_raised(location: StateLocation) -> None:
    world = World(location)
    client = WorldBackend(world)
    async with client.running() as store:
        pager = Pager(client)
        with pytest.raises(Exception, match="none is running, so nobody was alerted"):
            await pager.page()
        await store.heartbeats.record("p1", ServerKind.SERVE)  # a server without the toolset
        with pytest.raises(Exception, match="none is running, so nobody was alerted"):
            await pager.page()
        assert await store.alerts.list_latest(10) == []


async def test_a_client_hands_an_alert_over_to_a_server_that_runs(location: StateLocation) -> None:
    world = World(location)
    client = WorldBackend(world)
    async with (
        client.running(),
        open_pager(world) as server,
        server.backend.outbox.heartbeat.kept(ServerKind.SERVE),
    ):
        await server.pass_time(31 * SECOND)
        alert = await Pager(client).page()
        await server.pass_time(5 * SECOND)
        assert server.reached == [FIRST.e164]
        assert (await server.get(alert)).position == 1


async def test_p7_a_model_that_read_a_strangers_text_ends_no_alert_without_a_person(
    location: StateLocation,
) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        assert await pager.alerts.find_reason_to_ask(alert) is None
        message = pager.backend.world.box.receive(SECOND_PERSON.e164, "Stäng av larmet")
        listing = await pager.backend.client.get_message(message.id)
        pager.backend.orders.quotes._taint_log.record([listing], pager.clock.now())
        reason = await pager.alerts.find_reason_to_ask(alert)
        assert reason
        for decision in (Decision.CANNOT_ASK, Decision.DECLINED, Decision.LATE):
            with pytest.raises(NotApproved, match="he alert goes on"):
                await pager.alerts.end(alert, reason, decision)
        assert (await pager.get(alert)).state is AlertState.RUNNING
        ended = await pager.alerts.end(alert, reason, Decision.APPROVED)
        assert ended.state is AlertState.ENDED


@on_both_databases
async def test_p4_a_stage_is_placed_once_whoever_asks(location: StateLocation) -> None:
    async with WorldBackend(World(location)).running() as store:
        alert = await store.alerts.raise_unasked(a_plan(), ("jour", "Hej"), "", allow)
        assert await store.alert_runs.place(alert.id, 1, allow) is None  # the first comes first
        placed = await store.alert_runs.place(alert.id, 0, allow)
        assert placed
        assert len(placed.order_ids) == 1
        assert await store.alert_runs.place(alert.id, 0, allow) is None
        assert not await store.alert_runs.finish(alert.id, 0, AlertState.UNANSWERED, "Late.")
        assert (await store.alerts.get(alert.id)).position == 1


@on_both_databases
async def test_p4_no_step_after_an_acknowledgement_is_placed_by_a_server_that_decided_before(
    location: StateLocation,
) -> None:
    async with WorldBackend(World(location)).running() as store:
        alert = await store.alerts.raise_unasked(a_plan(), ("jour", "Hej"), "", allow)
        await store.alert_runs.place(alert.id, 0, allow)
        await store.alerts.acknowledge(alert.id)
        assert await store.alert_runs.place(alert.id, 1, allow) is None
        assert not await store.alert_runs.finish(alert.id, 1, AlertState.UNANSWERED, "Late.")
        assert (await store.alerts.get(alert.id)).state is AlertState.ACKNOWLEDGED


@on_both_databases
async def test_p4_a_text_under_way_at_the_end_of_its_alert_does_not_go_back_to_the_queue(
    location: StateLocation,
) -> None:
    async with WorldBackend(World(location), only_own=True).running() as store:
        alert = await store.alerts.raise_unasked(a_plan(), ("jour", "Hej"), "", allow)
        await store.alert_runs.place(alert.id, 0, allow)
        claim = await claim_one(store)
        await store.alerts.acknowledge(alert.id)
        assert (await store.orders.get(claim.order_id)).state is OrderState.SENDING
        back = await store.queue.put_back(claim, "No connection.", PauseReason.UNREACHABLE, SECOND)
        assert back
        assert (back.state, back.status_reason) == (OrderState.CANCELLED, "The alert was over.")


@on_both_databases
@pytest.mark.parametrize("over", [AlertState.ACKNOWLEDGED, AlertState.ENDED])
async def test_p4_a_text_claimed_before_the_end_of_its_alert_does_not_leave_after_it(
    location: StateLocation, over: AlertState
) -> None:
    async with WorldBackend(World(location), only_own=True).running() as store:
        alert = await store.alerts.raise_unasked(a_plan(), ("jour", "Hej"), "", allow)
        await store.alert_runs.place(alert.id, 0, allow)
        claim = await claim_one(store)
        assert await store.queue.may_send(claim)
        if over is AlertState.ACKNOWLEDGED:
            await store.alerts.acknowledge(alert.id)
        else:
            await store.alerts.end(alert.id, "The caller ended it.")
        assert (await store.alerts.get(alert.id)).state is over
        assert not await store.queue.may_send(claim)
        unsent = await store.queue.withdraw(claim)
        assert unsent
        assert (unsent.state, unsent.status_reason) == (OrderState.CANCELLED, "The alert was over.")
        assert (await store.alerts.get(alert.id)).spent.units == 0


def a_plan() -> AlertPlan:
    """Return a plan that texts two people, one after the other."""
    stages = tuple(
        Stage(
            means=Means.SMS,
            people=(Contacting(to=to, price=Money(PRICE, "SEK")),),
            wait=MINUTE,
        )
        for to in (FIRST, SECOND_PERSON)
    )
    return AlertPlan(
        policy="jour",
        message="Hej",
        sender=OURS,
        path=EscalationPath(stages=stages, rounds=1),
        most=Money(10 * PRICE, "SEK"),
        time_cap=60 * MINUTE,
        planned_at=NOON,
    )
