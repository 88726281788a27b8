"""Incoming texts prove who wrote them only if the account could not have caused them itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import pytest
from mcp import Client

from elks_mcp.domain.models import Direction
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, SenderId
from elks_mcp.sandbox import Fault, Rules, Sandbox
from elks_mcp.store import StateLocation
from tests.support.clocks import ManualClock, SandboxClock
from tests.support.connecting import (
    PHONE,
    Person,
    box_on,
    call,
    connected,
    data,
    findings,
    live,
    posted,
    until,
    words,
)
from tests.support.provider import OURS, a_draft, an_approval
from tests.support.stores import UNPACED, a_message, a_receipt, allow, claim_one, opened

pytestmark = pytest.mark.anyio

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
FOREIGN = "0771-22 11 22"
UNGUARDED = {"ELKS_GUARDS_OFF": "own_number,unknown_sender,first_contact,night"}
"""The guards that keep such texts from going out at all; another program of the account has none."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["strict", "lax"])
def box(request: pytest.FixtureRequest, clock: ManualClock) -> Sandbox:
    """A 46elks that takes only the account's own numbers as sender, and one that takes any."""
    rules = Rules(own_senders_only=request.param == "strict")
    return Sandbox(clock=SandboxClock(clock), rules=rules)


@pytest.fixture
def lax(clock: ManualClock) -> Sandbox:
    return box_on(clock)


@asynccontextmanager
async def server(box: Sandbox, clock: ManualClock, **environ: str) -> AsyncIterator[Client]:
    async with connected(live(box, **environ), box=box, clock=clock) as client:
        yield client


async def deliver(box: Sandbox, clock: ManualClock, within: timedelta = 2 * MINUTE) -> None:
    """Let texts reach the phones, echoes reach history, and history be read again."""
    clock.advance(within)
    await box.settle()


async def test_a_text_to_the_accounts_own_number_cannot_remove_an_opt_out_p6(
    box: Sandbox, clock: ManualClock
) -> None:
    box.receive(PHONE, "STOP")
    async with server(box, clock) as client:
        forged = await call(client, "send_sms", to=box.number, message="START", sender=PHONE)
        assert forged.is_error
        assert "Refused by own_number" in words(forged)
        assert "Refused by unknown_sender" in words(forged)
        clock.advance(MINUTE)
        refused = await call(client, "send_sms", to=PHONE, message="Hej")
    assert "Refused by opted_out" in words(refused)
    assert posted(box) == []


async def test_an_opt_in_that_the_account_may_have_sent_itself_does_not_count_p6(
    lax: Sandbox, clock: ManualClock
) -> None:
    lax.receive(PHONE, "STOP")
    async with server(lax, clock, **UNGUARDED) as client:
        clock.advance(MINUTE)
        echo = await call(client, "send_sms", to=lax.number, message="START", sender=PHONE)
        assert data(echo)["status"] == "sent"
        await deliver(lax, clock)
        assert [(each.sender, each.text) for each in lax.history][-1] == (PHONE, "START")
        refused = await call(client, "send_sms", to=PHONE, message="Hej")
        assert "Refused by opted_out" in words(refused)
        await deliver(lax, clock, 11 * MINUTE)
        lax.receive(PHONE, "START")
        await deliver(lax, clock)
        assert data(await call(client, "send_sms", to=PHONE, message="Hej"))["status"] == "sent"


async def test_an_opt_out_counts_even_if_the_account_may_have_sent_it_itself_p6(
    lax: Sandbox, clock: ManualClock
) -> None:
    async with server(lax, clock, **UNGUARDED) as client:
        await call(client, "send_sms", to=lax.number, message="STOP", sender=PHONE)
        await deliver(lax, clock)
        refused = await call(client, "send_sms", to=PHONE, message="Hej")
    assert "Refused by opted_out" in words(refused)


async def test_an_echo_does_not_reset_how_often_a_number_may_be_texted(
    lax: Sandbox, clock: ManualClock
) -> None:
    async with server(lax, clock, **UNGUARDED) as client:
        for number in range(5):
            await call(client, "send_sms", to=PHONE, message=f"Nummer {number}")
            clock.advance(SECOND)  # the pace
        await call(client, "send_sms", to=lax.number, message="Hej", sender=PHONE)
        await deliver(lax, clock)
        refused = await call(client, "send_sms", to=PHONE, message="Nummer 6")
    assert "Refused by velocity" in words(refused)


async def test_an_echo_makes_no_number_known(lax: Sandbox, clock: ManualClock) -> None:
    person = Person("decline")
    unguarded = live(lax, ELKS_GUARDS_OFF="own_number,unknown_sender,night")
    async with connected(unguarded, box=lax, clock=clock, person=person) as client:
        lax.receive(lax.number, "Test")  # known, so that the next text needs nobody
        await call(client, "send_sms", to=lax.number, message="Hej", sender=PHONE)
        await deliver(lax, clock)
        assert (await call(client, "send_sms", to=PHONE, message="Hej")).is_error
    (question,) = person.questions
    assert "because of: first_contact" in question


