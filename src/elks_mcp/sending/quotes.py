"""Quotes of one caller's drafts: the price at 46elks, and what the guards find."""

from collections.abc import Iterable, Mapping

from elks_mcp.domain.contacts import quote_name
from elks_mcp.domain.conversation import quote
from elks_mcp.domain.models import Direction, Message, Recall
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Effect, Estimate, Finding, Quote, of_effect
from elks_mcp.domain.taint import ShownText, TaintLog, find_taint, list_shown_texts
from elks_mcp.elks.client import ElksClient
from elks_mcp.errors import InvalidInput, NotFound, ProviderError, Refused, UnknownPrice
from elks_mcp.sending.checks import DraftChecks, listed, refusing_guards
from elks_mcp.sending.prices import PriceClass, check_prices, get_prices
from elks_mcp.store import Storage


class Quotes:
    """Prices drafts and runs the guards on them, for one caller.

    `may_quote`: whether findings may quote what the recipient wrote.
    """

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
        self._checks = checks
        self._caller = caller
        self._may_quote = may_quote and not checks.policy.hides_unknown

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
            raise self._refuse(draft, quote.findings)
        return quote

    async def examine(self, draft: Draft, *, live: bool, recall: Recall | None = None) -> Quote:
        """Price a draft and return all findings of the guards, refusals included.

        Raises:
            Refused: a guard refuses, and 46elks cannot price the draft either.
            ProviderError: 46elks cannot price the draft.
            StateUnavailable: the store cannot be read, and the guards need it.
        """
        recall = recall or await self._recall(draft, live=live)
        if live or draft.sender not in self._checks.policy.senders:
            await self._checks.own_numbers.read()
        quoted = await self._find_opt_out_text(draft, recall)
        try:
            estimate = await self._client.get_estimate(draft)
        except (ProviderError, UnknownPrice):
            findings = self._find(draft, None, recall, live=live, quoted=quoted)
            if of_effect(findings, Effect.REFUSE):
                raise self._refuse(draft, findings) from None
            raise
        return Quote(
            draft=draft,
            estimate=estimate,
            findings=self._find(draft, estimate, recall, live=live, quoted=quoted),
            quoted_at=self._checks.clock.now(),
        )

    async def get_prices(self, drafts: Iterable[Draft]) -> Mapping[PriceClass, Estimate | ProviderError]:
        """Return what drafts cost, by their class. Raises the error of `get_prices`."""
        return await get_prices(self._client, drafts)

    async def check_prices(self, approved: Iterable[tuple[Draft, Money]]) -> None:
        """Check that no draft costs more now than was approved. Raises the errors of `check_prices`."""
        await check_prices(self._client, approved)

    def _refuse(self, draft: Draft, findings: tuple[Finding, ...]) -> Refused:
        """Return the refusal, with the recipient's name in the contacts.

        No guard names a contact, since findings are stored with the order, and contacts are not stored.
        """
        name = self._checks.contacts.known.find_name(draft.to)
        recipient = [f"The recipient is {quote_name(name)}."] if name else []
        return Refused(" ".join([listed(findings), *recipient]), guards=refusing_guards(findings))

    @property
    def shown(self) -> tuple[ShownText, ...]:
        """The texts of strangers that were shown to the caller's model in the last 30 minutes."""
        return self._taint_log.list_active(self._checks.clock.now())

    async def _find_opt_out_text(self, draft: Draft, recall: Recall | None) -> str:
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
        now = self._checks.clock.now()
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
        taint = find_taint(self.shown, draft.to)
        return self._checks.find(draft, estimate, recall, live=live, quoted=quoted, taint=taint)

    async def _recall(self, draft: Draft, *, live: bool) -> Recall | None:
        """Read what the store knows about the recipient; pricing alone does not create a store."""
        if not live and not self._storage.exists:
            return None
        store = await self._storage.open()
        return await store.orders.recall(draft, self.shown)
