"""From what somebody wants to an order in the queue: draft, quote, approval, order."""

from elks_mcp.domain.cleaning import is_blank
from elks_mcp.domain.conversation import quote
from elks_mcp.domain.guards import Facts, check_draft, is_on
from elks_mcp.domain.models import Direction, Message, Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import (
    Approval,
    Approver,
    Draft,
    Effect,
    Estimate,
    Finding,
    Order,
    Quote,
    of_effect,
)
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, Sender, parse_number, parse_sender
from elks_mcp.domain.policy import PERSON_ONLY, Policy
from elks_mcp.domain.taint import ShownText, TaintLog, find_taint, list_shown_texts
from elks_mcp.domain.text import find_unsendable, measure
from elks_mcp.elks.client import ElksClient
from elks_mcp.elks.own_numbers import OwnNumbers
from elks_mcp.errors import InvalidInput, Misconfigured, NotApproved, NotFound, ProviderError, Refused
from elks_mcp.runtime.clock import Clock
from elks_mcp.store import Pace, Placed, PriorOrders, Storage

_LATEST = 200
"""Orders that are thought of when somebody begins to type a number."""

_LONGEST_KEY = 128
LONGEST_TEXT = 5000
"""Characters: 33 parts, more than the guard `too_many_parts` lets anybody send by default."""


