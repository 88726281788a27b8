"""An unreadable row or field of 46elks' answers is left out and reported, and affects nothing else."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.orders import OrderState
from elks_mcp.elks import wire
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import NoAnswer
from elks_mcp.sandbox import Fault
from elks_mcp.store.known_numbers import UNREAD_FOR
from tests.inbound.test_history import has_said_stop
from tests.support.clocks import ManualClock, SandboxClock
from tests.support.connecting import (
    ERAS,
    PHONE,
    Era,
    Person,
    call,
    connected,
    data,
    findings,
    live,
    posted,
    words,
)
from tests.support.damaged import Damage, DamagedSandbox, DamagedTransport, Row, change, replace
from tests.support.provider import NOON, Backend, a_draft, api_of, gets
from tests.support.stores import DATABASES, a_place, opened, said

pytestmark = pytest.mark.anyio

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
STRANGER = "+46701740690"


# ── a page, whatever one of its rows is ──


def a_row(number: int, direction: str) -> Row:
    """Make a row of history, newer the lower its number."""
    inbound = direction == "incoming"
    return {
        "id": f"s{number:032x}",
        "direction": direction,
        "from": PHONE if inbound else "+46701740699",
        "to": "+46701740699" if inbound else PHONE,
        "created": wire.build_time(datetime(2026, 11, 23, 12, tzinfo=UTC) - number * MINUTE),
        "message": f"Text {number}",
        **({} if inbound else {"status": "delivered", "cost": 5200, "parts": 1}),
    }


anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()))
    | st.sampled_from(["incoming", "outgoing", PHONE, "2999-01-01T00:00:00", "1970-01-01T00:00:00", "5200"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
directions = st.sampled_from(["incoming", "outgoing", "outgoing-reply"])
fields = st.sampled_from([*a_row(0, "outgoing"), "delivered", "unheard-of"])
ABSENT = object()
damages = st.one_of(
    anything.map(lambda value: lambda _: value),
    st.tuples(fields, anything | st.just(ABSENT)).map(
        lambda change: (
            lambda row: (
                {name: value for name, value in {**row, change[0]: change[1]}.items() if value is not ABSENT}
            )
        )
    ),
)


@given(st.lists(directions, min_size=1, max_size=6), st.data())
def test_one_damaged_row_of_a_page_hides_no_other(kinds: list[str], data: st.DataObject) -> None:
    rows = [a_row(number, direction) for number, direction in enumerate(kinds)]
    which = data.draw(st.integers(0, len(rows) - 1))
    damage: Callable[[Row], Any] = data.draw(damages)
    damaged = damage(rows[which])
    body = {"data": [*rows[:which], damaged, *rows[which + 1 :]], "next": rows[-1]["created"]}
    whole = wire.parse_page(json.dumps({"data": rows}).encode(), "SEK").messages
    page = wire.parse_page(json.dumps(body).encode(), "SEK")
    others = [message for index, message in enumerate(whole) if index != which]
    shown = [message for message in page.messages if message in others]
    assert shown == others
    assert len(page.messages) + sum(row.is_left_out for row in page.unread) == len(rows)
    assert page.older_from is not None
    assert page.older_from >= wire.parse_time(rows[-1]["created"])  # type: ignore[operator]
    readable = damaged if isinstance(damaged, dict) else {}
    is_out = isinstance(way := readable.get("direction"), str) and way.startswith("outgoing")
    known = {message.id: message for message in page.messages}.get(str(readable.get("id")))
    if not is_out and (known is None or known.text is None or not known.sender):
        assert any(row.may_be_stop for row in page.unread)
    if kinds[which] != "incoming" and readable.get("direction") == kinds[which]:
        assert not any(row.may_be_stop for row in page.unread)


@pytest.mark.parametrize(
    ("damage", "left_out", "may_be_stop", "may_be_sent"),
    [
        ({"id": None}, True, True, False),
        ({"id": 5}, True, True, False),
        ({"direction": None}, True, True, True),
        ({"direction": "sideways"}, True, True, True),
        ({"from": 46701740605}, False, True, False),
        ({"from": "\u200b"}, False, True, False),
        ({"message": {"text": "STOP"}}, False, True, False),
        ({"to": None}, None, None, None),
        ({"created": "yesterday"}, None, None, None),
        ({"cost": "a lot", "parts": [], "status": {}}, None, None, None),
        ({"direction": "outgoing", "id": []}, True, False, True),
        ({"direction": "outgoing", "to": None}, False, False, True),
        ({"direction": "outgoing", "created": 7}, False, False, True),
        ({"direction": "outgoing", "message": None, "from": None}, None, None, None),
    ],
)
def test_a_damaged_row_is_judged_by_what_it_may_hide(
    damage: Row, left_out: bool | None, may_be_stop: bool | None, may_be_sent: bool | None
) -> None:
    row = {**a_row(1, "incoming"), **damage}
    page = wire.parse_page(json.dumps({"data": [a_row(0, "incoming"), row]}).encode(), "SEK")
    found = [(each.is_left_out, each.may_be_stop, each.may_be_sent) for each in page.unread]
    assert found == ([] if left_out is None else [(left_out, may_be_stop, may_be_sent)])
    assert all(each.not_after == datetime(2026, 11, 23, 12, tzinfo=UTC) for each in page.unread)
    assert page.messages[0].text == "Text 0"


def test_p10_a_text_of_unknown_direction_is_not_passed_off_as_our_own() -> None:
    body = json.dumps({**a_row(0, "incoming"), "direction": 5}).encode()
    assert wire.parse_message(body, "SEK").text is None


@pytest.mark.parametrize("body", ['{"data": {}}', '{"data": "none"}', '{"data": null}', "{}", "[]", "[{}]"])
def test_a_page_that_is_not_a_list_is_an_invalid_answer(body: str) -> None:
    with pytest.raises(NoAnswer):
        wire.parse_page(body.encode(), "SEK")


@pytest.mark.parametrize("following", ["1970-01-01T00:00:00", "next", 5, {"at": "2026"}, [1]])
def test_an_implausible_next_skips_no_message(following: object) -> None:
    rows = [a_row(number, "incoming") for number in range(3)]
    page = wire.parse_page(json.dumps({"data": rows, "next": following}).encode(), "SEK")
    assert page.older_from == wire.parse_time(rows[-1]["created"])


@pytest.mark.parametrize("cost", [True, False])
def test_a_boolean_is_not_read_as_a_price(cost: object) -> None:
    with pytest.raises(NoAnswer, match="estimated_cost"):
        wire.parse_estimate(json.dumps({"estimated_cost": cost}).encode(), "SEK")
    assert wire.parse_receipt(json.dumps({"id": "s1", "cost": cost}).encode(), "SEK").cost is None


def test_amounts_written_as_strings_are_read() -> None:
    row = {**a_row(0, "outgoing"), "cost": "5200", "parts": "2"}
    [message] = wire.parse_page(json.dumps({"data": [row]}).encode(), "SEK").messages
    assert message.cost is not None
    assert (message.cost.units, message.parts) == (5200, 2)


@pytest.mark.parametrize("odd", [None, 5, "none", [], {"number": PHONE}, {"id": {}, "number": PHONE}])
def test_one_damaged_number_of_the_account_hides_no_other(odd: object) -> None:
    own = {"id": "n1", "number": "+46701740699", "active": "yes"}
    numbers = wire.parse_numbers(json.dumps({"data": [odd, own, odd]}).encode())
    assert [each.number for each in numbers] == ["+46701740699"]


@pytest.mark.parametrize("damage", [{"balance": None}, {"balance": {}}, {"currency": 5}, {"id": []}])
async def test_texts_are_priced_whatever_part_of_the_account_is_damaged(damage: Row) -> None:
    box = DamagedSandbox()
    box.request, box.damage = "GET /a1/me", lambda rows: rows[0].update(damage)
    client = ElksClient(api_of(box))
    price = (await client.get_estimate(a_draft())).price
    assert (price.units, price.currency) == (5200, "" if "currency" in damage else "SEK")


# ── through the tools ──


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> DamagedSandbox:
    """A 46elks with a text of a stranger, and one before it."""
    box = DamagedSandbox(clock=SandboxClock(clock))
    box.receive(PHONE, "The one before")
    clock.advance(MINUTE)
    box.receive(STRANGER, "STOP")
    clock.advance(MINUTE)
    return box


PLAIN = {"ELKS_GUARDS_OFF": "placeholder"}
"""Without the reminder that these numbers are nobody's."""

