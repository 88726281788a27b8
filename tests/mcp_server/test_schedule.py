"""Scheduled texts: `sendAt`, `list_scheduled`, and the reports about missed ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import pytest
from mcp import Client

from elks_mcp.sandbox import Sandbox
from tests.support.clocks import ManualClock, pass_time
from tests.support.connecting import (
    EITHER_ERA,
    ERAS,
    PHONE,
    WAYS,
    Era,
    Person,
    SlowPerson,
    Way,
    box_on,
    call,
    connected,
    data,
    live,
    new_box,
    posted,
    until,
    words,
)
from tests.support.people import Book, person
from tests.support.stores import files_with
from tests.support.web import site

pytestmark = pytest.mark.anyio

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
IN_TEN_MINUTES = "2026-11-23T13:10"
"""Ten minutes after the clock of these tests begins, in Sweden."""

THEN = "Monday 2026-11-23 13:10 +01:00 (Europe/Stockholm)"
TOO_LATE = (
    "It was too late to send it: no server that may send was running in time, or 46elks did not answer."
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> Sandbox:
    """A 46elks that has the server's clock."""
    return box_on(clock)


def who_sends(state: Path) -> str:
    """Return what an answer says about the server that sends a scheduled text, without the first word."""
    return (
        "is sent only if a client with this server is open then, or a server runs that was started with "
        f'`elks-mcp serve --state-dir "{state}"`.'
    )


async def schedule(client: Client, message: str = "Hej", at: str = IN_TEN_MINUTES, **more: Any) -> str:
    """Schedule a text, and return its order."""
    answer = data(await call(client, "send_sms", to=PHONE, message=message, sendAt=at, **more))
    assert answer["status"] == "scheduled"
    return str(answer["orderId"])


# ── sending later ──


@pytest.mark.parametrize("era", ERAS)
async def test_p13_a_scheduled_text_leaves_at_its_time_and_not_before(
    box: Sandbox, clock: ManualClock, era: Era, tmp_path: Path
) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    async with connected(environ, box=box, clock=clock, way=era) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej", sendAt=IN_TEN_MINUTES)
        assert words(answer).startswith(
            f"Scheduled: it goes out on {THEN}, at most 60 minutes late or not at all. It can be cancelled "
            f"until then. It {who_sends(tmp_path)} To {PHONE} (Sweden) from {box.number}: 1 part"
        )
        order_id = data(answer)["orderId"]
        assert (
            f"For its status, call check_sms_status, or to cancel it cancel_sms: order {order_id}."
            in words(answer)
        )
        assert (data(answer)["status"], data(answer)["sendAt"]) == ("scheduled", "2026-11-23T12:10:00Z")
        await pass_time(clock, 10 * MINUTE - timedelta(seconds=1))
        assert posted(box) == []
        await pass_time(clock, MINUTE)
        assert posted(box) == [{"from": box.number, "to": PHONE, "message": "Hej"}]
        status = data(await call(client, "check_sms_status", messageId=order_id))
        assert status["status"] in {"created", "sent", "delivered"}
    (sent,) = box.accepted
    assert timedelta() <= sent.created_at - datetime(2026, 11, 23, 12, 10, tzinfo=UTC) < MINUTE


