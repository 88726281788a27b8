"""`send_sms`."""

import re
from datetime import timedelta
from typing import Any

import pytest
from mcp import Client
from mcp_types import ElicitResult

from elks_mcp.sandbox import Fault, Sandbox
from tests.support.clocks import ManualClock as OurClock
from tests.support.connecting import (
    ERAS,
    PHONE,
    WAYS,
    Era,
    Person,
    Way,
    call,
    connected,
    data,
    findings,
    live,
    new_box,
    posted,
    words,
)
from tests.support.tool_cases import later

pytestmark = pytest.mark.anyio


by_any_way = pytest.mark.parametrize("way", WAYS)
"""By a real process too, which costs a second: where a pipe or the environment could make a difference."""


# ── send_sms ──


@by_any_way
async def test_a_text_goes_out_as_it_was_written(client: Client, box: Sandbox) -> None:
    text = "Hej! Mötet är flyttat till kl. 10 på torsdag. Å, ä, ö och 🙂"
    sent = await call(client, "send_sms", to="070-174 06 05", message=text)
    assert posted(box) == [{"from": box.number, "to": PHONE, "message": text}]
    assert not sent.is_error
    assert data(sent)["status"] == "sent"
    assert data(sent)["messageId"] == box.accepted[0].id
    assert data(sent)["price"] == {"amount": 0.52, "currency": "SEK"}
    assert words(sent).removeprefix("Sandbox: ").startswith("Sent: ")
    assert data(sent)["messageId"] in words(sent)
    assert box.handset(PHONE).texts == []
    later(box, 5)
    assert [received.text for received in box.handset(PHONE).texts] == [text]


async def test_sender_flash_and_number_are_passed_on(client: Client, box: Sandbox) -> None:
    sent = await call(
        client, "send_sms", to="0046 (0)70-174 06 05", message="Brand!", sender="SREAlert", flashsms="yes"
    )
    assert posted(box) == [{"from": "SREAlert", "to": PHONE, "message": "Brand!", "flashsms": "yes"}]
    assert "iPhones show a flash message as an ordinary SMS" in words(sent)


async def test_an_unknown_number_as_sender_adds_a_note(client: Client) -> None:
    sent = await call(client, "send_sms", to=PHONE, message="Hej", sender="+46701740607", dryRun=True)
    assert "must be the account's own" in words(sent)


async def test_a_dry_run_returns_the_price_and_sends_nothing(client: Client, box: Sandbox) -> None:
    dry = await call(client, "send_sms", to=PHONE, message="Hej!", dryRun=True)
    assert words(dry).startswith("Dry run: nothing was sent")
    assert "1 part (GSM-7), 0.52 SEK" in words(dry)
    assert not dry.is_error
    assert data(dry)["status"] == "dry_run"
    assert posted(box) == []
    assert box.charges == []
    assert posted(box, dry_run=True) == [
        {"from": box.number, "to": PHONE, "message": "Hej!", "dryrun": "yes"}
    ]


@pytest.mark.parametrize("word", [True, "true", "yes", "TRUE", "1"])
async def test_dry_run_can_be_given_as_a_word(box: Sandbox, way: Way, word: object) -> None:
    async with connected(live(box), box=box, way=way) as client:
        await call(client, "send_sms", to=PHONE, message="Hej", dry_run=word)
    assert posted(box) == []


@pytest.mark.parametrize(
    "nothing", [None, "", "  ", "null", "None", "undefined", "nil", "NaN", " NULL "], ids=repr
)
async def test_null_blank_and_the_words_for_null_are_absent_optional_arguments(
    box: Sandbox, way: Way, nothing: str | None
) -> None:
    """P1: a `dryRun` that is null, or the word for it, means the operator's choice."""
    absent: dict[str, Any] = dict.fromkeys(("sender", "flashsms", "idempotencyKey"), nothing)
    dry_run = {"dryRun": nothing} if nothing is None or nothing.strip() else {}
    async with connected(live(box), box=box, way=way) as client:
        for text in ("Hej", "Hej igen"):
            sent = await call(client, "send_sms", to=PHONE, message=text, **absent, **dry_run)
            assert data(sent)["deduplicated"] is False
    assert [form | {"message": ""} for form in posted(box)] == [
        {"from": box.number, "to": PHONE, "message": ""}
    ] * 2