HIDING: dict[str, Damage] = {
    "no id": change(STRANGER, id=None),
    "an id of a wrong type": change(STRANGER, id=7),
    "no direction": change(STRANGER, direction=None),
    "no sender": change(STRANGER, from_={}),
    "no text": change(STRANGER, message=["STOP"]),
    "no object": replace(STRANGER, "STOP"),
    "nothing": replace(STRANGER, None),
}


@pytest.mark.parametrize("kind", HIDING)
@pytest.mark.parametrize("era", ERAS)
async def test_p6_a_row_that_may_be_an_opt_out_makes_sending_ask_a_person(
    kind: str, era: Era, box: DamagedSandbox, clock: ManualClock
) -> None:
    box.damage, person = HIDING[kind], Person("decline")
    async with connected(live(box), box=box, way=era, person=person, clock=clock) as client:
        declined = await call(client, "send_sms", to=PHONE, message="Hej!")
        assert declined.is_error
        assert "It may be an opt-out from any number" in person.questions[0]
        assert posted(box) == []
        estimate = await call(client, "estimate_sms_cost", to=PHONE, message="Hej!")
        assert "unread_history" in findings(estimate)


@pytest.mark.parametrize("kind", HIDING)
async def test_if_no_person_can_be_asked_the_answer_names_the_unreadable_rows(
    kind: str, box: DamagedSandbox, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    box.damage = HIDING[kind]
    async with connected(live(box, **PLAIN), box=box, clock=clock) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Hej!")
        assert data(sent)["status"] == "sent"
        assert set(findings(sent)) == {"unread_history"}
        clock.advance(5 * MINUTE)
        await call(client, "send_sms", to=PHONE, message="Hej igen!")
        listed = data(await call(client, "get_sms_messages", direction="inbound"))
        shown = [each["untrusted"] for each in listed["messages"]]
        assert "The one before" in shown
        is_left_out = kind not in {"no sender", "no text"}
        assert ("Left out: 1 text" in listed.get("note", "")) is is_left_out
        history = json.loads((await client.read_resource("elks://inbox")).contents[0].text)  # type: ignore[union-attr]
        assert ("Left out: 1 text" in history.get("note", "")) is is_left_out
    assert len(posted(box)) == 2
    assert caplog.text.count("Unreadable rows of 46elks' history") == 1
    assert PHONE not in caplog.text
    assert "STOP" not in caplog.text


async def test_a_row_that_can_only_be_our_own_text_needs_no_question(
    box: DamagedSandbox, clock: ManualClock
) -> None:
    box.add_history(clock.now(), text="Our own", to=PHONE)
    clock.advance(MINUTE)
    box.damage = change(0, id=None)
    async with connected(live(box, **PLAIN), box=box, clock=clock) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Hej!")
        assert findings(sent) == {}
        statistics = data(await call(client, "get_delivery_statistics"))
        assert statistics["note"].startswith("Left out: 1 text")
        inbound = data(await call(client, "get_sms_messages", direction="inbound"))
        assert (inbound["count"], "note" in inbound) == (2, False)


async def test_p6_an_opt_out_beside_a_damaged_row_counts(box: DamagedSandbox, clock: ManualClock) -> None:
    box.receive(PHONE, "Hej")
    box.damage = replace(0, None)
    async with connected(live(box, ELKS_GUARDS_OFF="unread_history"), box=box, clock=clock) as client:
        refused = await call(client, "send_sms", to=STRANGER, message="Hej!")
        assert "Refused by opted_out" in words(refused)
        assert data(await call(client, "send_sms", to=PHONE, message="Hej!"))["status"] == "sent"


async def test_a_damaged_row_causes_questions_for_at_most_a_week(
    box: DamagedSandbox, clock: ManualClock
) -> None:
    box.damage = change(0, id=None)
    async with connected(live(box, **PLAIN), box=box, clock=clock) as client:
        for passed, asks in ((timedelta(), True), (UNREAD_FOR - DAY, True), (DAY + MINUTE, False)):
            clock.advance(passed)
            estimate = await call(client, "estimate_sms_cost", to=PHONE, message="Hej!")
            assert ("unread_history" in findings(estimate)) is asks
            box.damage = lambda _: None


async def test_a_damaged_row_older_than_the_previous_reading_causes_no_further_question(
    box: DamagedSandbox, clock: ManualClock
) -> None:
    async with connected(live(box, **PLAIN), box=box, clock=clock) as client:
        clock.advance(DAY)
        await call(client, "send_sms", to=PHONE, message="Hej!")
        clock.advance(DAY)
        await call(client, "estimate_sms_cost", to=PHONE, message="Hej igen!")
        box.damage = change(PHONE, id=None)
        clock.advance(DAY)
        sent = await call(client, "send_sms", to=PHONE, message="Hej igen!")
    assert findings(sent) == {}


# ── times that cannot be right ──


@pytest.mark.parametrize("created", [None, "1970-01-01T00:00:00", "2999-01-01T00:00:00", ["2026"]])
async def test_an_implausible_time_of_an_accepted_text_does_not_hide_its_answer(
    created: object, box: DamagedSandbox, clock: ManualClock
) -> None:
    box.request, box.damage = "POST /a1/sms", change(0, created=created)
    async with connected(live(box, **PLAIN), box=box, clock=clock) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Kommer du?")
        assert data(sent)["status"] == "sent"
        clock.advance(MINUTE)
        box.receive(PHONE, "Ja")
        clock.advance(MINUTE)
        reply = await call(client, "wait_for_reply", sender=PHONE, timeout=0)
        assert data(reply)["message"]["untrustedText"] == "Ja"


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    async with Backend(tmp_path).opened() as backend:
        yield backend


def damage_history(backend: Backend, damage: Damage) -> DamagedTransport:
    """Damage what a backend reads of history, from now on."""
    backend.transport._inner = transport = DamagedTransport(backend.box.transport(), damage)
    return transport


@pytest.mark.parametrize("created", [None, "2999-01-01T00:00:00", {}])
async def test_p6_an_opt_in_with_an_implausible_time_removes_no_opt_out(
    backend: Backend, created: object
) -> None:
    for word in ("START", "STOP"):
        backend.box.receive(PHONE, word)
        backend.clock.advance(MINUTE)
    damage_history(backend, change(1, created=created))
    for _ in range(3):
        await backend.history.refresh()
        assert await has_said_stop(backend)
        backend.clock.advance(2 * MINUTE)


@pytest.mark.parametrize("created", [None, "2999-01-01T00:00:00", 7])
async def test_p6_an_opt_out_with_an_implausible_time_counts_from_now(
    backend: Backend, created: object
) -> None:
    backend.box.receive(PHONE, "START")
    backend.clock.advance(MINUTE)
    backend.box.receive(PHONE, "STOP")
    transport = damage_history(backend, change(0, created=created))
    await backend.history.refresh()
    assert await has_said_stop(backend)
    backend.clock.advance(10 * MINUTE)
    transport.damage = lambda _: None
    backend.box.receive(PHONE, "START")
    await backend.history.refresh()
    assert not await has_said_stop(backend)


async def test_p6_a_time_in_the_future_hides_no_message_before_it(backend: Backend) -> None:
    backend.box.receive(STRANGER, "Hej")
    transport = damage_history(backend, change(0, created="2999-01-01T00:00:00"))
    await backend.history.refresh()
    transport.damage = lambda _: None
    backend.clock.advance(MINUTE)
    backend.box.receive(PHONE, "STOP")
    for _ in range(150):
        backend.clock.advance(SECOND)
        backend.box.receive(STRANGER, "Hej")
    await backend.history.refresh()
    assert await has_said_stop(backend)


async def test_p6_a_time_long_ago_does_not_end_the_reading_at_its_page(backend: Backend) -> None:
    await backend.history.refresh()
    backend.clock.advance(10 * MINUTE)
    backend.box.receive(PHONE, "STOP")
    for _ in range(150):
        backend.clock.advance(SECOND)
        backend.box.receive(STRANGER, "Hej")
    damage_history(backend, change(20, created="1970-01-01T00:00:00"))
    await backend.history.refresh()
    assert len(gets(backend.box, "/sms")) == 3
    assert await has_said_stop(backend)


# ── P4 ──


MAY_BE_OURS: dict[str, Damage] = {
    "no id": change(0, id=None),
    "no direction": change(0, direction=None),
    "no recipient": change(0, to=5),
    "no time": change(0, created="yesterday"),
    "nothing": replace(0, None),
}


@pytest.mark.parametrize("kind", MAY_BE_OURS)
async def test_p4_a_text_in_doubt_is_not_sent_again_if_a_row_that_cannot_be_read_may_be_it(
    tmp_path: Path, kind: str
) -> None:
    async with Backend(tmp_path).running() as backend:
        backend.box.faults.inject(Fault.DROP_AFTER, method="POST", path="/sms", dryrun=False)
        damage_history(backend, MAY_BE_OURS[kind])
        order = await backend.settled(await backend.place())
    assert order.state is OrderState.UNKNOWN
    assert len(backend.box.accepted) == 1


async def test_p4_a_damaged_row_that_is_surely_incoming_does_not_affect_a_doubt(tmp_path: Path) -> None:
    async with Backend(tmp_path).running() as backend:
        backend.box.receive(PHONE, "Hej")
        backend.box.faults.inject(Fault.DROP_BEFORE, method="POST", path="/sms", dryrun=False)
        damage_history(backend, change(-1, id=None))
        order = await backend.settled(await backend.place())
    assert order.state is OrderState.SENT
    assert len(backend.box.accepted) == 1


# ── both databases ──


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return a_place(request, tmp_path)


async def test_unreadable_rows_are_recorded_for_all_processes_of_the_state(
    location: Any,
) -> None:
    clock = ManualClock()
    async with opened(location, clock) as one, opened(location, clock) as other:
        await one.inbound.record([said("Hej")], until=NOON, has_gaps=True)
        assert (await other.orders.find_prior(a_draft())).recall.unread
        assert (await other.orders.recall(a_draft())).unread
        clock.advance(UNREAD_FOR - SECOND)
        await other.inbound.record([], until=NOON)
        assert (await one.orders.find_prior(a_draft())).recall.unread
        clock.advance(2 * SECOND)
        assert not (await one.orders.find_prior(a_draft())).recall.unread