async def test_a_dry_run_names_the_time_and_schedules_nothing(
    box: Sandbox, clock: ManualClock, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    environ = live(box, DRY_RUN="true", ELKS_STATE_DIR=str(state))
    async with connected(environ, box=box, clock=clock) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej", sendAt=IN_TEN_MINUTES)
        assert f" It would go out on {THEN}. To " in words(answer)
        assert data(answer)["sendAt"] == "2026-11-23T12:10:00Z"
        listed = await call(client, "list_scheduled")
    assert words(listed).startswith("No text is scheduled. Now 2026-11-23 12:00 (UTC).")
    assert posted(box) == []
    assert not state.exists()


@pytest.mark.parametrize(
    ("to", "more", "time"),
    [
        (PHONE, {"sendAt": "2026-12-01T09:00"}, "Tuesday 2026-12-01 09:00 +01:00 (Europe/Stockholm)"),
        (
            PHONE,
            {"sendAt": "2026-12-01T09:00", "timeZone": "America/New_York"},
            "Tuesday 2026-12-01 15:00 +01:00 (Europe/Stockholm)",
        ),
        (
            PHONE,
            {"sendAt": "2026-12-01 23:30-03:00"},
            "Wednesday 2026-12-02 03:30 +01:00 (Europe/Stockholm)",
        ),
        (
            "+12015550123",
            {"sendAt": "2026-12-01T09:00"},
            "Tuesday 2026-12-01 09:00 -05:00 (America/New_York)",
        ),
        ("+61412345678", {"sendAt": "2026-12-01T09:00"}, "Tuesday 2026-12-01 09:00 +02:00 (Europe/Helsinki)"),
    ],
    ids=["recipient's zone", "named zone", "offset", "abroad", "several zones"],
)
async def test_the_answer_says_which_zone_and_weekday_a_time_is_in(
    box: Sandbox, clock: ManualClock, to: str, more: dict[str, str], time: str
) -> None:
    settings = {"ELKS_TIME_ZONE": "Europe/Helsinki", "ELKS_ALLOWED_COUNTRIES": "SE,US,AU"}
    async with connected(live(box, DRY_RUN="1", **settings), box=box, clock=clock) as client:
        answer = await call(client, "send_sms", to=to, message="Hej", **more)
    assert f"It would go out on {time}." in words(answer)


@pytest.mark.parametrize("era", EITHER_ERA)
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"sendAt": "2026-11-23T12:59"}, "The send time is past: it is 2026-11-23 13:00 +01:00 now."),
        ({"sendAt": "2026-11-23T13:00"}, "The send time is past"),
        ({"sendAt": "2026-12-28T13:01"}, "The send time is more than 35 days ahead."),
        ({"sendAt": "2026-12-01"}, "The send time has no time of day."),
        (
            {"sendAt": "i morgon kl. 9"},
            "The send time cannot be 'i morgon kl. 9': write a time as 2026-11-30T09:00",
        ),
        ({"sendAt": "12/1 10:00"}, "The send time cannot be '12/1 10:00'"),
        ({"sendAt": IN_TEN_MINUTES, "timeZone": "Sverige"}, "The time zone cannot be 'Sverige'"),
        ({"sendAt": IN_TEN_MINUTES, "timeZone": "../../etc/passwd"}, "The time zone cannot be"),
        ({"timeZone": "Europe/Stockholm"}, "A time zone is only for a send time."),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_p13_a_time_that_is_not_clear_schedules_nothing(
    box: Sandbox, clock: ManualClock, era: Era, more: dict[str, str], said: str
) -> None:
    async with connected(live(box), box=box, clock=clock, way=era) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej", **more)
        assert answer.is_error
        assert words(answer).startswith(f"Not sent: {said}")
        assert data(await call(client, "list_scheduled"))["scheduled"] == []
    assert posted(box) == []


@pytest.mark.parametrize(
    ("start", "at", "said"),
    [
        (
            datetime(2027, 3, 1, tzinfo=UTC),
            "2027-03-28T02:30",
            "does not exist. Write 2027-03-28T01:30+01:00 or 2027-03-28T03:30+02:00.",
        ),
        (
            datetime(2027, 10, 1, tzinfo=UTC),
            "2027-10-31T02:30",
            "exists twice. Write 2027-10-31T02:30+02:00 or 2027-10-31T02:30+01:00.",
        ),
    ],
    ids=["forward", "back"],
)
async def test_p13_a_time_that_a_clock_change_skips_or_repeats_is_refused_with_both_readings(
    start: datetime, at: str, said: str
) -> None:
    clock = ManualClock(start)
    box = box_on(clock)
    async with connected(live(box, DRY_RUN="1"), box=box, clock=clock) as client:
        refused = await call(client, "send_sms", to=PHONE, message="Hej", sendAt=at)
        assert refused.is_error
        assert said in words(refused)
        *_, later = said.rstrip(".").split()
        accepted = await call(client, "send_sms", to=PHONE, message="Hej", sendAt=later)
        shown = later.replace("T", " ").replace("+", " +")
        assert f"It would go out on Sunday {shown} (Europe/Stockholm)." in words(accepted)


# ── repeats ──


async def test_p4_the_same_text_at_the_same_time_is_scheduled_once_and_on_two_days_twice(
    box: Sandbox, clock: ManualClock
) -> None:
    async with connected(live(box), box=box, clock=clock) as client:
        monday = await schedule(client, at="2026-11-30T09:00")
        tuesday = await schedule(client, at="2026-12-01T09:00")
        again = data(await call(client, "send_sms", to=PHONE, message="Hej", sendAt="2026-12-01T09:00"))
        assert (again["orderId"], again["deduplicated"]) == (tuesday, True)
        assert again["summary"].startswith(
            "Scheduled: This repeats an earlier call; nothing new was sent. It goes out on Tuesday 2026-12-01"
        )
        listed = data(await call(client, "list_scheduled"))["scheduled"]
    assert [each["orderId"] for each in listed] == [monday, tuesday]