class Orders:
    """Makes quotes of drafts and orders of approved quotes."""

    def __init__(
        self,
        client: ElksClient,
        storage: Storage,
        taint_log: TaintLog,
        own_numbers: OwnNumbers,
        policy: Policy,
        clock: Clock,
        caller: str = "",
        *,
        may_quote: bool = True,
    ) -> None:
        self._client = client
        self._storage = storage
        self._taint_log = taint_log
        self._own_numbers = own_numbers
        self._policy = policy
        self._clock = clock
        self._caller = caller
        self._may_quote = may_quote and not policy.hides_unknown
        """Whether the caller may be shown what the recipient wrote."""

    def of(self, caller: str, taint_log: TaintLog, client: ElksClient, *, may_quote: bool) -> "Orders":
        """Make and find those of another caller, who was shown other strangers' words.

        `may_quote`: the caller may read received texts, so findings may quote them.
        """
        rest = self._own_numbers, self._policy, self._clock
        return Orders(client, self._storage, taint_log, *rest, caller, may_quote=may_quote)

    def draft(
        self,
        to: str,
        message: str,
        sender: str | None = None,
        *,
        flash: bool = False,
        key: str | None = None,
        asks: bool = False,
    ) -> Draft:
        """Read what was asked for. `asks`: an answer is waited for.

        Raises:
            InvalidInput: a number, the text, the sender or the key makes no sense.
            Misconfigured: no sender was named and none is configured.
        """
        home, text = self._policy.home, _read_text(message)
        if key and len(key) > _LONGEST_KEY:
            raise InvalidInput(f"The idempotencyKey is longer than {_LONGEST_KEY} characters.")
        return Draft(
            to=parse_number(to, home),
            payload=Sms(text=text, flash=flash),
            sender=parse_sender(sender, home) if sender else self._default_sender(),
            idempotency_key=key or None,
            caller=self._caller,
            asks=asks,
        )

    async def quote(self, draft: Draft, *, live: bool, recall: Recall | None = None) -> Quote:
        """Ask 46elks for the price and hear the guards; nothing is sent.

        `recall`: what is remembered, where somebody looked already.

        Raises:
            Refused: a guard says no. All that the guards found is in the text.
            ProviderError: 46elks cannot price it.
            StateUnavailable: what the guards have to know cannot be read.
        """
        quote = await self.examine(draft, live=live, recall=recall)
        if of_effect(quote.findings, Effect.REFUSE):
            raise Refused(listed(quote.findings), guards=_name_refusing(quote.findings))
        return quote

    async def examine(self, draft: Draft, *, live: bool, recall: Recall | None = None) -> Quote:
        """Price a draft and list all that the guards find, refusals too.

        Raises:
            Refused: a guard says no, and 46elks cannot price it either.
            ProviderError: 46elks cannot price it.
            StateUnavailable: what the guards have to know cannot be read.
        """
        recall = recall or await self._recall(draft, live=live)
        if live or draft.sender not in self._policy.senders:
            await self._own_numbers.read()
        quoted = await self._find_quote(draft, recall)
        try:
            estimate = await self._client.get_estimate(draft)
        except ProviderError:
            findings = self._find(draft, None, recall, live=live, quoted=quoted)
            if of_effect(findings, Effect.REFUSE):
                raise Refused(listed(findings), guards=_name_refusing(findings)) from None
            raise
        return Quote(
            draft=draft,
            estimate=estimate,
            findings=self._find(draft, estimate, recall, live=live, quoted=quoted),
            quoted_at=self._clock.now(),
        )

    async def find_prior(self, draft: Draft) -> PriorOrders:
        """Say what a call repeats, by its idempotency key or by being the same again, and what waits.

        Raises:
            InvalidInput: the key was used for another message.
        """
        order_store = (await self._storage.open()).orders
        return await order_store.find_prior(draft, dedupe=self._dedupes, shown=self._shown)

    async def find_order(self, number: str) -> Order | None:
        """Find an order of the caller's by its own number, its approval's, or 46elks' id for its message.

        Raises:
            NotFound: it is the number of an order, and the caller has none by it.
        """
        is_ours = number.startswith((_ORDER, _APPROVAL))
        if not self._storage.exists:
            if is_ours:
                raise NotFound("There is no order by that number here.", hint="Nothing was ordered here yet.")
            return None
        order_store = (await self._storage.open()).orders
        return await (
            order_store.get(number, caller=self._caller)
            if is_ours
            else order_store.find(number, self._caller)
        )

    async def find_latest(self, to: Number) -> Order | None:
        """Find the latest order of the caller's to a number that 46elks accepted."""
        return await (await self._storage.open()).orders.find_latest(to, self._caller)

    async def list_latest(self) -> list[Order]:
        """List the latest orders of the caller's, the newest first; none where nothing was ever ordered."""
        if not self._storage.exists:
            return []
        return await (await self._storage.open()).orders.list_latest(_LATEST, self._caller)

    async def place(self, approval: Approval, pace: Pace | None = None) -> Placed:
        """Place the order, to be sent or to wait for a person; or return the one it repeats.

        `pace`: claim it as well, at this pace, if it need not wait for anybody or anything.

        Raises:
            InvalidInput: the idempotency key was used for another message.
            Refused: a guard minds what happened since the quote.
            NotApproved: a person has to agree by now, and none was asked.
        """
        order_store = (await self._storage.open()).orders
        check = self._recheck_unasked if approval.approver is Approver.POLICY else self.recheck
        return await order_store.place(approval, check, dedupe=self._dedupes, pace=pace, shown=self._shown)

    async def approve(self, order: Order) -> Placed:
        """Let a waiting order go, after a person's yes."""
        return await (await self._storage.open()).orders.approve(order.id, self.recheck)

    async def cancel(self, order: Order, why: str) -> Order:
        """Cancel an order that waits or is queued; return how it stands."""
        return await (await self._storage.open()).orders.cancel(order.id, why)

    def recheck(self, draft: Draft, price: Money, recall: Recall) -> str:
        """Hear again, before an order is placed or let go, the guards that what is remembered concerns."""
        return self._list_refusals(draft, price, recall, _OF_MEMORY)

    def _recheck_unasked(self, draft: Draft, price: Money, recall: Recall) -> str:
        """Recheck an order that nobody was asked about: other calls may have spread texts meanwhile.

        Raises:
            NotApproved: a person has to agree by now.
        """
        findings = self._find(draft, Estimate(price=price), recall, live=True)
        for each in of_effect(findings, Effect.ASK):
            if each.guard in PERSON_ONLY:
                raise NotApproved(each.reason, hint="Call again: this time a person is asked.")
        return self._list_refusals(draft, price, recall, _OF_MEMORY)

    def recheck_last(self, draft: Draft, price: Money, recall: Recall) -> str:
        """Hear, just before a text goes out, who said STOP and what is spent; the rest was heard."""
        return self._list_refusals(draft, price, recall, _OF_MEMORY - {"velocity"})

    @property
    def _dedupes(self) -> bool:
        return is_on("repeated", self._policy)

    def _list_refusals(self, draft: Draft, price: Money, recall: Recall, guards: frozenset[str]) -> str:
        findings = self._find(draft, Estimate(price=price), recall, live=True)
        return listed(tuple(each for each in of_effect(findings, Effect.REFUSE) if each.guard in guards))

    async def _find_quote(self, draft: Draft, recall: Recall | None) -> str:
        """Fetch the text by which the recipient opted out, or may have; "" if it cannot be fetched.

        A text that may be an opt-out can say anything, so showing it counts as showing a stranger's text. A
        clear one is nothing but the word, and does not.
        """
        found = recall and (recall.opt_out or recall.maybe_opted_out)
        if not (recall and found and found.message_id and self._may_quote):
            return ""
        try:
            message = await self._client.get_message(found.message_id)
        except (ProviderError, NotFound, InvalidInput):
            return ""
        if message.direction is not Direction.INBOUND or message.sender != draft.to.e164:
            return ""
        if not recall.opted_out:
            await self._note_shown(message)
        return quote(message.text or "")

    async def _note_shown(self, message: Message) -> None:
        now = self._clock.now()
        self._taint_log.record([message], now)
        if self._storage.location.url:
            await (await self._storage.open()).taint.record(self._caller, list_shown_texts([message], now))

    def _find(
        self,
        draft: Draft,
        estimate: Estimate | None,
        recall: Recall | None,
        *,
        live: bool,
        quoted: str = "",
    ) -> tuple[Finding, ...]:
        facts = Facts(
            size=measure(draft.text),
            now=self._clock.now(),
            live=live,
            estimate=estimate,
            recall=recall,
            quote=quoted,
            own_numbers=self._own_numbers.known,
            taint=recall.taint if recall else find_taint(self._shown, draft.to),
        )
        return check_draft(draft, facts, self._policy)

    async def _recall(self, draft: Draft, *, live: bool) -> Recall | None:
        """Recall what bears on a draft. Who only prices does not make a store that is not there yet."""
        if not live and not self._storage.exists:
            return None
        return await (await self._storage.open()).orders.recall(draft, self._shown)

    @property
    def _shown(self) -> tuple[ShownText, ...]:
        return self._taint_log.list_active(self._clock.now())

    def _default_sender(self) -> Sender:
        if self._policy.sender is None:
            raise Misconfigured(
                "No sender is configured and none was given.",
                hint="Set ELKS_PHONE_NUMBER to a number of the 46elks account, or give `from`.",
            )
        return self._policy.sender


