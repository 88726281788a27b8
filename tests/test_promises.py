"""P1–P5: what goes out, once, at which cost."""

import itertools
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequestFormParams, ElicitResult, InputRequiredResult

from elks_mcp.sandbox import Fault, Sandbox
from tests.support.clocks import ManualClock as OurClock
from tests.support.clocks import at_rest, autojump, pass_time
from tests.support.connecting import (
    EITHER_ERA,
    ERAS,
    PHONE,
    Era,
    Person,
    SlowPerson,
    ask_by_hand,
    box_on,
    call,
    cancel_once,
    connected,
    data,
    live,
    new_box,
    posted,
    until,
    words,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def box() -> Sandbox:
    """A 46elks to text through."""
    return new_box()


def question_of(asked: InputRequiredResult) -> str:
    """Return the question of a round."""
    (request,) = (asked.input_requests or {}).values()
    assert isinstance(request.params, ElicitRequestFormParams)
    return request.params.message


async def answer_by_hand(client: Client, arguments: dict[str, Any], asked: InputRequiredResult) -> None:
    """Call again, with yes to what was asked."""
    yes = ElicitResult(action="accept", content={"send": True})
    await client.session.call_tool(
        "send_sms",
        arguments,
        allow_input_required=True,
        input_responses=dict.fromkeys(asked.input_requests or {}, yes),
        request_state=asked.request_state,
    )


# ── P1 ──


@pytest.mark.parametrize("era", ERAS)
async def test_p1_nothing_is_sent_in_dry_run_whatever_a_model_says(box: Sandbox, era: Era) -> None:
    says: list[Any] = [True, False, None, "", "true", "false", "yes", "no", 0, 1]
    also: list[dict[str, Any]] = [{}, {"sender": "Klara"}, {"flashsms": "yes"}, {"idempotencyKey": "k"}]
    for setting in ({"DRY_RUN": "true"}, {"DRY_RUN": ""}, {"ELKS_READ_ONLY": "yes"}):
        async with connected(live(box, **setting), box=box, way=era) as client:
            for word, more in itertools.product(says, also):
                await call(client, "send_sms", to=PHONE, message="Hej", dryRun=word, **more)
            await call(client, "send_sms", to=PHONE, message="Hej")
    assert posted(box, dry_run=True)
    assert (posted(box), box.charges) == ([], [])


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_p1_a_requested_dry_run_is_always_one(box: Sandbox, era: Era) -> None:
    async with connected(live(box), box=box, way=era, person=Person()) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej https://46elks.se", dryRun=True)
    assert data(answer)["status"] == "dry_run"
    assert posted(box) == []


async def test_p1_without_credentials_nothing_is_sent_and_46elks_is_not_asked(box: Sandbox) -> None:
    person = Person()
    async with connected({"DRY_RUN": "false"}, box=box, person=person) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej", dryRun=False)
    assert "Missing required environment variables" in words(answer)
    assert (box.requests, person.questions) == ([], [])


# What an operator may set so that nothing is sent.
SENDS_NOTHING = {
    "dry run": {"DRY_RUN": "true"},
    "read-only": {"ELKS_READ_ONLY": "true"},
    "sandbox": {"ELKS_SANDBOX": "true"},
    "no credentials": {"ELKS_API_USERNAME": "", "ELKS_API_PASSWORD": ""},
    "a mistaken name": {"ELKS_API_USER": "u"},
    "other credentials": {"ELKS_API_USERNAME": "u" + "0" * 32},
}


@pytest.mark.parametrize("who", SENDS_NOTHING)
async def test_p1_a_server_that_may_not_send_neither_sends_nor_loses_queued_orders(
    tmp_path: Path, who: str
) -> None:
    clock = OurClock()
    box = box_on(clock)
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    box.faults.inject(Fault.TOO_MANY_REQUESTS, method="POST", dryrun=False, retry_after=60)
    async with connected(environ, box=box, clock=clock) as client:
        queued = data(await call(client, "send_sms", to=PHONE, message="Hej"))
    assert queued["status"] == "queued"
    async with connected(environ | SENDS_NOTHING[who], box=box, clock=clock, person=Person()) as client:
        await pass_time(clock, timedelta(minutes=3))
        for says in (None, True, False):
            await call(client, "send_sms", to="+46701740606", message="Hopp", dryRun=says)
        await pass_time(clock, timedelta(minutes=3))
    assert [form["message"] for form in posted(box)].count("Hej") == 1, "46elks put it off, and that was all"
    assert "Hej" not in [message.text for message in box.accepted]
    async with connected(environ, box=box, clock=clock) as client:
        await pass_time(clock, timedelta(minutes=1))
        await until(lambda: "Hej" in [message.text for message in box.accepted])
        again = data(await call(client, "send_sms", to=PHONE, message="Hej"))
    assert (again["orderId"], again["status"]) == (queued["orderId"], "sent")
    assert [message.text for message in box.accepted].count("Hej") == 1


# ── P2 ──


@pytest.mark.parametrize("era", ERAS)
async def test_p2_exactly_the_approved_text_goes_out(box: Sandbox, era: Era) -> None:
    person = Person()
    async with connected(live(box, DRY_RUN="true"), box=box, way=era, person=person) as client:
        await call(
            client, "send_sms", to="070-174 06 05", message=" Hej  på dig \n", sender="Klara", dryRun=False
        )
    assert posted(box) == [{"from": "Klara", "to": PHONE, "message": " Hej  på dig \n"}]
    assert all(shown in person.questions[0] for shown in (PHONE, "Klara", "|  Hej  på dig \n| ", "0.52 SEK"))


@pytest.mark.parametrize(
    "change", [{"to": "+46701740606"}, {"message": "Hopp"}, {"from": "Klara"}, {"flashsms": "yes"}]
)
async def test_p2_a_text_that_changes_between_question_and_answer_needs_a_new_approval(
    box: Sandbox, change: dict[str, str]
) -> None:
    arguments: dict[str, Any] = {"to": PHONE, "message": "Hej", "dryRun": False}
    async with connected(live(box, DRY_RUN="true"), box=box, person=Person()) as client:
        asked = await ask_by_hand(client, arguments)
        with pytest.raises(MCPError, match="requestState"):
            await answer_by_hand(client, arguments | change, asked)
        other = await ask_by_hand(client, arguments | change)
        assert question_of(other) != question_of(asked)
        assert posted(box) == []
        await answer_by_hand(client, arguments | change, other)
    (form,) = posted(box)
    assert {name: form[name] for name in change} == change


# ── P3 ──


@pytest.mark.parametrize("era", ERAS)
async def test_p3_an_approval_works_once(box: Sandbox, era: Era) -> None:
    person = Person()
    environ = live(box, DRY_RUN="true", ELKS_GUARDS_OFF="repeated", ELKS_SMS_PER_MINUTE="100000")
    async with connected(environ, box=box, way=era, person=person) as client:
        for _ in range(3):
            await call(client, "send_sms", to=PHONE, message="Hej", dryRun=False)
    assert len(person.questions) == len(posted(box)) == 3, "each text has a yes of its own"
    numbers = [re.findall(r"Approval (A-[0-9A-Z]{4})\.", question) for question in person.questions]
    assert len({number for (number,) in numbers}) == 3


@pytest.mark.parametrize("switched_off", ["", "repeated"])
async def test_p3_a_replayed_answer_sends_nothing_now_nor_after_a_restart(
    box: Sandbox, tmp_path: Path, switched_off: str
) -> None:
    arguments: dict[str, Any] = {"to": PHONE, "message": "Hej", "dryRun": False}
    environ = live(box, DRY_RUN="true", ELKS_STATE_DIR=str(tmp_path), ELKS_GUARDS_OFF=switched_off)
    async with connected(environ, box=box, person=Person()) as client:
        asked = await ask_by_hand(client, arguments)
        async with anyio.create_task_group() as answers:
            for _ in range(8):
                answers.start_soon(answer_by_hand, client, arguments, asked)
        await answer_by_hand(client, arguments, asked)
        left_open = await ask_by_hand(client, arguments | {"message": "Hopp"})
    for _ in range(2):
        async with connected(environ, box=box, person=Person()) as client:
            for message, question in (("Hej", asked), ("Hopp", left_open)):
                with pytest.raises(MCPError, match="requestState"):
                    await answer_by_hand(client, arguments | {"message": message}, question)
    assert [form["message"] for form in posted(box)] == ["Hej"]


@pytest.mark.parametrize("era", ERAS)
async def test_p3_two_simultaneous_approvals_on_two_servers_send_one_text(
    box: Sandbox, tmp_path: Path, era: Era
) -> None:
    environ = live(box, ELKS_CONFIRM="always", ELKS_STATE_DIR=str(tmp_path))
    people, both_asked = (SlowPerson(), SlowPerson()), anyio.Event()
    orders: list[str] = []

    async def ask(person: SlowPerson) -> None:
        person.answers = both_asked
        async with connected(environ, box=box, way=era, person=person) as client:
            orders.append(data(await call(client, "send_sms", to=PHONE, message="Hej"))["orderId"])

    async with anyio.create_task_group() as clients:
        for person in people:
            clients.start_soon(ask, person)
        await until(lambda: all(person.questions for person in people))
        both_asked.set()
    assert people[0].questions == people[1].questions, "it is one order, so it is one question"
    assert len(posted(box)) == len(set(orders)) == 1


# ── P4 ──


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_p4_a_repeated_call_sends_nothing_new(box: Sandbox, era: Era) -> None:
    answers = []
    async with connected(live(box), box=box, way=era) as client:

        async def send() -> None:
            answers.append(data(await call(client, "send_sms", to=PHONE, message="Hej")))

        async with anyio.create_task_group() as calls:
            for _ in range(8):
                calls.start_soon(send)
        await send()
    assert len(posted(box)) == 1
    assert len({answer["orderId"] for answer in answers}) == 1
    assert [answer["deduplicated"] for answer in answers].count(False) == 1
    assert {answer["status"] for answer in answers} == {"sent"}


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_p4_two_servers_on_one_state_send_one_text_once(box: Sandbox, tmp_path: Path, era: Era) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path), ELKS_SMS_PER_MINUTE="100000", ELKS_MAX_PER_NUMBER="50")
    answers: dict[str, set[str]] = {}
    async with (
        connected(environ, box=box, way=era) as one,
        connected(environ, box=box, way=era) as other,
        anyio.create_task_group() as calls,
    ):

        async def send(client: Client, text: str, key: str) -> None:
            answer = data(await call(client, "send_sms", to=PHONE, message=text, idempotencyKey=key))
            answers.setdefault(text, set()).add(answer["orderId"])

        for number, client in itertools.product(range(6), (one, other, one, other)):
            calls.start_soon(send, client, f"Hej {number}", f"key {number}" if number % 2 else "")
    assert sorted(form["message"] for form in posted(box)) == [f"Hej {number}" for number in range(6)]
    assert [len(orders) for orders in answers.values()] == [1] * 6