async def test_p4_a_key_does_not_stand_for_another_time(box: Sandbox, clock: ManualClock) -> None:
    async with connected(live(box), box=box, clock=clock) as client:
        await schedule(client, at="2026-11-30T09:00", idempotencyKey="k")
        other = {"sendAt": "2026-12-01T09:00", "idempotencyKey": "k"}
        answer = await call(client, "send_sms", to=PHONE, message="Hej", **other)
    assert answer.is_error
    assert "with another send time" in words(answer)


# ── the form ──


@pytest.mark.parametrize("way", WAYS)
async def test_p2_the_form_names_the_time_and_exactly_that_time_is_scheduled(way: Way) -> None:
    box, approver = new_box(), Person()
    at = (datetime.now(ZoneInfo("Europe/Stockholm")) + timedelta(days=2)).replace(second=0, microsecond=0)
    iso = at.isoformat(timespec="minutes")
    when = f"{at:%A} {iso[:10]} {iso[11:16]} {iso[16:]} (Europe/Stockholm)"
    environ = live(box, ELKS_CONFIRM="always")
    async with connected(environ, box=box, way=way, person=approver) as client:
        order_id = await schedule(client, at=iso)
        (listed,) = data(await call(client, "list_scheduled"))["scheduled"]
        cancelled = data(await call(client, "cancel_sms", orderId=order_id))
    goes_out = f"It goes out on {when}, at most 60 minutes late or not at all."
    lines = approver.questions[0].split("\n")
    assert lines[1] == f"1 part, 0.52 SEK, on {when}. The text, behind a bar on each line:"
    assert lines[-1] == goes_out
    assert (listed["orderId"], listed["when"], listed["text"]) == (order_id, when, "Hej")
    assert cancelled["status"] == "cancelled"
    assert posted(box) == []


@pytest.mark.parametrize("era", ERAS)
async def test_p2_p13_an_approved_text_leaves_at_the_time_that_the_form_named(
    box: Sandbox, clock: ManualClock, era: Era
) -> None:
    approver = Person()
    environ = live(box, ELKS_CONFIRM="always", ELKS_LATEST="15")
    async with connected(environ, box=box, clock=clock, way=era, person=approver) as client:
        await schedule(client, "Kl. 10 på lördag!")
        assert f"It goes out on {THEN}, at most 15 minutes late or not at all." in approver.questions[0]
        await pass_time(clock, 9 * MINUTE)
        assert posted(box) == []
        await pass_time(clock, 2 * MINUTE)
    assert posted(box) == [{"from": box.number, "to": PHONE, "message": "Kl. 10 på lördag!"}]
    assert len(approver.questions) == 1


@pytest.mark.parametrize("era", ERAS)
async def test_p13_a_text_that_is_approved_shortly_after_its_time_leaves_immediately(
    box: Sandbox, clock: ManualClock, era: Era
) -> None:
    approver = SlowPerson()
    answers = []
    environ = live(box, ELKS_CONFIRM="always")
    async with connected(environ, box=box, clock=clock, way=era, person=approver) as client:
        async with anyio.create_task_group() as calls:

            async def send() -> None:
                at = "2026-11-23T13:02"
                answers.append(await call(client, "send_sms", to=PHONE, message="Hej", sendAt=at))

            calls.start_soon(send)
            await until(lambda: bool(approver.questions))
            await pass_time(clock, 3 * MINUTE)
            approver.answers.set()
        await pass_time(clock, MINUTE)
    assert not answers[0].is_error, words(answers[0])
    assert len(posted(box)) == 1


async def test_an_answer_about_a_text_that_waits_names_its_time(box: Sandbox, clock: ManualClock) -> None:
    async with connected(live(box, ELKS_CONFIRM="always"), box=box, clock=clock) as client:
        answer = await call(client, "send_sms", to=PHONE, message="Hej", sendAt=IN_TEN_MINUTES)
    assert answer.is_error
    assert f" It goes out on {THEN}, at most 60 minutes late or not at all. This client" in words(answer)