@pytest.mark.parametrize("name", ["dryRun", "dry_run"])
@pytest.mark.parametrize("blank", ["", "  "])
async def test_a_blank_dry_run_is_refused(box: Sandbox, way: Way, name: str, blank: str) -> None:
    """P1: a blank may have meant true, so it does not mean the operator's choice."""
    async with connected(live(box), box=box, way=way) as client:
        for tool in ("send_sms", "ask_by_sms"):
            refused = await call(client, tool, to=PHONE, message="Hej", **{name: blank})
            assert refused.is_error
            assert words(refused).startswith(f"Not sent: `dryRun` cannot be {blank!r}: use true or false.")
    assert posted(box) == []


async def test_the_words_for_null_do_not_lift_a_dry_run(box: Sandbox, way: Way) -> None:
    """P1."""
    async with connected(live(box, DRY_RUN="true"), box=box, way=way) as client:
        dry = await call(client, "send_sms", to=PHONE, message="Hej", dryRun="null")
    assert data(dry)["status"] == "dry_run"
    assert posted(box) == []


async def test_the_words_for_null_are_absent_in_every_tool(client: Client, box: Sandbox) -> None:
    box.receive(PHONE, "Hej")
    history = await call(client, "get_sms_messages", direction="null", limit="undefined")
    assert data(history)["count"] == 1
    assert not (await call(client, "get_delivery_statistics", limit="None")).is_error
    reply = await call(client, "wait_for_reply", sender="null", after="None", timeout=0)
    assert data(reply)["status"] == "no_reply"
    estimate = await call(client, "estimate_sms_cost", to=PHONE, message="Hej", sender="undefined")
    assert not estimate.is_error


async def test_a_required_argument_may_be_the_word_null(client: Client, box: Sandbox) -> None:
    sent = await call(client, "send_sms", to=PHONE, message="null")
    assert data(sent)["status"] == "sent"
    assert [form["message"] for form in posted(box)] == ["null"]
    refused = await call(client, "send_sms", to="null", message="Hej")
    assert refused.is_error
    assert "'null' is not a phone number" in words(refused)


async def test_a_repeated_call_gives_the_same_order_and_a_new_key_another(
    client: Client, box: Sandbox
) -> None:
    first = await call(client, "send_sms", to=PHONE, message="Hej")
    second = await call(client, "send_sms", to="0701740605", message="Hej")
    assert data(second)["orderId"] == data(first)["orderId"]
    assert data(second)["deduplicated"] is True
    assert words(second).startswith("Sent: This repeats an earlier call; nothing new was sent.")
    estimate = await call(client, "estimate_sms_cost", to=PHONE, message="Hej")
    assert f"order {data(first)['orderId']}, under way or at most 15 minutes old, has" in words(estimate)
    third = await call(client, "send_sms", to=PHONE, message="Hej", idempotencyKey="new")
    assert data(third)["deduplicated"] is False
    assert data(third)["orderId"] != data(first)["orderId"]
    assert len(posted(box)) == 2


async def test_one_number_gets_at_most_five_texts_in_ten_minutes(box: Sandbox, way: Way) -> None:
    async with connected(live(box, ELKS_SMS_PER_MINUTE="100000"), box=box, way=way) as client:
        for number in range(5):
            assert not (await call(client, "send_sms", to=PHONE, message=f"Hej {number}")).is_error
        refused = await call(client, "send_sms", to=PHONE, message="Hej 5")
        other = await call(client, "send_sms", to="+46701740606", message="Hej 5")
    assert refused.is_error
    assert "Refused by velocity: " in words(refused)
    assert "ELKS_MAX_PER_NUMBER" in words(refused)
    assert data(other)["status"] == "sent"
    assert len(posted(box)) == 6


