"""Webhooks: what is stored, and what follows."""

from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from elks_mcp import sandbox
from elks_mcp.domain.orders import OrderState
from elks_mcp.domain.phone import Number
from elks_mcp.sandbox import SAMPLE, Fault, Sandbox
from tests.support.clocks import ManualClock
from tests.support.connecting import ERAS, PHONE, Era, call, come_true, data, posted, until, words
from tests.support.provider import gets
from tests.support.stores import failing
from tests.support.web import Site, post, site
from tests.support.webhook_cases import INCOMING, STRANGER, arrived, new_box, tell_number, webhook_site

pytestmark = pytest.mark.anyio


async def state_of(served: Site, order_id: str) -> OrderState:
    """Return the state of an order."""
    return (await (await served.app.storage.open()).orders.get(order_id)).state


async def come_to(served: Site, order_id: str, state: OrderState) -> None:
    """Wait until an order is in a state."""

    async def is_so() -> bool:
        return await state_of(served, order_id) is state

    await come_true(is_so)


# ── what it is for ──


@pytest.mark.parametrize("era", ERAS)
async def test_a_reply_by_webhook_is_received_before_any_time_passes(era: Era) -> None:
    async with webhook_site(ManualClock()) as (box, served), served.client(era) as client:
        answers: list[Any] = []

        async def wait() -> None:
            answers.append(await call(client, "wait_for_reply", timeout=20))

        async with anyio.create_task_group() as calls:
            calls.start_soon(wait)
            await until(lambda: served.app.replies.waiting_count > 0)
            message = box.receive(PHONE, "Ja, strax ✈️")
    [answer] = answers
    assert data(answer)["message"]["untrustedText"] == "Ja, strax ✈️"
    assert data(answer)["message"]["id"] == message.id
    assert [each.status for each in box.webhooks] == [204]


async def test_a_reply_is_received_even_if_46elks_does_not_show_it_yet() -> None:
    async with webhook_site() as (box, served), served.client() as client:
        cursor = data(await call(client, "wait_for_reply", timeout=0))["cursor"]
        message = box.receive(PHONE, "Ja\u202e ✈️")
        await until(lambda: [each.status for each in box.webhooks] == [204])
        box.faults.inject(Fault.UNAVAILABLE, method="GET", path=f"/sms/{message.id}", times=None)
        first = data(await call(client, "wait_for_reply", after=cursor, timeout=0))
        second = data(await call(client, "wait_for_reply", after=cursor, timeout=0))
        gone = served.app.replies.received.find(message.id)
    assert first["message"]["untrustedText"] == "Ja ✈️"
    assert (second["status"], second["message"], gone) == ("received", None, None)  # it was read, and let go


async def test_a_delivery_is_recorded_without_a_request_to_46elks() -> None:
    async with webhook_site() as (box, served), served.client() as client:
        sent = data(await call(client, "send_sms", to=PHONE, message="Hej å ä ö"))
        assert sent["status"] == "sent"
        box.clock.advance(timedelta(minutes=5))
        await come_to(served, sent["orderId"], OrderState.DELIVERED)
    assert {each.kind for each in box.webhooks} == {"delivery"}
    assert {each.status for each in box.webhooks} == {204}


async def test_an_opt_out_by_webhook_counts_from_the_moment_it_is_received() -> None:
    """P6, over HTTP: history is not read again for an hour, and still nothing goes out."""
    async with webhook_site() as (box, served), served.client() as client:
        await call(client, "send_sms", to=PHONE, message="Hej")
        box.receive(PHONE, "STOPP")
        await until(lambda: [each.status for each in box.webhooks if each.kind == "incoming"] == [204])
        looked = len(gets(box, "/sms"))
        refused = await call(client, "send_sms", to=PHONE, message="Hej igen")
        assert len(gets(box, "/sms")) == looked
    assert refused.is_error
    assert "opted_out" in words(refused)
    assert len(posted(box)) == 1


async def test_an_mms_by_webhook_is_stored_and_an_opt_out_in_it_counts() -> None:
    """P6: with the toolset off, too, since only a webhook that was set at 46elks arrives."""
    async with webhook_site(ELKS_MMS_PRICE="1.25") as (box, served), served.client() as client:
        await tell_number(box, await served.hook("mms"), "mms_url")
        await call(client, "send_sms", to=PHONE, message="Hej")
        cursor = data(await call(client, "wait_for_reply", timeout=0))["cursor"]
        box.receive(PHONE, "STOPP", pictures=[SAMPLE.content])
        await until(lambda: [each.status for each in box.webhooks if each.kind == "incoming"] == [204])
        waited = data(await call(client, "wait_for_reply", after=cursor, timeout=0))
        refused = await call(client, "send_sms", to=PHONE, message="Hej igen")
    assert (waited["message"]["kind"], waited["message"]["untrustedText"]) == ("mms", "STOPP")
    assert "opted_out" in words(refused)
    assert len(posted(box)) == 1


