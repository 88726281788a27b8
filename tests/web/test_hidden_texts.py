"""`ELKS_DONTLOG`: 46elks does not store the words of sent texts, and what that breaks."""

from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.domain.orders import OrderState
from elks_mcp.sandbox import Fault
from elks_mcp.settings import read
from elks_mcp.store.doubts import LONGEST
from tests.support.clocks import ManualClock, pass_time
from tests.support.connecting import PHONE, box_on, call, come_true, connected, data, live, posted, words
from tests.support.webhook_cases import webhook_site

pytestmark = pytest.mark.anyio
SETTINGS = {"ELKS_DONTLOG": "true", "ELKS_PUBLIC_URL": "https://sms.example.com", "ELKS_GUARDS_OFF": "night"}


async def test_p4_a_hidden_text_with_a_lost_answer_is_cleared_by_its_delivery_report() -> None:
    async with webhook_site(ELKS_DONTLOG="true") as (box, served), served.client() as client:
        box.faults.inject(Fault.DROP_AFTER, method="POST", path="/sms", dryrun=False)
        sent = data(await call(client, "send_sms", to=PHONE, message="Koden är 4711"))
        assert sent["status"] == "in_doubt"
        (message,) = box.accepted
        assert message.dontlog
        box.clock.advance(timedelta(seconds=2))
        store = await served.app.storage.open()

        async def is_delivered() -> bool:
            return (await store.orders.get(sent["orderId"])).state is OrderState.DELIVERED

        await come_true(is_delivered)
        assert (
            data(await call(client, "check_sms_status", messageId=sent["orderId"]))["messageId"] == message.id
        )
    assert len(posted(box)) == 1
    assert [post.form["status"] for post in box.webhooks] == ["sent", "delivered"]


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.DROP_BEFORE])
@pytest.mark.parametrize("hides_message", [False, True])
async def test_p4_a_hidden_text_without_a_report_is_never_sent_twice_and_becomes_unknown(
    tmp_path: Path, fault: Fault, *, hides_message: bool
) -> None:
    clock = ManualClock()
    box = box_on(clock)
    box.rules.dontlog_hides_message = hides_message
    environ = live(box, ELKS_STATE_DIR=str(tmp_path), **SETTINGS)
    async with connected(environ, box=box, clock=clock) as client:
        box.faults.inject(fault, method="POST", path="/sms", dryrun=False)
        sent = data(await call(client, "send_sms", to=PHONE, message="Koden är 4711"))
        assert sent["status"] == "in_doubt"
        await pass_time(clock, timedelta(minutes=10))
    without = {name: value for name, value in environ.items() if name != "ELKS_DONTLOG"}
    async with connected(without, box=box, clock=clock) as client:  # what counts is how it was attempted
        await call(client, "explain_policy")
        await pass_time(clock, timedelta(minutes=10))
        status = data(await call(client, "check_sms_status", messageId=sent["orderId"]))["status"]
        assert status == "in doubt", "a report may still come"
        clock.advance(LONGEST)
        await pass_time(clock, timedelta(minutes=1))
        status = data(await call(client, "check_sms_status", messageId=sent["orderId"]))["status"]
    assert status == "unknown"
    assert len(posted(box)) == 1
    assert len(box.accepted) == int(fault is Fault.DROP_AFTER)


async def test_only_the_real_request_hides_the_text_and_history_says_that_there_is_none() -> None:
    box = box_on(ManualClock())
    async with connected(live(box, **SETTINGS), box=box) as client:
        await call(client, "send_sms", to=PHONE, message="Kommer du på lördag?")
        listed = words(await call(client, "get_sms_messages"))
        assert "no text, or not stored" in listed
        assert "lördag" not in listed
    assert [form.get("dontlog") for form in posted(box)] == ["message"]
    assert not any("dontlog" in form for form in posted(box, dry_run=True))


async def test_a_no_to_a_question_whose_text_is_hidden_is_not_an_opt_out() -> None:
    box = box_on(ManualClock())
    async with connected(live(box, **SETTINGS), box=box) as client:
        await call(client, "send_sms", to=PHONE, message="Kommer du på lördag?")
        box.receive(PHONE, "Nej tack")
        await call(client, "get_sms_messages", direction="inbound")
        again = data(await call(client, "send_sms", to=PHONE, message="Synd. På söndag då?"))
        assert again["status"] == "sent"


async def test_without_the_setting_46elks_stores_the_text() -> None:
    box = box_on(ManualClock())
    async with connected(live(box), box=box) as client:
        await call(client, "send_sms", to=PHONE, message="Hej")
    assert "dontlog" not in posted(box)[0]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ELKS_DONTLOG": "yes"}, "set ELKS_PUBLIC_URL as well, or unset it"),
        ({"ELKS_DONTLOG": "yes", "ELKS_SANDBOX": "true"}, "set ELKS_PUBLIC_URL as well, or unset it"),
        ({"ELKS_DONTLOG": "yes", "ELKS_PUBLIC_URL": "nowhere"}, "ELKS_PUBLIC_URL"),
        ({"ELKS_DONTLOG": "yes", "ELKS_PUBLIC_URL": "https://sms.example.com"}, ""),
        ({"ELKS_DONTLOG": "no"}, ""),
    ],
)
def test_texts_are_not_hidden_where_doubts_could_not_be_cleared(environ: dict[str, str], said: str) -> None:
    configuration = read(environ)
    found = " ".join(fault.text for fault in configuration.faults)
    assert (said in found) if said else not found
    if "set ELKS_PUBLIC_URL" in said:
        assert configuration.settings.dontlog is False
