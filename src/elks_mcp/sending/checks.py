"""Run the guards on a draft, when it is quoted and again before it goes out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from elks_mcp.domain.approval import PERSON_ONLY
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.guards import GUARD_NAMES, NOT_RECHECKED, Facts, check_draft, is_on
from elks_mcp.domain.models import Recall, Taint
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Effect, Estimate, Finding, of_effect
from elks_mcp.domain.policy import Policy, largest_day
from elks_mcp.elks.own_numbers import OwnNumbers
from elks_mcp.errors import NotApproved
from elks_mcp.runtime.clock import Clock
from elks_mcp.store import Refusal

_STATEFUL = frozenset({"opted_out", "daily_budget", "velocity"})
"""Guards whose result depends on the store, so it can change between the quote and the sending."""

_RECHECKED = frozenset(GUARD_NAMES) - NOT_RECHECKED.keys()
"""Guards that run again when a text goes out: the operator's rules may be others by then."""


class KnownContacts(Protocol):
    """The operator's contacts as of their last reading."""

    @property
    def known(self) -> Contacts:
        """The contacts in force."""
        ...

    @property
    def held(self) -> Contacts | None:
        """Contacts that no person has accepted, so that they are not used; None if there are none."""
        ...

    def explain_held(self) -> str:
        """Return why changed contacts are not used, and what to do."""
        ...

    async def read(self) -> Contacts:
        """Return the contacts in force, as of now. Raises Misconfigured if they cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class DraftChecks:
    """The guards of one policy.

    The store calls the methods that begin with `recheck` inside its transactions. Each returns why the order
    may not go on, or None.
    """

    policy: Policy
    own_numbers: OwnNumbers
    contacts: KnownContacts
    clock: Clock
    is_simulated: Callable[[], bool] = lambda: False
    """Returns whether a sandbox takes 46elks' place, as far as known; used for words only."""

    async def read_contacts(self) -> None:
        """Read the contacts if they decide who may be texted.

        Raises:
            Misconfigured: they cannot be read. Those of the last reading may be none at all.
            StateUnavailable: whether they were accepted cannot be read.
        """
        if self.policy.limits_to_contacts:
            await self.contacts.read()

    @property
    def dedupes(self) -> bool:
        """Whether an identical text shortly after another counts as a repeat of it."""
        return is_on("repeated", self.policy)

    def find(
        self,
        draft: Draft,
        estimate: Estimate | None,
        recall: Recall | None,
        *,
        live: bool,
        quoted: str = "",
        taint: Taint | None = None,
    ) -> tuple[Finding, ...]:
        """Return the findings of every guard.

        Args:
            draft: the text to check.
            estimate: 46elks' price; None if 46elks has not given one.
            recall: what the store knows about the recipient; None if the store was not read.
            live: whether the text would really be sent.
            quoted: the recipient's own text that is or may be an opt-out, cleaned; "" if there is none.
            taint: used only if `recall` is None; otherwise the recall holds it.
        """
        facts = self._build_facts(draft, estimate, recall, live=live)
        facts = facts.model_copy(update={"quote": quoted, "taint": recall.taint if recall else taint})
        return check_draft(draft, facts, self.policy)

    def _build_facts(
        self, draft: Draft, estimate: Estimate | None, recall: Recall | None, *, live: bool
    ) -> Facts:
        held = self.contacts.held
        return Facts(
            size=draft.payload.size,
            now=self.clock.now(),
            live=live,
            simulated=self.is_simulated(),
            estimate=estimate,
            recall=recall,
            own_numbers=self.own_numbers.known,
            contacts=self.contacts.known,
            held_contacts=held or Contacts(),
            why_held=self.contacts.explain_held() if held else "",
            taint=recall.taint if recall else None,
        )

    def recheck(self, draft: Draft, price: Money, recall: Recall) -> Refusal | None:
        """Check opt-outs, daily budget and velocity before an order is placed or released."""
        return self._list_refusals(draft, price, recall, _STATEFUL)

    def recheck_unasked(self, draft: Draft, price: Money, recall: Recall) -> Refusal | None:
        """Recheck an order that no person approved; parallel calls may have made approval necessary.

        Raises:
            NotApproved: a person has to approve it by now.
        """
        self._require_unasked(draft, price, recall, hint="Send it again: this time a person is asked.")
        return self._list_refusals(draft, price, recall, _STATEFUL)

    def recheck_last(self, draft: Draft, price: Money, recall: Recall) -> Refusal | None:
        """Check opt-outs, the daily budget and the operator's rules when an order is claimed.

        Rules about contacts are left out: a file that cannot be read for a moment would end orders for good.
        """
        return self._list_refusals(draft, price, recall, self._last_guards)

    def recheck_step(self, draft: Draft, price: Money, recall: Recall) -> Refusal | None:
        """Check a text or call of an alert when its step is placed, as `recheck_last`, and velocity."""
        return self._list_refusals(draft, price, recall, self._last_guards | {"velocity"})

    @property
    def _last_guards(self) -> frozenset[str]:
        by_contacts = {"allowed_recipient"} if self.policy.limits_to_contacts else set[str]()
        return _RECHECKED - by_contacts

    def recheck_row(self, draft: Draft, price: Money, recall: Recall) -> Refusal | None:
        """Check a row of a batch when it is placed. The daily budget is checked for the sum."""
        return self._list_refusals(draft, price, recall, (_STATEFUL | _RECHECKED) - {"daily_budget"})

    def recheck_row_unasked(self, draft: Draft, price: Money, recall: Recall) -> Refusal | None:
        """Recheck a row of a batch, or a message or call of an alert, that no person approved.

        An alert may call people at night.

        Raises:
            NotApproved: a person has to approve it by now.
        """
        hint = "Start it again: this time a person is asked."
        self._require_unasked(draft, price, recall, hint=hint, exempt=frozenset({"night"}))
        return self.recheck_row(draft, price, recall)

    def recheck_sum(self, price: Money, spent: Money) -> str:
        """Return why a sum exceeds the daily budget beside what is spent; "" if it does not."""
        most = largest_day(self.policy, price.currency)
        if spent + price <= most:
            return ""
        left = Money(max(0, most.units - spent.units), price.currency)
        return (
            f"Refused by daily_budget: The texts would cost {price}, and {left} is left of the {most} for "
            "any 24 hours. The operator can change that with ELKS_BUDGET_PER_DAY."
        )

    def _require_unasked(
        self, draft: Draft, price: Money, recall: Recall, *, hint: str, exempt: frozenset[str] = frozenset()
    ) -> None:
        """Raise NotApproved if a person has to approve a draft. `exempt`: guards that do not matter."""
        findings = self.find(draft, Estimate(price=price), recall, live=True)
        for each in of_effect(findings, Effect.ASK):
            if each.guard in PERSON_ONLY - exempt:
                raise NotApproved(each.reason, hint=hint)

    def _list_refusals(
        self, draft: Draft, price: Money, recall: Recall, guards: frozenset[str]
    ) -> Refusal | None:
        facts = self._build_facts(draft, Estimate(price=price), recall, live=True)
        refusing = of_effect(check_draft(draft, facts, self.policy, guards), Effect.REFUSE)
        if not refusing:
            return None
        names = frozenset(each.guard for each in refusing)
        budget = largest_day(self.policy, price.currency) if "daily_budget" in names else None
        return Refusal(listed(refusing), names, budget)


def refusing_guards(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """Return the names of the guards that refuse."""
    return tuple(each.guard for each in of_effect(findings, Effect.REFUSE))


def listed(findings: tuple[Finding, ...]) -> str:
    """Return all findings as one text, refusals first, each with its guard's name."""
    order = (Effect.REFUSE, Effect.ASK, Effect.WARN)
    sentences = sorted(findings, key=lambda finding: order.index(finding.effect))
    said_by = {Effect.REFUSE: "Refused by", Effect.ASK: "Also", Effect.WARN: "Also"}
    return " ".join(f"{said_by[each.effect]} {each.guard}: {each.in_words}" for each in sentences)
