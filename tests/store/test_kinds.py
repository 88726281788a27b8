"""A second kind of order, which exists only here, from its price to its receipt.

It has no tool, so no request and no answer of its own. What older versions stored is an SMS.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

import anyio.to_thread
import pytest
from pydantic import SecretStr
from sqlalchemy import MetaData, insert

from elks_mcp.contacts.accepted import AcceptedContacts
from elks_mcp.contacts.source import ContactSource
from elks_mcp.domain.approval import explain_asking, write_question
from elks_mcp.domain.callbacks import NO_CALLBACKS, Callbacks
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.doubts import judge
from elks_mcp.domain.kinds import KINDS, Kind
from elks_mcp.domain.models import Direction
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import (
    ORDER_LATENESS,
    Approval,
    Approver,
    Claim,
    Draft,
    Estimate,
    Order,
    OrderState,
)
from elks_mcp.domain.payloads import Payload, Sms
from elks_mcp.domain.taint import TaintLog
from elks_mcp.domain.text import Encoding
from elks_mcp.elks import wire
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.dispatch import Dispatcher
from elks_mcp.elks.own_numbers import OwnNumbers
from elks_mcp.elks.paid_endpoints import ENDPOINTS, Endpoint
from elks_mcp.errors import InvalidInput, StateUnavailable
from elks_mcp.sandbox import Sandbox
from elks_mcp.sending import Outbox, OutboxOptions
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.sending.doubts import HISTORIES
from elks_mcp.sending.orders import Orders
from elks_mcp.store import Idle, StateLocation, Storage
from elks_mcp.store.db.engines import open_engine
from elks_mcp.store.db.migrate import upgrade
from elks_mcp.store.doubts import LONGEST
from elks_mcp.store.storage import find_hasher
from elks_mcp.store.store import Store
from tests.support.clocks import ManualClock, SandboxClock
from tests.support.provider import (
    NOON,
    OURS,
    PATIENCE,
    PHONE,
    UNLIMITED,
    a_draft,
    a_permission,
    account_of,
    an_approval,
    api_of,
    posts,
)
from tests.support.stores import (
    ACCOUNT,
    DATABASES,
    KEY,
    MINUTE,
    PRICE,
    UNPACED,
    a_message,
    a_place,
    allow,
    opened,
    read_rows,
)

pytestmark = pytest.mark.anyio

NOTE = "note"


class Note(Payload):
    """A text, and a drawing that is deleted once it is not needed."""

    PRIVATE: ClassVar[frozenset[str]] = frozenset({"text", "drawing"})

    kind: Literal["note"] = "note"
    drawing: str | None
    color: str = "yellow"


def build_note(draft: Draft, *, callbacks: Callbacks = NO_CALLBACKS) -> dict[str, str]:
    """Build the form of a note: the sandbox takes it for a text."""
    assert isinstance(draft.payload, Note)
    message = f"{draft.payload.color}: {draft.text} {draft.payload.drawing}"
    sender = draft.sender.e164 if draft.sender == OURS else ""
    return {"from": sender, "to": draft.to.e164, "message": message}


def price_note(_draft: Draft, currency: str) -> Estimate:
    """Price a note: 46elks has no dry run for it."""
    return Estimate(price=Money(7000, currency))


LEFT_TO_A_PERSON = {**KINDS, NOTE: Kind(Note)}
JUDGED = {**KINDS, NOTE: Kind(Note, judge)}
PATHS = {**ENDPOINTS, NOTE: Endpoint("/sms", build_note, wire.parse_receipt, price_note)}


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location for a store, of either kind."""
    return a_place(request, tmp_path)


