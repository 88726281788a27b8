"""From a draft to an order: what is asked of 46elks, what is kept, and what is used up."""

from datetime import timedelta

import pytest

from elks_mcp.errors import InvalidInput, Misconfigured, NotApproved, NotFound, ProviderError, Refused
from elks_mcp.models import Approval, Approver, Effect, Finding, Order, OrderState, Quote
from elks_mcp.orders import Orders, listed
from elks_mcp.phone import SenderId
from elks_mcp.policy import Policy
from elks_mcp.sandbox import Fault, Sandbox
from elks_mcp.store import QUOTE_KEPT, MemoryStore

from .clocks import ManualClock, SandboxClock
from .provider import OURS, PHONE, an_order, client_of, posts

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
NORWEGIAN = Policy(dry_run=False, sender=OURS, allowed_countries=frozenset({"NO"}))
"""The operator texts to Norway only, so that every number of the sandbox is refused."""


class House:
    """Orders over a sandbox, on one clock."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.clock = ManualClock()
        self.box = Sandbox(clock=SandboxClock(self.clock))
        self.store = MemoryStore()
        self.orders = Orders(
            client_of(self.box), self.store, policy or Policy(dry_run=False, sender=OURS), self.clock
        )

    async def quoted(self, text: str = "Hej!", key: str | None = None) -> Quote:
        return await self.orders.quote(
            self.orders.draft(PHONE.e164, text, key=key), live=True, answering=True
        )

    async def asked(self, text: str = "Hej!", key: str | None = None) -> Quote:
        """Quote a text and keep the quote, as one does while a person is asked."""
        quote = await self.quoted(text, key)
        await self.orders.keep(quote)
        return quote

    async def agreed(self, quote: Quote) -> Order:
        return await self.orders.place(Approval(quote=quote, approver=Approver.PERSON))

    @property
    def prices_asked(self) -> int:
        return len(posts(self.box, dry_run=True))


@pytest.fixture
def house() -> House:
    return House()


# ── drafts ──


def test_a_draft_is_read_as_people_write(house: House) -> None:
    draft = house.orders.draft("070-174 06 05", "Hej!", "Kliniken", flash=True, key="k")
    assert (draft.to, draft.sender) == (PHONE, SenderId("Kliniken"))
    assert (draft.text, draft.flash, draft.idempotency_key) == ("Hej!", True, "k")


def test_a_draft_without_a_sender_comes_from_the_operators(house: House) -> None:
    assert house.orders.draft(PHONE.e164, "Hej!").sender == OURS


def test_a_draft_without_any_sender_names_the_variable() -> None:
    with pytest.raises(Misconfigured) as caught:
        House(Policy()).orders.draft(PHONE.e164, "Hej!")
    assert "ELKS_PHONE_NUMBER" in caught.value.hint


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "a\x00b", "a\x1bb", "a\ud83d", "x" * 39_016])
def test_a_text_that_cannot_be_sent_is_refused(house: House, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        house.orders.draft(PHONE.e164, text)
    assert len(caught.value.explain()) < 300


@pytest.mark.parametrize("text", ["x", "line\nbreak\r\n", "tab\there", " spaced ", "€ 👍🏽", "x" * 39_015])
def test_a_text_that_can_be_sent_stays_as_it_is(house: House, text: str) -> None:
    assert house.orders.draft(PHONE.e164, text).text == text


@pytest.mark.parametrize(("key", "fine"), [("k" * 128, True), ("k" * 129, False)])
def test_a_key_has_a_length(house: House, key: str, fine: bool) -> None:
    if fine:
        assert house.orders.draft(PHONE.e164, "Hej!", key=key).idempotency_key == key
        return
    with pytest.raises(InvalidInput, match="128"):
        house.orders.draft(PHONE.e164, "Hej!", key=key)


# ── quotes ──


async def test_a_quote_says_price_size_and_findings(house: House) -> None:
    quote = await house.quoted("Se https://example.com €")
    assert str(quote.estimate.price) == "0.52 SEK"
    assert quote.size.parts == 1
    assert "link" in {finding.guard for finding in quote.of(Effect.ASK)}
    assert quote.quoted_at == house.clock.now()
    assert house.box.accepted == []


async def test_a_refused_draft_lists_all_findings_refusals_first() -> None:
    house = House(NORWEGIAN)
    draft = house.orders.draft(PHONE.e164, "Se https://example.com")
    with pytest.raises(Refused) as caught:
        await house.orders.quote(draft, live=True)
    said = str(caught.value)
    assert said.index("allowed_country: ") < said.index("link: ")
    assert "placeholder: " in said


async def test_findings_are_told_even_where_46elks_cannot_price() -> None:
    house = House(NORWEGIAN)
    house.box.faults.inject(Fault.CONNECTION_REFUSED, times=None)
    with pytest.raises(Refused, match="allowed_country: "):
        await house.quoted()
    house = House()
    house.box.faults.inject(Fault.CONNECTION_REFUSED, times=None)
    with pytest.raises(ProviderError):
        await house.quoted()


async def test_an_examination_lists_refusals_and_refuses_nothing() -> None:
    house = House(NORWEGIAN)
    quote = await house.orders.examine(house.orders.draft(PHONE.e164, "Hej"), live=True)
    assert "allowed_country" in {finding.guard for finding in quote.of(Effect.REFUSE)}


def test_findings_are_listed_by_weight() -> None:
    said = [(Effect.WARN, "night"), (Effect.ASK, "link"), (Effect.REFUSE, "placeholder")]
    findings = tuple(Finding(guard=name, effect=effect, reason="So.") for effect, name in said)
    said_so = listed(findings)
    assert said_so.index("placeholder: So.") < said_so.index("link: So.") < said_so.index("night: So.")


async def test_a_kept_quote_stays_the_same_for_ten_minutes(house: House) -> None:
    quote = await house.asked()
    house.clock.advance(QUOTE_KEPT)
    assert await house.quoted() == quote
    assert house.prices_asked == 1
    house.clock.advance(SECOND)
    assert (await house.quoted()).id != quote.id
    assert house.prices_asked == 2


async def test_only_the_same_draft_finds_a_kept_quote(house: House) -> None:
    quote = await house.asked()
    assert (await house.quoted("Hej igen!")).id != quote.id
    assert (await house.quoted(key="k")).id != quote.id


async def test_a_quote_that_nobody_keeps_is_made_anew(house: House) -> None:
    assert (await house.quoted()).id != (await house.quoted()).id


async def test_a_dry_run_never_takes_a_kept_quote(house: House) -> None:
    quote = await house.asked()
    assert (await house.orders.quote(quote.draft, live=False)).id != quote.id


async def test_a_no_drops_the_quote(house: House) -> None:
    quote = await house.asked()
    await house.orders.drop(quote)
    assert (await house.quoted()).id != quote.id
    with pytest.raises(NotApproved):
        await house.agreed(quote)


# ── orders ──


async def test_a_placed_order_is_what_was_approved(house: House) -> None:
    quote = await house.asked()
    order = await house.agreed(quote)
    assert (order.quote, order.approver, order.state) == (quote, Approver.PERSON, OrderState.QUEUED)
    assert await house.orders.find_order(order.id) == order
    assert await house.store.list_queued() == (order,)


async def test_a_persons_yes_is_good_for_one_order(house: House) -> None:
    quote = await house.asked()
    await house.agreed(quote)
    with pytest.raises(NotApproved):
        await house.agreed(quote)
    assert len(await house.store.list_queued()) == 1


async def test_a_persons_yes_is_no_good_for_a_quote_that_was_not_asked_about(house: House) -> None:
    kept = await house.asked()
    forged = kept.model_copy(update={"estimate": kept.estimate.model_copy(update={"parts": 9})})
    for other in (await house.quoted("Hej igen!"), kept.model_copy(update={"id": "Q-OTHER"}), forged):
        with pytest.raises(NotApproved):
            await house.agreed(other)
    assert (await house.agreed(kept)).quote == kept


async def test_a_yes_that_comes_too_late_is_no_good(house: House) -> None:
    quote = await house.asked()
    house.clock.advance(QUOTE_KEPT + SECOND)
    with pytest.raises(NotApproved):
        await house.agreed(quote)
    assert await house.store.list_queued() == ()


async def test_placing_by_policy_uses_up_a_kept_quote(house: House) -> None:
    quote = await house.asked()
    await house.orders.place(Approval(quote=quote, approver=Approver.POLICY))
    with pytest.raises(NotApproved):
        await house.agreed(quote)


async def test_a_repeated_key_stands_for_the_order_it_was_first_used_for(house: House) -> None:
    first = await house.agreed(await house.asked(key="k"))
    again = await house.orders.place(Approval(quote=await house.quoted(key="k"), approver=Approver.POLICY))
    assert again == first
    assert await house.orders.find_repeated(first.quote.draft) == first
    assert await house.orders.find_repeated(house.orders.draft(PHONE.e164, "Hej!", key="other")) is None
    assert await house.orders.find_repeated(house.orders.draft(PHONE.e164, "Hej!")) is None


async def test_a_key_used_for_something_else_names_what_differs(house: House) -> None:
    await house.agreed(await house.asked(key="k"))
    other = house.orders.draft("+46701740606", "Hej då!", "Kliniken", flash=True, key="k")
    with pytest.raises(InvalidInput, match="another to, message, from, flashsms"):
        await house.orders.find_repeated(other)
    with pytest.raises(InvalidInput):
        await house.orders.place(
            Approval(
                quote=(await house.quoted()).model_copy(update={"draft": other}), approver=Approver.POLICY
            )
        )
    assert len(await house.store.list_queued()) == 1


async def test_without_a_key_the_same_text_twice_is_two_orders(house: House) -> None:
    quote = await house.quoted()
    for _ in range(2):
        await house.orders.place(Approval(quote=quote, approver=Approver.POLICY))
    assert len({order.id for order in await house.store.list_queued()}) == 2


async def test_an_order_is_found_by_its_number_only(house: House) -> None:
    assert await house.orders.find_order("s" + "0" * 32) is None
    with pytest.raises(NotFound):
        await house.orders.find_order("O-NOSUCH")


async def test_the_queue_is_in_the_order_of_whose_turn_it_is() -> None:
    store = MemoryStore()
    start = ManualClock().now()
    late = an_order(1, at=start).model_copy(update={"not_before": start + 9 * SECOND})
    for order in (late, an_order(2, at=start + 2 * SECOND), an_order(3, at=start + SECOND)):
        await store.place_order(order)
    assert [order.id[-1] for order in await store.list_queued()] == ["3", "2", "1"]