async def test_an_echo_is_no_answer_to_a_question(lax: Sandbox, clock: ManualClock) -> None:
    answers = []
    async with server(lax, clock, **UNGUARDED) as client, anyio.create_task_group() as calls:

        async def ask() -> None:
            asked = await call(client, "ask_by_sms", to=PHONE, message="Kommer du?", timeout=120)
            answers.append(data(asked)["reply"])

        calls.start_soon(ask)
        while not posted(lax):
            await anyio.lowlevel.checkpoint()
        clock.advance(SECOND)  # the pace
        forged = await call(client, "send_sms", to=lax.number, message="Ja, Bo", sender=PHONE)
        assert data(forged)["status"] == "sent"
        await deliver(lax, clock, 20 * SECOND)
        assert any(each.text == "Ja, Bo" and each.direction == "incoming" for each in lax.history)
        await until(lambda: bool(answers), clock=clock)
        assert [reply["status"] for reply in answers] == ["no_reply"]
        await deliver(lax, clock, 11 * MINUTE)
        lax.receive(PHONE, "Nej")
        answer = await call(client, "wait_for_reply", after=answers[0]["cursor"], timeout=0)
    assert data(answer)["message"]["untrustedText"] == "Nej"


async def test_a_number_that_is_not_the_accounts_is_refused_as_sender(
    box: Sandbox, clock: ManualClock
) -> None:
    async with server(box, clock) as client:
        for sender in (FOREIGN, PHONE, "+4790000000"):
            refused = await call(client, "send_sms", to="+46701740606", message="Hej", sender=sender)
            assert refused.is_error
            assert "Refused by unknown_sender" in words(refused)
            assert "ELKS_PHONE_NUMBER" in words(refused)
            assert "ELKS_ALLOWED_SENDERS" in words(refused)
    assert posted(box) == []


async def test_a_dry_run_and_an_estimate_warn_of_a_sender_that_is_not_the_accounts(
    lax: Sandbox, clock: ManualClock
) -> None:
    async with server(lax, clock, DRY_RUN="true") as client:
        for tool in ("send_sms", "estimate_sms_cost"):
            answer = await call(client, tool, to=PHONE, message="Hej", sender=FOREIGN)
            assert not answer.is_error
            assert "is not a number of this 46elks account" in findings(answer)["unknown_sender"]
            effects = {each["guard"]: each["effect"] for each in data(answer)["findings"]}
            assert effects["unknown_sender"] == "warn"


async def test_a_number_that_46elks_lists_or_the_operator_configured_is_accepted_as_sender(
    box: Sandbox, clock: ManualClock
) -> None:
    async with server(box, clock, ELKS_PHONE_NUMBER="Verkstan") as client:
        sent = await call(client, "send_sms", to=PHONE, message="Hej", sender=box.number)
    assert data(sent)["status"] == "sent"
    box.rules.own_senders_only = False
    async with server(box, clock, ELKS_ALLOWED_SENDERS="+46701740688") as client:
        sent = await call(client, "send_sms", to=PHONE, message="Hej igen", sender="+46701740688")
    assert data(sent)["status"] == "sent"


async def test_if_the_list_of_numbers_cannot_be_read_only_configured_ones_are_accepted(
    lax: Sandbox, clock: ManualClock
) -> None:
    lax.faults.inject(Fault.FORBIDDEN, method="GET", path="/numbers", times=None, text="Not for subaccounts")
    async with server(lax, clock) as client:
        refused = await call(client, "send_sms", to=PHONE, message="Hej", sender=FOREIGN)
        assert "list of them could not be read" in words(refused)
        assert "Not for subaccounts" in words(refused)
        assert data(await call(client, "send_sms", to=PHONE, message="Hej"))["status"] == "sent"


async def test_a_sender_name_that_was_not_configured_needs_a_persons_approval(
    lax: Sandbox, clock: ManualClock
) -> None:
    person = Person("decline")
    lax.receive(PHONE, "Hej")
    async with connected(live(lax), box=lax, clock=clock, person=person) as client:
        await call(client, "send_sms", to=PHONE, message="Hej", sender="Verkstan")
    (question,) = person.questions
    assert "because of: unknown_sender." in question


async def test_the_operator_may_text_the_senders_number(lax: Sandbox, clock: ManualClock) -> None:
    async with server(lax, clock) as client:
        sent = await call(client, "send_sms", to=lax.number, message="Test")
    assert data(sent)["status"] == "sent"


@pytest.mark.parametrize("known", ["its receipt", "its attempt"])
@pytest.mark.parametrize("ahead", [15 * MINUTE, -15 * MINUTE])
async def test_an_echo_is_recognized_although_this_machine_s_clock_differs_from_46elks_p6(
    location: StateLocation, clock: ManualClock, ahead: timedelta, known: str
) -> None:
    """An echo reported by webhook says 46elks' time; so do 46elks' answers, and its Date headers."""
    async with opened(location, clock) as store:
        at = clock.now() - ahead
        stop, start = (
            a_message(word, at=at + after, direction=Direction.INBOUND)
            for word, after in (("STOP", -HOUR), ("START", MINUTE))
        )
        await store.inbound.record_webhooks([stop], [])
        draft = Draft(to=Number(OURS.e164), payload=Sms(text="START"), sender=SenderId(PHONE))
        await store.orders.place(an_approval(draft), allow)
        claim = await claim_one(store, UNPACED._replace(provider_now=at if known == "its attempt" else None))
        if known == "its receipt":
            await store.queue.settle_sent(claim, a_receipt().model_copy(update={"created_at": at}))
        await store.inbound.record_webhooks([start], [])
        assert (await store.orders.find_prior(a_draft())).recall.opted_out