@pytest.fixture(params=DATABASES)
def nothing(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """Return a location without tables."""
    if request.param == "sqlite":
        return StateLocation(folder=tmp_path)
    return StateLocation(url=SecretStr(request.getfixturevalue("postgres_database")), key=KEY)


@pytest.fixture
def clock() -> ManualClock:
    """Stop the clock."""
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> Sandbox:
    """Have a 46elks."""
    return Sandbox(clock=SandboxClock(clock))


def a_note(text: str = "Hej!", drawing: str = "(-:", **more: Any) -> Draft:
    """Draft a note."""
    return Draft(to=PHONE, payload=Note(text=text, drawing=drawing), sender=OURS, **more)


async def place(store: Store, draft: Draft) -> Order:
    """Place an order that is new."""
    placed = await store.orders.place(an_approval(draft), allow)
    assert not placed.is_repeat
    return placed.order


async def claim(store: Store) -> Claim:
    """Claim the one order that is due."""
    claims = await store.queue.claim(UNPACED, allow)
    assert not isinstance(claims, Idle)
    [found] = claims
    return found


def test_each_kind_has_an_endpoint_and_a_judged_kind_has_a_history() -> None:
    assert KINDS.keys() == ENDPOINTS.keys()
    assert {name for name, kind in KINDS.items() if kind.judge} == HISTORIES.keys()
    assert all(kind.payload.model_fields["kind"].default == name for name, kind in KINDS.items())


async def test_a_second_kind_is_drafted_quoted_placed_claimed_posted_and_settled(
    location: StateLocation, clock: ManualClock, box: Sandbox
) -> None:
    api = api_of(box, clock=clock)
    client = ElksClient(api, endpoints=PATHS)
    storage = Storage(location, account_of(box), clock, LEFT_TO_A_PERSON)
    checks = DraftChecks(UNLIMITED, OwnNumbers(client, clock), AcceptedContacts(ContactSource()), clock)
    orders = Orders(client, storage, TaintLog(), checks)
    try:
        long = await orders.quotes.quote(a_note("Hej! " * 999), live=True)
        assert "too_many_parts" not in {each.guard for each in long.findings}
        quote = await orders.quotes.quote(a_note(), live=True)
        assert (quote.estimate.price, client.last_price) == (Money(7000, "SEK"), None)
        assert (posts(box, dry_run=True), posts(box)) == ([], []), "it has no dry run"
        store = await storage.open()
        approval = Approval(quote=quote, approver=Approver.POLICY)
        placed = (await store.orders.place(approval, allow)).order
        assert (placed.state, placed.payload, placed.parts) == (OrderState.QUEUED, a_note().payload, 1)
        assert await store.orders.get(placed.id) == placed
        claimed = await claim(store)
        assert (claimed.order_id, claimed.draft.payload) == (placed.id, a_note().payload)
        receipt = await Dispatcher(api.post, endpoints=PATHS).send(claimed, a_permission())
        [post] = posts(box)
        assert post.form["message"] == "yellow: Hej! (-:"
        await store.queue.settle_sent(claimed, receipt)
        settled = await store.orders.get(placed.id)
        assert (settled.state, settled.kind) == (OrderState.SENT, NOTE)
        assert settled.payload == Note(text=None, drawing=None)
        assert read_rows(location, "SELECT content FROM orders") == [(None,)]
    finally:
        await storage.close()
        await api.aclose()


async def test_a_person_is_asked_about_a_second_kind_and_the_worker_sends_it(
    location: StateLocation, clock: ManualClock, box: Sandbox
) -> None:
    api = api_of(box, clock=clock)
    client = ElksClient(api, endpoints=PATHS)
    storage = Storage(location, account_of(box), clock, LEFT_TO_A_PERSON)
    checks = DraftChecks(UNLIMITED, OwnNumbers(client, clock), AcceptedContacts(ContactSource()), clock)
    orders = Orders(client, storage, TaintLog(), checks)
    options = OutboxOptions(per_minute=95, timeout=PATIENCE, quiet=2 * MINUTE)
    outbox = Outbox(client, storage, Dispatcher(api.post, endpoints=PATHS), checks, clock, options)
    try:
        quote = await orders.quotes.quote(a_note(), live=True)
        async with outbox.running():
            asked = await outbox.place(Approval(quote=quote, approver=Approver.PERSON), orders)
            question = write_question(asked.order, explain_asking(asked.order, UNLIMITED), Contacts())
            assert "1 part, 0.70 SEK" in question
            assert "| Hej!\n" in question
            released = await outbox.approve(asked.order)
            sent = await outbox.wait(released.order, MINUTE)
        [post] = posts(box)
        assert (sent.state, post.form["message"]) == (OrderState.SENT, "yellow: Hej! (-:")
    finally:
        await storage.close()
        await api.aclose()


async def test_a_kind_is_claimed_in_the_transaction_that_places_it(location: StateLocation) -> None:
    async with opened(location, kinds=LEFT_TO_A_PERSON) as store:
        placed = await store.orders.place(an_approval(a_note()), allow, pace=UNPACED)
        assert placed.claim
        assert placed.claim.draft == a_note()


async def test_the_same_text_in_another_kind_is_no_repeat(location: StateLocation) -> None:
    async with opened(location, kinds=LEFT_TO_A_PERSON) as store:
        text, note = await place(store, a_draft()), await place(store, a_note())
        other = await place(store, a_note(drawing=")-:"))
        for draft, order in ((a_draft(), text), (a_note(), note), (a_note(drawing=")-:"), other)):
            again = await store.orders.place(an_approval(draft), allow)
            assert (again.is_repeat, again.order.id) == (True, order.id)


async def test_a_waiting_order_is_found_again_by_its_kind(location: StateLocation) -> None:
    async with opened(location, kinds=LEFT_TO_A_PERSON) as store:
        waiting = (await store.orders.place(an_approval(a_note(), Approver.PERSON), allow)).order
        assert (await store.orders.find_prior(a_draft())).waiting is None
        assert (await store.orders.find_prior(a_note())).waiting == waiting
        assert (await store.orders.approve(waiting.id, allow)).order.state is OrderState.QUEUED


async def test_a_key_of_another_kind_is_an_error(location: StateLocation) -> None:
    async with opened(location, kinds=LEFT_TO_A_PERSON) as store:
        await place(store, a_draft(key="k"))
        with pytest.raises(InvalidInput, match=r"another kind\."):
            await store.orders.place(an_approval(a_note(idempotency_key="k")), allow)


async def test_without_a_history_a_person_decides_about_a_doubt(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock, kinds=LEFT_TO_A_PERSON) as store:
        order = await place(store, a_note())
        await store.queue.settle_doubt(await claim(store), "no answer")
        assert (await store.doubts.find_due())[1] is None, "it is no text"
        assert (await store.doubts.of(NOTE).find_due())[1] is not None
        for state in (OrderState.IN_DOUBT, OrderState.UNKNOWN):
            now = clock.now()
            await store.doubts.of(NOTE).conclude([], read_at=now, quiet=MINUTE, skew=timedelta())
            assert (await store.orders.get(order.id)).state is state
            clock.advance(LONGEST + MINUTE)


async def test_a_kind_says_how_history_clears_its_doubts(location: StateLocation, clock: ManualClock) -> None:
    async with opened(location, clock, kinds=JUDGED) as store:
        note = await place(store, a_note())
        await store.queue.settle_doubt(await claim(store), "no answer")
        text = await place(store, a_draft())
        await store.queue.settle_doubt(await claim(store), "no answer")
        history = [a_message("Hej!")]
        assert history[0].direction is Direction.OUTBOUND
        now = clock.now()
        changed = await store.doubts.of(NOTE).conclude(history, read_at=now, quiet=MINUTE, skew=timedelta())
        assert changed == [note.id]
        assert (await store.orders.get(note.id)).state is OrderState.SENT
        assert (await store.orders.get(text.id)).state is OrderState.IN_DOUBT


async def test_a_kind_of_a_newer_version_is_listed_and_left_alone(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock, kinds=LEFT_TO_A_PERSON) as newer:
        queued = await place(newer, a_note())
        waiting = (await newer.orders.place(an_approval(a_note("Hej då!"), Approver.PERSON), allow)).order
        async with opened(location, clock) as older:
            found = await older.orders.get(queued.id)
            assert (found.kind, found.text, found.state) == (NOTE, None, OrderState.QUEUED)
            assert isinstance(await older.queue.claim(UNPACED, allow), Idle)
            assert not (await older.queue.find_due_work()).queued
            text = await older.orders.place(an_approval(a_draft()), allow, pace=UNPACED)
            assert text.claim, "the note is not in front of it"
            with pytest.raises(StateUnavailable, match="'note', which this version does not know"):
                await older.orders.approve(waiting.id, allow)
        clock.advance(MINUTE)  # or both would be due at the same moment, and either might be the first
        assert (await newer.orders.approve(waiting.id, allow)).order.state is OrderState.QUEUED
        assert (await claim(newer)).order_id == queued.id


async def test_p13_a_scheduled_order_of_a_newer_version_is_left_to_it(
    location: StateLocation, clock: ManualClock
) -> None:
    async with opened(location, clock, kinds=LEFT_TO_A_PERSON) as newer:
        note = await place(newer, a_note(send_at=NOON + MINUTE))
        async with opened(location, clock) as older:
            text = await place(older, a_draft(send_at=NOON + MINUTE))
            clock.advance(MINUTE)
            assert [due.id for due in await older.schedule.list_due()] == [text.id]
            assert await older.schedule.release([note.id, text.id]) == 1
            assert [due.id for due in await newer.schedule.list_due()] == [note.id]
            assert await older.schedule.list_upcoming(10, "") == []
            clock.advance(2 * ORDER_LATENESS)
            assert await older.schedule.expire_missed() == []
        [missed] = await newer.schedule.expire_missed()
        assert (missed.id, missed.state) == (note.id, OrderState.EXPIRED)


# ── what older versions stored ──


async def put_old_orders(nothing: StateLocation) -> None:
    """Store a queued flash message and a text that was sent, as a server of version 0010 did."""
    engine, hasher = open_engine(nothing), await anyio.to_thread.run_sync(find_hasher, nothing)
    at = round(NOON.timestamp() * 1_000_000)
    texts = ("Åäö €[] 👋 \"'", True, "UCS-2", "queued"), (None, False, "GSM-7", "sent")
    with engine.begin() as connection:
        upgrade(connection, "0010")
        old = MetaData()
        old.reflect(connection)
        account = {"id": 1, "base_url": ACCOUNT.base_url, "username": ACCOUNT.username}
        connection.execute(insert(old.tables["accounts"]).values(account))
        for number, (text, flash, encoding, state) in enumerate(texts):
            words = text or "Hej!"
            row = {"id": f"O-2222222{number}", "account_id": 1, "state": state, "text": text, "flash": flash}
            row |= {"encoding": encoding, "parts": 2, "recipient": PHONE.e164, "sender": OURS.e164}
            row |= {"price": PRICE, "currency": "SEK", "charge": PRICE, "findings": "[]", "fault": ""}
            row |= {"approver": "policy", "attempts": 0, "caller": "", "asks": False}
            row |= dict.fromkeys(("placed_at", "changed_at", "due_at", "charged_at"), at)
            row |= {
                "recipient_hash": hasher.number(PHONE.e164),
                "text_hash": hasher.of("text", words),
                "fingerprint": hasher.of("message", OURS.e164, PHONE.e164, words),
                "key_hash": hasher.of("key", state),
            }
            connection.execute(insert(old.tables["orders"]).values(row))
    engine.dispose()


async def test_orders_of_an_older_version_are_texts(nothing: StateLocation, clock: ManualClock) -> None:
    await put_old_orders(nothing)
    words = "Åäö €[] 👋 \"'"
    async with opened(nothing, clock) as store:
        queued, sent = [await store.orders.get(f"O-2222222{number}") for number in range(2)]
        assert queued.payload == Sms(text=words, flash=True)
        assert sent.payload == Sms(text=None, encoding=Encoding.GSM7)
        assert (queued.parts, sent.parts) == (2, 2)
        for text, flash, order in ((words, True, queued), ("Hej!", False, sent)):
            draft = a_draft(text, flash=flash)
            repeated = await store.orders.place(an_approval(draft), allow)
            assert (repeated.is_repeat, repeated.order) == (True, order)
            keyed = a_draft(text, flash=flash, key=order.state.value)
            assert (await store.orders.find_prior(keyed)).repeated == order
        with pytest.raises(InvalidInput, match=r"another flash setting\."):
            await store.orders.find_prior(a_draft(words, key="queued"))
        claimed = await claim(store)
        assert (claimed.order_id, claimed.draft.payload) == (queued.id, queued.payload)