@pytest.mark.parametrize("reports", [True, False])
async def test_a_report_about_an_mms_counts_if_46elks_sends_one(reports: bool) -> None:
    image = f"data:image/png;base64,{b64encode(SAMPLE.content).decode()}"
    opened = webhook_site(ELKS_MMS_PRICE="1.25", ELKS_TOOLSETS="all")
    async with opened as (box, served), served.client() as client:
        box.rules.mms_reports_delivery = reports
        sent = data(await call(client, "send_mms", to=PHONE, image=image))
        box.clock.advance(timedelta(minutes=5))
        if reports:
            await come_to(served, sent["orderId"], OrderState.DELIVERED)
        assert len(box.accepted) == 1
        expected = OrderState.DELIVERED if reports else OrderState.SENT
        assert await state_of(served, sent["orderId"]) is expected


# ── order, repeats, strangers ──


async def send_into_doubt(box: Sandbox, client: Client) -> tuple[dict[str, Any], sandbox.StoredMessage]:
    """Send a text whose answer is lost, while history cannot be read."""
    await call(client, "send_sms", to=PHONE, message="The first, which has history read")
    box.faults.inject(Fault.DROP_AFTER, method="POST", dryrun=False)
    box.faults.inject(Fault.UNAVAILABLE, method="GET", path="/sms", times=None)
    sent = data(await call(client, "send_sms", to=PHONE, message="Hej"))
    assert sent["status"] == "in_doubt"
    return sent, box.accepted[-1]


async def test_a_report_may_come_before_the_answer_to_the_text_it_is_about() -> None:
    async with webhook_site() as (box, served), served.client() as client:
        sent, message = await send_into_doubt(box, client)
        hook = f"{await served.hook('delivery')}?ref={sent['orderId']}"
        for status in ("delivered", "delivered", "sent", "failed"):
            answer = await post(hook, {"id": message.id, "status": status})
            assert (answer.status_code, answer.content) == (204, b"")
            assert await state_of(served, sent["orderId"]) is OrderState.DELIVERED


async def test_a_report_about_an_unknown_text_is_stored_and_used_once_the_text_is_known() -> None:
    async with webhook_site() as (box, served), served.client() as client:
        sent, message = await send_into_doubt(box, client)
        answer = await post(await served.hook("delivery"), {"id": message.id, "status": "delivered"})
        assert answer.status_code == 204
        assert await state_of(served, sent["orderId"]) is OrderState.IN_DOUBT
        store = await served.app.storage.open()
        assert await store.inbound.retry_parked() == 1
        await post(
            f"{await served.hook('delivery')}?ref={sent['orderId']}", {"id": message.id, "status": "sent"}
        )
        await come_to(served, sent["orderId"], OrderState.DELIVERED)
        assert await store.inbound.retry_parked() == 0


async def test_a_webhook_repeated_twenty_times_at_once_is_stored_once() -> None:
    async with webhook_site() as (_, served):
        hook, form = await served.hook("sms"), INCOMING | {"to": served.app.policy.sender.e164}  # type: ignore[union-attr]
        statuses: list[int] = []

        async def run_command() -> None:
            statuses.append((await post(hook, form)).status_code)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(run_command)
        assert statuses == [204] * 20
        assert await arrived(served) == [INCOMING["id"]]


async def test_a_text_to_a_number_of_another_account_is_not_stored() -> None:
    async with webhook_site() as (_, served):
        answer = await post(await served.hook("sms"), INCOMING | {"to": STRANGER, "message": "STOP"})
        assert (answer.status_code, answer.content) == (204, b"")
        store = await served.app.storage.open()
        assert await arrived(served) == []
        assert await store.arrivals.find_known([PHONE]) == frozenset()


# ── what cannot be kept ──