CANCELLED = {
    "before the price": {"fault": Fault.HANG, "method": "GET", "path": "/sms"},
    "while the price is asked for": {"fault": Fault.HANG, "method": "POST", "dryrun": True},
    "while it is sent, and lost": {"fault": Fault.HANG, "method": "POST", "dryrun": False},
    "while it is sent, and accepted": {"fault": Fault.LATENCY, "method": "POST", "dryrun": False},
}


@pytest.mark.parametrize("phase", CANCELLED)
@pytest.mark.parametrize("era", ERAS)
async def test_p4_a_cancelled_call_has_one_outcome_and_repeating_it_returns_that(
    era: Era, phase: str
) -> None:
    clock = OurClock()
    box = box_on(clock)
    async with connected(live(box, ELKS_TIMEOUT="0.3"), box=box, way=era, clock=clock) as client:
        spoilt: dict[str, Any] = CANCELLED[phase]
        box.faults.inject(**spoilt)
        arrived = lambda: any(request.fault for request in box.requests)  # noqa: E731
        await cancel_once(arrived, client, to=PHONE, message="Hej")
        async with autojump(clock):
            again = data(await call(client, "send_sms", to=PHONE, message="Hej"))
        assert again["deduplicated"] is phase.startswith("while it is sent")
        assert again["status"] == ("in_doubt" if again["deduplicated"] else "sent")
        await pass_time(clock, timedelta(minutes=4))
        await until(lambda: len(box.accepted) == 1)
        await pass_time(clock, timedelta(minutes=4))
        status = data(await call(client, "check_sms_status", messageId=again["orderId"]))
    assert status["messageId"] == box.accepted[0].id
    assert len(box.charges) == 1


