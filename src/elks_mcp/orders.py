"""From what somebody wants to an order in the queue: draft, quote, approval, order."""

import secrets

from elks_mcp.client import ElksClient
from elks_mcp.clock import Clock
from elks_mcp.errors import InvalidInput, Misconfigured, ProviderError, Refused
from elks_mcp.guards import Facts, find
from elks_mcp.models import Approval, Draft, Effect, Estimate, Finding, Order, Quote
from elks_mcp.phone import Sender, parse_number, parse_sender
from elks_mcp.policy import Policy
from elks_mcp.store import MemoryStore
from elks_mcp.text import measure, unsendable

_LONGEST_KEY = 128
_LONGEST_TEXT = 255 * 153
"""Characters in as many parts as can be numbered (3GPP TS 23.040, 9.2.3.24.1)."""


class Orders:
    """Makes quotes of drafts and orders of approved quotes."""

    def __init__(self, client: ElksClient, store: MemoryStore, policy: Policy, clock: Clock) -> None:
        self._client = client
        self._store = store
        self._policy = policy
        self._clock = clock

    def draft(
        self, to: str, message: str, sender: str | None = None, *, flash: bool = False, key: str | None = None
    ) -> Draft:
        """Read what was asked for.

        Raises:
            InvalidInput: a number, the text, the sender or the key makes no sense.
            Misconfigured: no sender was named and none is configured.
        """
        home = self._policy.home
        if key and len(key) > _LONGEST_KEY:
            raise InvalidInput(f"The idempotencyKey is longer than {_LONGEST_KEY} characters.")
        return Draft(
            to=parse_number(to, home),
            text=_read_text(message),
            sender=parse_sender(sender, home) if sender else self._default_sender(),
            flash=flash,
            idempotency_key=key or None,
        )

    async def quote(self, draft: Draft, *, live: bool, answering: bool = False) -> Quote:
        """Ask 46elks for the price and hear the guards; nothing is sent.

        `answering`: a person's answer has come, so the quote they were shown is taken, if it is
        still kept; the question then stays the same, and 46elks is not asked again.

        Raises:
            Refused: a guard says no. All that the guards found is in the text.
            ProviderError: 46elks cannot price it.
        """
        if live and answering and (kept := await self._store.find_quote(draft, self._clock.now())):
            return kept
        quote = await self.examine(draft, live=live)
        if quote.of(Effect.REFUSE):
            raise Refused(listed(quote.findings))
        return quote

    async def examine(self, draft: Draft, *, live: bool) -> Quote:
        """Price a draft and list all that the guards find, refusals too.

        Raises:
            Refused: a guard says no, and 46elks cannot price it either.
            ProviderError: 46elks cannot price it.
        """
        try:
            estimate = await self._client.get_estimate(draft)
        except ProviderError:
            findings = self._find(draft, None, live=live)
            if any(finding.effect is Effect.REFUSE for finding in findings):
                raise Refused(listed(findings)) from None
            raise
        return Quote(
            id=_new_id(_QUOTE),
            draft=draft,
            size=measure(draft.text),
            estimate=estimate,
            findings=self._find(draft, estimate, live=live),
            quoted_at=self._clock.now(),
        )

    async def keep(self, quote: Quote) -> None:
        """Keep a quote while a person is asked about it."""
        await self._store.keep_quote(quote)

    async def drop(self, quote: Quote) -> None:
        """Forget a quote that a person did not want."""
        await self._store.drop_quote(quote.draft)

    async def find_repeated(self, draft: Draft) -> Order | None:
        """Find the order that a repeated idempotency key stands for.

        Raises:
            InvalidInput: the key was used for another message.
        """
        return await self._store.find_order_by_key(draft)

    async def find_order(self, number: str) -> Order | None:
        """Find an order by its own number or by 46elks' id for its message.

        Raises:
            NotFound: it is the number of an order, and there is none.
        """
        if number.startswith(_ORDER):
            return await self._store.get_order(number)
        return await self._store.find_order(number)

    async def place(self, approval: Approval) -> Order:
        """Place the order that was approved, or return the one its idempotency key stands for."""
        order = Order(
            id=_new_id(_ORDER),
            quote=approval.quote,
            approver=approval.approver,
            placed_at=self._clock.now(),
        )
        return await self._store.place_order(order)

    def _default_sender(self) -> Sender:
        if self._policy.sender is None:
            raise Misconfigured(
                "No sender is configured and none was given.",
                hint="Set ELKS_PHONE_NUMBER to a number of the 46elks account, or give `from`.",
            )
        return self._policy.sender

    def _find(self, draft: Draft, estimate: Estimate | None, *, live: bool) -> tuple[Finding, ...]:
        facts = Facts(size=measure(draft.text), now=self._clock.now(), live=live, estimate=estimate)
        return find(draft, facts, self._policy)


def listed(findings: tuple[Finding, ...]) -> str:
    """Put what the guards found in one text, refusals first, each by the guard's name."""
    order = (Effect.REFUSE, Effect.ASK, Effect.WARN)
    sentences = sorted(findings, key=lambda finding: order.index(finding.effect))
    said_by = {Effect.REFUSE: "Refused by", Effect.ASK: "Also", Effect.WARN: "Also"}
    return " ".join(f"{said_by[each.effect]} {each.guard}: {each.reason}" for each in sentences)


def _read_text(message: str) -> str:
    """Take a text as it is; one that is blank or endless, or has what no text can carry, is refused."""
    if not message.strip():
        raise InvalidInput("The message is empty.", hint="Give the text that is to be sent.")
    if len(message) > _LONGEST_TEXT:
        raise InvalidInput(f"The message is longer than any SMS can be: {len(message)} characters.")
    if odd := unsendable(message):
        raise InvalidInput(
            f"The message holds a character that no text can carry: U+{ord(odd):04X}.", hint="Leave it out."
        )
    return message


def _new_id(kind: str) -> str:
    """Make a number that a person can read aloud, without letters and digits that look alike."""
    return kind + "".join(secrets.choice(_READABLE) for _ in range(8))


_QUOTE, _ORDER = "Q-", "O-"
_READABLE = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