async def test_a_webhook_that_cannot_be_stored_is_repeated_and_nothing_is_lost(tmp_path: Path) -> None:
    async with webhook_site(ELKS_STATE_DIR=str(tmp_path)) as (box, served):
        store = await served.app.storage.open()
        with failing(store, "arrivals"):
            message = box.receive(PHONE, "STOP")
            await until(lambda: [each.status for each in box.webhooks] == [503])
        assert await arrived(served) == []
        box.clock.advance(timedelta(minutes=10))
        await until(lambda: [each.status for each in box.webhooks] == [503, 204])
        assert await arrived(served) == [message.id]
        assert (await store.orders.recall(served.app.orders.draft_text(Number(PHONE), "Hej"))).opted_out


async def test_texts_from_seven_hours_of_lost_webhooks_are_read_from_history(tmp_path: Path) -> None:
    environ = {"ELKS_STATE_DIR": str(tmp_path)}
    box = new_box()
    async with site(box, environ=environ) as served:
        await until(lambda: bool(gets(box, "/sms")))
        assert await arrived(served) == []
    texts = []
    for number in range(150):
        box.clock.advance(timedelta(minutes=2, seconds=48))
        texts.append(box.receive(f"+4670174{number + 500:04d}", "STOP" if number % 10 == 0 else "Hej").id)
    async with site(box, environ=environ) as served:
        store = await served.app.storage.open()

        async def is_all_there() -> bool:
            return len(await arrived(served)) >= len(texts)

        await come_true(is_all_there)
        assert await arrived(served) == texts
        orders = served.app.orders
        assert (await store.orders.recall(orders.draft_text(Number("+46701740500"), "Hej"))).opted_out
        assert not (await store.orders.recall(orders.draft_text(Number("+46701740501"), "Hej"))).opted_out


# ── odd words of 46elks ──


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        *(("id", odd) for odd in ("s1", "s/../x?y#z", "..", "O 1", "x" * 100)),
        *(("created", odd) for odd in ("yesterday", "", "9999-12-31T23:59:59", "0001-01-01 00:00:00")),
        *(("from", odd) for odd in ("\u202e", "x" * 500, "+" + "4" * 500, "\ufffd\0")),
    ],
)
async def test_a_text_with_an_odd_field_is_delivered_or_dropped_and_the_next_one_comes(
    field: str, odd: str
) -> None:
    async with webhook_site() as (box, served), served.client() as client:
        cursor = data(await call(client, "wait_for_reply", timeout=0))["cursor"]
        hook, form = await served.hook("sms"), {**INCOMING, "to": box.number}
        assert (await post(hook, {**form, field: odd})).status_code == 204
        even = {**form, "id": "s" + "1" * 32, "message": "Even"}
        assert (await post(hook, even)).status_code == 204
        said = []
        for _ in await arrived(served):
            answer = data(await call(client, "wait_for_reply", after=cursor, timeout=0))
            again = data(await call(client, "wait_for_reply", after=cursor, timeout=0))
            assert again["cursor"] == answer["cursor"] != cursor
            said.append(answer["message"]["untrustedText"])
            cursor = answer["cursor"]
    assert said == ["Even"] if odd == "O 1" else said == [INCOMING["message"], "Even"]


@pytest.mark.parametrize("odd", ["", "x" * 101, "sÄÖ", "s1\n", " s1"])
async def test_a_text_whose_id_cannot_be_stored_is_dropped_and_logged(
    odd: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with webhook_site() as (box, served):
        hook, form = await served.hook("sms"), {**INCOMING, "to": box.number}
        assert (await post(hook, {**form, "id": odd})).status_code == 204
        assert await arrived(served) == []
    assert "A webhook was dropped: it is not an incoming text" in caplog.text


# ── the newest status ──


@pytest.mark.parametrize("status", ["sent", "delivered", "failed"])
async def test_after_a_report_the_status_is_the_reported_one_even_if_history_is_behind(status: str) -> None:
    async with webhook_site() as (box, served), served.client() as client:
        sent = data(await call(client, "send_sms", to=PHONE, message="Hej"))
        hook = f"{await served.hook('delivery')}?ref={sent['orderId']}"
        assert (await post(hook, {"id": sent["messageId"], "status": status})).status_code == 204
        assert box.accepted[-1].status == "created"
        for number in (sent["orderId"], sent["messageId"]):
            answer = data(await call(client, "check_sms_status", messageId=number))
            assert answer["status"] == status
        box.clock.advance(timedelta(minutes=5))
        answer = data(await call(client, "check_sms_status", messageId=sent["orderId"]))
        assert answer["status"] == "delivered"
        await post(hook, {"id": sent["messageId"], "status": "sent"})
        answer = data(await call(client, "check_sms_status", messageId=sent["orderId"]))
        assert answer["status"] == "delivered", "a late report takes nothing back"