async def test_a_repeated_key_gives_the_same_order(client: Client, box: Sandbox) -> None:
    first = await call(client, "send_sms", to=PHONE, message="Hej", idempotencyKey="42")
    second = await call(client, "send_sms", to="070-1740605", message="Hej", idempotencyKey="42")
    assert len(posted(box)) == 1
    assert data(second)["orderId"] == data(first)["orderId"]
    assert data(second)["deduplicated"] is True
    assert "nothing new was sent" in words(second)


async def test_the_charged_price_is_reported_instead_of_the_quoted_one(box: Sandbox) -> None:
    class Dawdler(Person):
        async def __call__(self, context: Any, params: Any) -> ElicitResult:
            box.rules.prices["46"] = 6100
            return await super().__call__(context, params)

    async with connected(live(box, ELKS_CONFIRM="always"), box=box, person=Dawdler()) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Hej")
    assert [charge.amount for charge in box.charges] == [6100]
    assert data(sent)["price"] == {"amount": 0.61, "currency": "SEK"}


async def test_an_estimate_warns_as_the_send_would(box: Sandbox, way: Way) -> None:
    async with connected(live(box), box=box, way=way) as client:
        estimate = await call(client, "estimate_sms_cost", to=PHONE, message="Hej")
        sent = await call(client, "send_sms", to=PHONE, message="Hej")
    is_recognized = way == "stdio"  # its sandbox is at an address of this machine
    assert [*findings(estimate)] == ["first_contact"] if is_recognized else ["placeholder", "first_contact"]
    assert findings(sent) == findings(estimate)


async def test_an_overdrawn_account_pays_for_no_texts(box: Sandbox, way: Way) -> None:
    async with connected(live(box), box=box, way=way) as client:
        await call(client, "estimate_sms_cost", to=PHONE, message="Hej")
        box.balance = -5200
        assert data(await call(client, "check_account_balance"))["textsLeft"] == 0


async def test_a_key_used_for_another_message_is_an_error_that_names_the_difference(
    client: Client, box: Sandbox
) -> None:
    await call(client, "send_sms", to=PHONE, message="Hej", idempotencyKey="42")
    other = await call(client, "send_sms", to="+46701740606", message="Hopp", idempotencyKey="42")
    assert other.is_error
    assert "with another recipient, text" in words(other)
    assert len(posted(box)) == 1


async def test_an_impersonating_sender_is_refused_with_advice(client: Client, box: Sandbox) -> None:
    refused = await call(client, "send_sms", to=PHONE, message="Logga in", sender="P0LICE")
    assert refused.is_error
    assert words(refused).startswith("Not sent: Refused by impersonation: ")
    assert "ELKS_ALLOWED_SENDERS" in words(refused)
    assert posted(box) == []


async def test_all_findings_of_the_guards_are_reported_together(client: Client, box: Sandbox) -> None:
    refused = await call(client, "send_sms", to="+4791234567", message="å" * 1000, sender="SEB")
    for guard in ("allowed_country", "impersonation", "too_many_parts", "sender_usable"):
        assert f"{guard}: " in words(refused)
    assert posted(box) == []


async def test_a_refusal_of_46elks_is_quoted(client: Client, box: Sandbox) -> None:
    box.faults.inject(Fault.FORBIDDEN, method="POST", dryrun=False, text="Invalid to number")
    refused = await call(client, "send_sms", to=PHONE, message="Hej")
    assert refused.is_error
    assert words(refused).startswith('Not sent: 46elks refused the request (403): "Invalid to number".')
    assert "Check the recipient's number." in words(refused)
    assert box.charges == []