_OF_MEMORY = frozenset({"opted_out", "daily_budget", "velocity"})

_ORDER, _APPROVAL = "O-", "A-"


def _name_refusing(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    return tuple(each.guard for each in of_effect(findings, Effect.REFUSE))


def listed(findings: tuple[Finding, ...]) -> str:
    """Put what the guards found in one text, refusals first, each by the guard's name."""
    order = (Effect.REFUSE, Effect.ASK, Effect.WARN)
    sentences = sorted(findings, key=lambda finding: order.index(finding.effect))
    said_by = {Effect.REFUSE: "Refused by", Effect.ASK: "Also", Effect.WARN: "Also"}
    return " ".join(f"{said_by[each.effect]} {each.guard}: {each.in_words}" for each in sentences)


def _read_text(message: str) -> str:
    """Take a text as it is; one that is blank or endless, or has what no text can carry, is refused."""
    if len(message) > LONGEST_TEXT:
        raise InvalidInput(
            f"The message has {len(message):,} characters; {LONGEST_TEXT:,} is the most.",
            hint="Shorten it, or send it as several texts.",
        )
    if not message.strip():
        raise InvalidInput("The message is empty.", hint="Give the text that is to be sent.")
    if odd := find_unsendable(message):
        raise InvalidInput(
            f"The message holds a character that no text can carry: U+{ord(odd):04X}.", hint="Leave it out."
        )
    if is_blank(message):
        raise InvalidInput(
            "The message holds nothing but invisible characters, and each part would be charged.",
            hint="Give the text that is to be read.",
        )
    return message