# ── listing, looking up, cancelling ──


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_scheduled_texts_are_listed_with_name_time_and_first_words(
    box: Sandbox, clock: ManualClock, era: Era, tmp_path: Path
) -> None:
    book, environ = Book(person("Åsa Lind", PHONE)), live(box, ELKS_STATE_DIR=str(tmp_path))
    long = "Rad ett\nrad två " + "och så vidare " * 20
    async with connected(environ, box=box, clock=clock, way=era, contacts=book) as client:
        late = await schedule(client, long, at="2026-12-01T09:00")
        soon = await schedule(client, "Hej", at="2026-11-24T09:00")
        answer = await call(client, "list_scheduled")
    assert words(answer) == (
        "2 texts are scheduled, the earliest first. Now 2026-11-23 12:00 (UTC). "
        f"Each text {who_sends(tmp_path)}\n"
        f"- Tuesday 2026-11-24 09:00 +01:00 (Europe/Stockholm), {soon}, to Åsa Lind ({PHONE}): Hej\n"
        f"- Tuesday 2026-12-01 09:00 +01:00 (Europe/Stockholm), {late}, to Åsa Lind ({PHONE}): "
        "Rad ett⏎rad två och så vidare och så vidare och så vidare…"
    )
    listed = data(answer)
    assert (listed["notSent"], "missed" in listed) == ([], False)
    assert listed["scheduled"][0] == {
        "orderId": soon,
        "sendAt": "2026-11-24T08:00:00Z",
        "when": "Tuesday 2026-11-24 09:00 +01:00 (Europe/Stockholm)",
        "to": PHONE,
        "toName": "Åsa Lind",
        "text": "Hej",
    }


async def test_a_list_does_not_cut_a_number_in_two(box: Sandbox, clock: ManualClock) -> None:
    async with connected(live(box), box=box, clock=clock) as client:
        await schedule(client, f"{'Hej! ' * 9}Ring 070-174 06 27")
        (listed,) = data(await call(client, "list_scheduled"))["scheduled"]
    assert listed["text"].endswith("Hej! Ring…")


async def test_a_scheduled_text_can_be_looked_up(box: Sandbox, clock: ManualClock, tmp_path: Path) -> None:
    async with connected(live(box, ELKS_STATE_DIR=str(tmp_path)), box=box, clock=clock) as client:
        one, other = await schedule(client), await schedule(client, "Hopp")
        found = await call(client, "check_sms_status", messageId=one)
        assert words(found).startswith(f"Scheduled: it goes out on {THEN}, at most 60 minutes late")
        assert f"It {who_sends(tmp_path)}" in words(found)
        assert data(found)["sendAt"] == "2026-11-23T12:10:00Z"
        both = words(await call(client, "check_sms_status", messageId=f"{one},{other}"))
        assert both.count(f"it goes out on {THEN}") == 2
        policy = await call(client, "explain_policy")
    assert "Orders: 2 scheduled." in words(policy)
    assert f"Note: Each scheduled text {who_sends(tmp_path)}" in words(policy)
    late = "- how late a scheduled text may be sent at most: 60 minutes (ELKS_LATEST, default)"
    assert late in words(policy)


@pytest.mark.parametrize("era", ERAS)
async def test_p5_a_scheduled_text_that_is_cancelled_never_leaves(
    box: Sandbox, clock: ManualClock, era: Era
) -> None:
    async with connected(live(box), box=box, clock=clock, way=era) as client:
        order_id = await schedule(client)
        cancelled = await call(client, "cancel_sms", orderId=order_id)
        assert words(cancelled).startswith("Cancelled: it was not sent, will not be sent, and costs nothing.")
        assert data(await call(client, "list_scheduled"))["scheduled"] == []
        await pass_time(clock, 15 * MINUTE)
        result = await call(client, "check_sms_status", messageId=order_id)
        assert "scheduled for 2026-11-23 12:10 +00:00" in words(result)
        assert "Not sent as scheduled" not in words(result), "a person or the caller wanted that"
    assert posted(box) == []


@pytest.mark.parametrize("era", ERAS)
async def test_the_form_about_cancelling_names_the_time(box: Sandbox, clock: ManualClock, era: Era) -> None:
    approver = Person()
    quiet = live(box, ELKS_GUARDS_OFF="first_contact")
    async with connected(quiet, box=box, clock=clock, way=era, person=approver) as client:
        order_id = await schedule(client)
        box.receive("+46701740607", "Avboka mötet")
        await call(client, "get_sms_messages")
        await call(client, "cancel_sms", orderId=order_id)
    (question,) = approver.questions
    assert f"Order {order_id}, 1 part, 0.52 SEK, for {THEN}. The text begins" in question


# ── missed texts ──


