"""Read, place and find the texts of one caller: drafts and orders."""

from elks_mcp.domain.orders import Approval, Approver, Draft, Order, parse_order_number
from elks_mcp.domain.payloads import Payload, build_sms
from elks_mcp.domain.phone import Number, Sender, SenderId, parse_sender
from elks_mcp.domain.taint import TaintLog
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import InvalidInput, Misconfigured, NotFound
from elks_mcp.sending.checks import DraftChecks
from elks_mcp.sending.quotes import Quotes
from elks_mcp.store import Pace, Placed, PriorOrders, Storage

_LONGEST_KEY = 128


class Orders:
    """The drafts and orders of one caller, and in `quotes` what prices them."""

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
        self.quotes = Quotes(client, storage, taint_log, checks, caller, may_quote=may_quote)
        self._storage = storage
        self.checks = checks
        self._policy = checks.policy
        self._caller = caller

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
        payload: Payload,
        sender: str | None = None,
        *,
        key: str | None = None,
        asks: bool = False,
    ) -> Draft:
        """Return a draft of a payload, from the sender that the caller gave.

        `asks`: the caller waits for an answer.

        Raises:
            InvalidInput: the sender or the key cannot be used.
            Misconfigured: no sender was given and none is configured.
        """
        if key and len(key) > _LONGEST_KEY:
            raise InvalidInput(
                f"The idempotency key is longer than {_LONGEST_KEY} characters.", hint="Use a shorter one."
            )
        found = parse_sender(sender, self._policy.home) if sender else self._default_sender()
        if payload.IS_SPOKEN and isinstance(found, SenderId):
            raise InvalidInput(
                f"A call comes from a number, and {found.name} is a name.",
                hint="Give a number of the account as sender.",
            )
        return Draft(
            to=to,
            payload=payload,
            sender=found,
            idempotency_key=key or None,
            caller=self._caller,
            asks=asks,
        )

    def draft_text(self, to: Number, message: str, sender: str | None = None) -> Draft:
        """Return a draft of a text, with the operator's signature.

        Raises:
            InvalidInput: the text or the sender cannot be used.
            Misconfigured: no sender was given and none is configured.
        """
        return self.draft(to, build_sms(message, self._policy.signature), sender)

    async def find_prior(self, draft: Draft) -> PriorOrders:
        """Find the order that a draft repeats, and the identical one that waits for a person.

        A repeat has the same key, or the same recipient, sender and text a short while later.

        Raises:
            InvalidInput: the key was used for another message.
        """
        store = await self._storage.open()
        return await store.orders.find_prior(draft, dedupe=self.checks.dedupes, shown=self.quotes.shown)

    async def find_order(self, text_id: str) -> Order | None:
        """Find an order of the caller by its id, its approval number, or 46elks' id of its message.

        Upper and lower case are the same in ids of ours, since a person may have typed them.

        Raises:
            NotFound: it is an order id or approval number, and the caller has no such order.
        """
        number = parse_order_number(text_id)
        if not self._storage.exists:
            if number:
                raise NotFound("No order has that id.", hint="No order was ever placed here. Check the id.")
            return None
        store = await self._storage.open()
        if number:
            return await store.orders.get(number, caller=self._caller)
        return await store.orders.find(text_id.strip(), self._caller)

    async def was_shown_others(self, recipient: Number | None) -> bool:
        """Return whether the caller's model was recently shown texts of others than a recipient.

        `recipient`: None if a person asked to be forgotten; then every text is another's.
        """
        number = recipient.e164 if recipient else ""
        if any(each.sender != number for each in self.quotes.shown):
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
            approval, check, dedupe=self.checks.dedupes, pace=pace, shown=self.quotes.shown
        )

    def _default_sender(self) -> Sender:
        if self._policy.sender is None:
            raise Misconfigured(
                "No sender is configured and none was given.",
                hint="Set ELKS_PHONE_NUMBER to a number of the 46elks account, or name a sender.",
            )
        return self._policy.sender