@pytest.mark.parametrize("era", ERAS)
async def test_p4_a_call_cancelled_while_a_person_is_asked_sends_nothing_until_one_approves(
    box: Sandbox, era: Era
) -> None:
    person = SlowPerson()
    async with connected(live(box, ELKS_CONFIRM="always"), box=box, way=era, person=person) as client:
        await cancel_once(lambda: bool(person.questions), client, to=PHONE, message="Hej")
        await at_rest()
        assert posted(box) == []
        person.answers.set()
        again = data(await call(client, "send_sms", to=PHONE, message="Hej"))
    assert again["status"] == "sent"
    assert len(posted(box)) == 1
    assert len(set(person.questions)) == 1, "it is the same order still"


# ── P5 ──


@pytest.mark.parametrize("era", ERAS)
async def test_p5_two_servers_on_one_state_never_exceed_the_daily_budget(tmp_path: Path, era: Era) -> None:
    clock = OurClock()
    box = box_on(clock)
    environ = live(
        box, ELKS_STATE_DIR=str(tmp_path), ELKS_BUDGET_PER_DAY="1.60", ELKS_SMS_PER_MINUTE="100000"
    )
    refusals: list[str] = []

    async def send(client: Client, number: int) -> None:
        answer = await call(client, "send_sms", to=f"+467017406{number}", message=f"Hej {number}")
        refusals.extend([words(answer)] if answer.is_error else [])

    async with (
        connected(environ, box=box, way=era, clock=clock) as one,
        connected(environ, box=box, way=era, clock=clock) as other,
        anyio.create_task_group() as calls,
    ):
        for number, client in zip(range(20, 32), itertools.cycle((one, other)), strict=False):
            calls.start_soon(send, client, number)
        await until(lambda: len(refusals) == 9)
        await until(lambda: len(box.charges) == 3, clock=clock)
    assert sum(charge.amount for charge in box.charges) == 3 * 5200
    assert len(refusals) == 9
    assert all("Refused by daily_budget: " in refusal for refusal in refusals)
    assert "0.04 SEK is left of the 1.60 SEK for any 24 hours" in refusals[0]
    assert "ELKS_BUDGET_PER_DAY" in refusals[0]
    async with connected(environ, box=box, way=era, clock=clock) as client:
        assert (await call(client, "send_sms", to=PHONE, message="Hej")).is_error, "a restart changes nothing"
        clock.advance(timedelta(hours=24))
        later = data(await call(client, "send_sms", to=PHONE, message="Hej"))
    assert later["status"] == "sent"


async def test_p5_an_unknown_order_counts_as_spent() -> None:
    clock = OurClock()
    box = box_on(clock)
    environ = live(box, ELKS_BUDGET_PER_DAY="0.60")
    box.faults.inject(Fault.DROP_BEFORE, method="POST", dryrun=False)
    box.faults.inject(Fault.UNAVAILABLE, method="GET", path="/sms", times=None, skip=1)
    async with connected(environ, box=box, clock=clock) as client:
        doubtful = data(await call(client, "send_sms", to=PHONE, message="Hej"))
        assert doubtful["status"] == "in_doubt"
        clock.advance(timedelta(minutes=60))
        await pass_time(clock, timedelta(minutes=1))
        unknown = data(await call(client, "check_sms_status", messageId=doubtful["orderId"]))
        assert unknown["status"] == "unknown"
        box.faults.clear()
        refused = await call(client, "send_sms", to="+46701740606", message="Hej")
    assert "Refused by daily_budget: " in words(refused)