@asynccontextmanager
async def after_a_missed_text(
    box: Sandbox, clock: ManualClock, environ: dict[str, str], era: Era = "auto"
) -> AsyncIterator[tuple[Client, str]]:
    """Schedule a text, let its time pass while no server runs, and connect again."""
    async with connected(environ, box=box, clock=clock, way=era) as client:
        order_id = await schedule(client)
    clock.advance(2 * HOUR)
    async with connected(environ, box=box, clock=clock, way=era) as client:
        yield client, order_id


TELLING: dict[str, dict[str, Any]] = {
    "send_sms": {"to": PHONE, "message": "Hopp"},
    "list_scheduled": {},
    "check_sms_status": {"messageId": "{order}"},
    "get_sms_messages": {},
}
"""The tools whose answers say which texts were missed."""


@pytest.mark.parametrize("era", EITHER_ERA)
@pytest.mark.parametrize("tool", TELLING)
async def test_p13_a_missed_text_is_reported_once_and_never_sent(
    box: Sandbox, clock: ManualClock, tmp_path: Path, tool: str, era: Era
) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    async with after_a_missed_text(box, clock, environ, era) as (client, order_id):
        line = f"Not sent as scheduled: the text to {PHONE} for {THEN} (order {order_id}). {TOO_LATE}"
        arguments = {name: str(value).replace("{order}", order_id) for name, value in TELLING[tool].items()}
        first, second = [await call(client, tool, **arguments) for _ in range(2)]
        assert words(first).split("\n")[-1] == line
        assert data(first)["missed"] == [line]
        assert line not in words(second)
        assert "missed" not in data(second)
        listed = data(await call(client, "list_scheduled"))
        assert [(each["orderId"], each["when"], each["why"]) for each in listed["notSent"]] == [
            (order_id, THEN, TOO_LATE)
        ]
        await pass_time(clock, MINUTE)
    assert [form["message"] for form in posted(box)] == ["Hopp"] * (tool == "send_sms")


async def test_p13_an_error_also_reports_a_missed_text(
    box: Sandbox, clock: ManualClock, tmp_path: Path
) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    async with after_a_missed_text(box, clock, environ) as (client, order_id):
        refused = await call(client, "send_sms", to="070", message="Hej")
    assert refused.is_error
    assert words(refused).startswith("Not sent: ")
    assert f"(order {order_id}). {TOO_LATE}" in words(refused).split("\n")[-1]


async def test_p13_a_missed_text_is_reported_only_to_its_caller(tmp_path: Path) -> None:
    clock = ManualClock()
    box = box_on(clock)
    environ = {"ELKS_STATE_DIR": str(tmp_path)}
    async with site(box, clock=clock, environ=environ) as where:
        one, other = await where.token("one"), await where.token("other")
        async with where.client(token=one) as client:
            order_id = await schedule(client)
        async with where.client(token=other) as client:
            assert data(await call(client, "list_scheduled"))["scheduled"] == []
    clock.advance(2 * HOUR)
    async with site(box, clock=clock, environ=environ) as where:
        async with where.client(token=other) as client:
            assert "missed" not in data(await call(client, "get_sms_messages"))
            assert data(await call(client, "list_scheduled"))["notSent"] == []
        async with where.client(token=one) as client:
            (line,) = data(await call(client, "get_sms_messages"))["missed"]
            assert order_id in line
    assert posted(box) == []


async def test_a_list_and_a_report_have_at_most_50_texts(
    box: Sandbox, clock: ManualClock, tmp_path: Path
) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path), ELKS_MAX_PER_NUMBER="100")
    async with connected(environ, box=box, clock=clock) as client:
        for minute in range(1, 53):
            await schedule(client, f"Text {minute}", at=f"2026-11-23T14:{minute:02}")
        many = data(await call(client, "list_scheduled"))
    assert [each["text"] for each in many["scheduled"]] == [f"Text {minute}" for minute in range(1, 51)]
    assert many["note"].startswith("Only 50 of each kind are listed.")
    clock.advance(5 * HOUR)
    async with connected(environ, box=box, clock=clock) as client:
        missed = data(await call(client, "list_scheduled"))
    assert (len(missed["notSent"]), len(missed["missed"])) == (50, 51)
    assert missed["missed"][-1] == "Not sent as scheduled: 2 more texts."


async def test_p9_a_missed_text_is_erased(box: Sandbox, clock: ManualClock, tmp_path: Path) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    async with connected(environ, box=box, clock=clock) as client:
        await schedule(client, "Kom hem till middagen klockan sju")
    clock.advance(2 * HOUR)
    async with connected(environ, box=box, clock=clock) as client:
        listed = data(await call(client, "list_scheduled"))["notSent"]
    assert "text" not in listed[0]
    assert files_with(tmp_path, "middagen") == []