@pytest.mark.parametrize(
    ("fault", "said", "todo"),
    [
        (Fault.FORBIDDEN, '"Not enough credits"', "when the account is topped up at 46elks.com"),
        (Fault.UNAUTHORIZED, "does not accept the API credentials", "when ELKS_API_USERNAME and"),
    ],
)
async def test_a_problem_that_the_operator_can_fix_keeps_the_text_queued_with_the_reason(
    client: Client, box: Sandbox, fault: Fault, said: str, todo: str
) -> None:
    box.faults.inject(fault, method="POST", dryrun=False, text="Not enough credits")
    sent = await call(client, "send_sms", to=PHONE, message="Hej")
    assert not sent.is_error
    assert data(sent)["status"] == "queued"
    assert words(sent).startswith("Queued: 46elks ")
    assert said in words(sent)
    assert f"It will be sent automatically, {todo}" in words(sent)
    behind = await call(client, "send_sms", to="+46701740606", message="Hej")
    assert data(behind)["status"] == "queued"
    assert f"It will be sent automatically, {todo}" in words(behind)
    assert box.charges == []


async def test_a_text_that_has_to_wait_says_until_about_when(client: Client, box: Sandbox) -> None:
    box.faults.inject(Fault.TOO_MANY_REQUESTS, method="POST", dryrun=False, retry_after=120)
    sent = await call(client, "send_sms", to=PHONE, message="Hej")
    assert data(sent)["status"] == "queued"
    assert re.search(
        r"It will be sent automatically, at about 2\d{3}-\d\d-\d\d \d\d:\d\d \+00:00,", words(sent)
    )
    status = await call(client, "check_sms_status", messageId=data(sent)["orderId"])
    assert words(status).startswith("Queued: 46elks accepts no more requests for now")


@pytest.mark.parametrize("way", [*ERAS, pytest.param("stdio", marks=pytest.mark.long)])
async def test_in_the_sandbox_every_answer_says_so_and_a_mistaken_name_stops_nothing(way: Way) -> None:
    async with connected({"ELKS_SANDBOX": "true", "ELKS_API_USER": "u"}, way=way) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Hej")
        assert data(sent)["status"] == "sent"
        assert [*findings(sent)] == ["first_contact"]
        for answer in (
            sent,
            await call(client, "check_account_balance"),
            await call(client, "send_sms", to="x"),
        ):
            assert words(answer).startswith("Sandbox: ")


async def test_the_sandbox_in_the_server_accepts_the_servers_own_webhook_address() -> None:
    """It may post to the port of ELKS_PUBLIC_URL: otherwise it would refuse each text for its report."""
    for url in ("http://127.0.0.1:8046", "https://sms.example.com"):
        environ = {"ELKS_SANDBOX": "true", "ELKS_PUBLIC_URL": url}
        async with connected(environ) as client:
            assert data(await call(client, "send_sms", to=PHONE, message="Hej"))["status"] == "sent"


# ── a text that 46elks fails in its answer, and statuses that come out of order ──


@pytest.mark.parametrize("era", ERAS)
async def test_a_text_that_46elks_fails_in_its_answer_is_not_reported_as_sent(era: Era) -> None:
    box = new_box()
    box.faults.inject(Fault.FAILED_AT_ONCE, method="POST", dryrun=False)
    async with connected(live(box), box=box, way=era) as client:
        failed = await call(client, "send_sms", to=PHONE, message="Hej", idempotencyKey="one")
        again = await call(client, "send_sms", to=PHONE, message="Hej", idempotencyKey="one")
        budget = data(await call(client, "explain_policy"))
    for answer in (failed, again):
        assert answer.is_error
        assert words(answer).startswith(
            "Not sent: 46elks accepted it and reported that it failed, without a reason."
        )
        assert "The daily budget counts 0.52 SEK for it." in words(answer)
    assert len(posted(box)) == len(box.charges) == 1
    assert box.handset(PHONE).texts == []
    assert "0.52" in str(budget), "what 46elks charged counts"


async def test_a_text_that_failed_may_be_sent_again() -> None:
    box, clock = new_box(), OurClock()
    box.faults.inject(Fault.FAILED_AT_ONCE, method="POST", dryrun=False)
    async with connected(live(box), box=box, clock=clock) as client:
        assert (await call(client, "send_sms", to=PHONE, message="Hej")).is_error
        clock.advance(timedelta(seconds=1))
        sent = await call(client, "send_sms", to=PHONE, message="Hej")
    assert data(sent)["status"] == "sent"
    assert len(posted(box)) == 2
