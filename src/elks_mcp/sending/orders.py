"""Read, price and find the texts of one caller: draft, quote, order."""

from elks_mcp.domain.cleaning import is_blank
from elks_mcp.domain.conversation import quote
from elks_mcp.domain.models import Direction, Message, Recall
from elks_mcp.domain.orders import (
    Approval,
    Approver,
    Draft,
    Effect,
    Estimate,
    Finding,
    Order,
    Quote,
    is_order_number,
    of_effect,
)
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, Sender, parse_sender
from elks_mcp.domain.signature import sign
from elks_mcp.domain.taint import ShownText, TaintLog, find_taint, list_shown_texts
from elks_mcp.domain.text import find_unsendable
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import InvalidInput, Misconfigured, NotFound, ProviderError, Refused
from elks_mcp.sending.checks import DraftChecks, listed, refusing_guards
from elks_mcp.store import Pace, Placed, PriorOrders, Storage

_LONGEST_KEY = 128
LONGEST_TEXT = 5000
"""Characters: 33 parts, more than the guard `too_many_parts` allows by default."""


class Orders:
    """The drafts, quotes and orders of one caller."""

    def __init__(
        self,
        client: ElksClient,
        storage: Storage,
        taint_log: TaintLog,
        checks: DraftChecks,
        caller: str = "",
        *,
        may_quote: bool = True,
    ) -> None:
        self._client = client
        self._storage = storage
        self._taint_log = taint_log
        self.checks = checks
        self._policy = checks.policy
        self._clock = checks.clock
        self._caller = caller
        self._may_quote = may_quote and not self._policy.hides_unknown
        """Whether findings may quote what the recipient wrote."""

    def of(self, caller: str, taint_log: TaintLog, client: ElksClient, *, may_quote: bool) -> "Orders":
        """Return the same for another caller.

        Args:
            caller: their agent's name, under which their orders are stored.
            taint_log: the texts of strangers that were shown to their model.
            client: counts their requests to 46elks.
            may_quote: whether they may read received texts, so that findings may quote them.
        """
        return Orders(client, self._storage, taint_log, self.checks, caller, may_quote=may_quote)

    def draft(
        self,
        to: Number,
        message: str,
        sender: str | None = None,
        *,
        flash: bool = False,
        key: str | None = None,
        asks: bool = False,
    ) -> Draft:
        """Return a draft read from what the caller gave, with the operator's signature.

        `asks`: the caller waits for an answer.

        Raises:
            InvalidInput: the text, the sender or the key cannot be used.
            Misconfigured: no sender was given and none is configured.
        """
        home, text = self._policy.home, sign(_read_text(message), self._policy.signature)
        if key and len(key) > _LONGEST_KEY:
            raise InvalidInput(f"The idempotencyKey is longer than {_LONGEST_KEY} characters.")
        return Draft(
            to=to,
            payload=Sms(text=text, flash=flash),
            sender=parse_sender(sender, home) if sender else self._default_sender(),
            idempotency_key=key or None,
            caller=self._caller,
            asks=asks,
        )

    async def quote(self, draft: Draft, *, live: bool, recall: Recall | None = None) -> Quote:
        """Price a draft at 46elks and run the guards; nothing is sent.

        `recall`: what the store knows about the recipient, if it was already read.

        Raises:
            Refused: a guard refuses. The message holds all findings.
            ProviderError: 46elks cannot price the draft.
            StateUnavailable: the store cannot be read, and the guards need it.
        """
        quote = await self.examine(draft, live=live, recall=recall)
        if of_effect(quote.findings, Effect.REFUSE):
            raise Refused(listed(quote.findings), guards=refusing_guards(quote.findings))
        return quote

    async def examine(self, draft: Draft, *, live: bool, recall: Recall | None = None) -> Quote:
        """Price a draft and return all findings of the guards, refusals included.

        Raises:
            Refused: a guard refuses, and 46elks cannot price the draft either.
            ProviderError: 46elks cannot price the draft.
            StateUnavailable: the store cannot be read, and the guards need it.
        """
        recall = recall or await self._recall(draft, live=live)
        if live or draft.sender not in self._policy.senders:
            await self.checks.own_numbers.read()
        quoted = await self._find_quote(draft, recall)
        try:
            estimate = await self._client.get_estimate(draft)
        except ProviderError:
            findings = self._find(draft, None, recall, live=live, quoted=quoted)
            if of_effect(findings, Effect.REFUSE):
                raise Refused(listed(findings), guards=refusing_guards(findings)) from None
            raise
        return Quote(
            draft=draft,
            estimate=estimate,
            findings=self._find(draft, estimate, recall, live=live, quoted=quoted),
            quoted_at=self._clock.now(),
        )

    async def find_prior(self, draft: Draft) -> PriorOrders:
        """Find the order that a draft repeats, and the identical one that waits for a person.

        A repeat has the same key, or the same recipient, sender and text a short while later.

        Raises:
            InvalidInput: the key was used for another message.
        """
        store = await self._storage.open()
        return await store.orders.find_prior(draft, dedupe=self.checks.dedupes, shown=self._shown)

    async def find_order(self, number: str) -> Order | None:
        """Find an order of the caller by its id, its approval number, or 46elks' id of its message.

        Raises:
            NotFound: the number is an order id or approval number, and the caller has no such order.
        """
        is_ours = is_order_number(number)
        if not self._storage.exists:
            if is_ours:
                raise NotFound("No order has that number.", hint="No order was ever placed here.")
            return None
        store = await self._storage.open()
        if is_ours:
            return await store.orders.get(number, caller=self._caller)
        return await store.orders.find(number, self._caller)

    async def was_shown_others(self, recipient: Number | None) -> bool:
        """Return whether the caller's model was recently shown texts of others than a recipient.

        `recipient`: None if a person asked to be forgotten; then every text is another's.
        """
        number = recipient.e164 if recipient else ""
        if any(each.sender != number for each in self._shown):
            return True
        if not self._storage.location.url:
            return False
        store = await self._storage.open()
        return await store.taint.was_shown_others(self._caller, number)

    async def place(self, approval: Approval, pace: Pace | None = None) -> Placed:
        """Store an order, to be sent or to wait for a person; or return the one that it repeats.

        `Outbox.place` is what callers use: it also has the order sent. `pace`: claim the order in the same
        transaction, if it can go out now at this pace.

        Raises:
            InvalidInput: the idempotency key was used for another message.
            Refused: a guard refuses because of what happened since the quote.
            NotApproved: a person has to approve the order by now, and no one was asked.
        """
        store = await self._storage.open()
        is_unasked = approval.approver is Approver.POLICY
        check = self.checks.recheck_unasked if is_unasked else self.checks.recheck
        return await store.orders.place(
            approval, check, dedupe=self.checks.dedupes, pace=pace, shown=self._shown
        )

    async def _find_quote(self, draft: Draft, recall: Recall | None) -> str:
        """Return the text by which the recipient opted out, or may have; "" if it cannot be read.

        A text that may be an opt-out can say anything, so quoting it counts as showing a stranger's text. A
        clear opt-out is only the word itself, so quoting it does not count.
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
            store = await self._storage.open()
            await store.taint.record(self._caller, list_shown_texts([message], now))

    def _find(
        self,
        draft: Draft,
        estimate: Estimate | None,
        recall: Recall | None,
        *,
        live: bool,
        quoted: str,
    ) -> tuple[Finding, ...]:
        taint = find_taint(self._shown, draft.to)
        return self.checks.find(draft, estimate, recall, live=live, quoted=quoted, taint=taint)

    async def _recall(self, draft: Draft, *, live: bool) -> Recall | None:
        """Read what the store knows about the recipient; pricing alone does not create a store."""
        if not live and not self._storage.exists:
            return None
        store = await self._storage.open()
        return await store.orders.recall(draft, self._shown)

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


def _read_text(message: str) -> str:
    """Return a text unchanged, after checking that it can be sent.

    Raises:
        InvalidInput: the text is blank, too long, or holds a character that cannot be sent.
    """
    if len(message) > LONGEST_TEXT:
        raise InvalidInput(
            f"The message has {len(message):,} characters; {LONGEST_TEXT:,} is the most.",
            hint="Shorten it, or send it as several texts.",
        )
    if not message.strip():
        raise InvalidInput("The message is empty.", hint="Give the text to send.")
    if odd := find_unsendable(message):
        raise InvalidInput(
            f"The message holds a character that cannot be sent: U+{ord(odd):04X}.", hint="Leave it out."
        )
    if is_blank(message):
        raise InvalidInput(
            "The message holds only invisible characters, and each part would be charged.",
            hint="Give the text to send.",
        )
    return message
