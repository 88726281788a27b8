"""Plan a request to send something, and carry the plan out.

An interface, such as the MCP server, passes a `SendRequest` to `Planner.plan`. If the result is
`NeedsApproval`, the interface asks a person in its own way. `Planner.carry_out` then does the rest.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from elks_mcp.domain.approval import (
    APPROVAL_TIMEOUT,
    check_liftable,
    choose_approver,
    explain_asking,
    reasons_to_ask,
)
from elks_mcp.domain.kinds import CALL
from elks_mcp.domain.orders import NEVER_SENT, Approval, Approver, Draft, Finding, Order, Quote
from elks_mcp.domain.phone import Number, SenderId
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.send_times import check_no_time_zone, describe_send_time, parse_send_time
from elks_mcp.domain.wording import format_duration
from elks_mcp.errors import InvalidInput, NotApproved
from elks_mcp.runtime.clock import Clock
from elks_mcp.sending.orders import Orders
from elks_mcp.sending.outbox import Outbox
from elks_mcp.sending.send_requests import SendRequest
from elks_mcp.sending.server_setup import ServerSetup, check_can_wait, locate_approval
from elks_mcp.store import Placed, Storage

ANSWER_WITHIN = timedelta(minutes=5)
"""How long a person who is asked at the client has to answer. A later answer counts as declined."""


@dataclass(frozen=True, slots=True)
class DryRunOnly:
    """The request ends with its price; nothing is sent."""

    quote: Quote


@dataclass(frozen=True, slots=True)
class Repeated:
    """The request repeats an earlier one, which placed this order."""

    order: Order


@dataclass(frozen=True, slots=True)
class NeedsApproval:
    """The order is stored and waits for a person, for these reasons (at least one)."""

    order: Order
    reasons: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """The text can be sent without asking a person."""

    quote: Quote


Planned = DryRunOnly | Repeated | NeedsApproval | Ready
"""The outcome of a request before a person is asked."""


class Decision(StrEnum):
    """A person's decision about a waiting order, or why there is none."""

    APPROVED = "approved"
    DECLINED = "declined"
    DISMISSED = "dismissed"
    LATE = "no answer in time"
    CANNOT_ASK = "the client cannot ask"
    NOT_NEEDED = "not needed"


@dataclass(frozen=True, slots=True)
class Planner:
    """Sends texts for one caller, from the request to the placed order."""

    orders: Orders
    outbox: Outbox
    storage: Storage
    clock: Clock
    find_recipient: Callable[[str], Awaitable[Number]]
    """Returns the number that a caller means. Raises InvalidInput if that is unknown or ambiguous."""

    refresh_history: Callable[[], Awaitable[None]]
    """Reads the latest incoming texts, which may be opt-outs. Raises ProviderError if that is impossible."""

    setup: ServerSetup

    @property
    def policy(self) -> Policy:
        """The operator's rules."""
        return self.orders.checks.policy

    async def plan(self, request: SendRequest, *, can_ask: bool, is_answer: bool = False) -> Planned:
        """Return the plan for a request; the order is stored if a person has to approve it.

        Args:
            request: what to send.
            can_ask: whether the interface can ask a person and return the answer.
            is_answer: whether the call already carries a person's answer to the question about this order.

        Raises:
            InvalidInput: the request is not well-formed.
            Misconfigured: credentials or the sender are missing, or a setting's name is misspelled.
            Refused: a guard refuses.
            NotApproved: a person has to approve it, and no person can be asked.
            ProviderError: 46elks cannot price it, or history cannot be read.
            StateUnavailable: the store cannot be used.
        """
        self.setup.require_account(sender=not request.sender)
        draft = await self._read(request, is_answer=is_answer)
        lifts = request.dry_run is False and not self.policy.live
        if not lifts and (request.dry_run or not self.policy.live):
            return DryRunOnly(await self.orders.quotes.quote(draft, live=False))
        self.setup.require_clear_names()
        if lifts:
            may_ask = can_ask or self.setup.approval_page is not None
            undone = "send the text at its time" if draft.send_at else ""
            check_liftable(self.policy, can_ask=may_ask, undone=undone)
        await self.refresh_history()
        prior = await self.orders.find_prior(draft)
        if prior.repeated:
            return Repeated(prior.repeated)
        if prior.waiting and await self._may_ask_again(prior.waiting, can_ask=can_ask and not is_answer):
            return self._ask_about(prior.waiting)
        quote = await self.orders.quotes.quote(draft, live=True, recall=prior.recall)
        return await self._plan_live(quote, lifts=lifts, can_ask=can_ask)

    async def carry_out(self, planned: Repeated | NeedsApproval | Ready, decision: Decision) -> Placed:
        """Place or release the order of a request, if it needs no approval or a person approved it.

        `decision`: what the person decided, if the plan was `NeedsApproval`.

        Raises:
            NotApproved: the person declined, did not answer in time, or has to approve it in a terminal.
            Refused: a guard refuses because of what happened since the quote.
            ProviderError: history cannot be read, so an opt-out may have been missed.
        """
        match planned:
            case Repeated():
                return Placed(planned.order, is_repeat=True)
            case Ready():
                await self.refresh_history()  # the caller may have taken minutes since the plan
                approval = Approval(quote=planned.quote, approver=Approver.POLICY)
                return await self.outbox.place(approval, self.orders)
            case NeedsApproval():
                return await self._decide(planned, decision)

    def explain_waiting(self, needed: NeedsApproval, obstacle: str) -> str:
        """Return why an order waits, and where and until when a person can approve it.

        `obstacle`: why no person can be asked here, without a full stop.
        """
        order, within = needed.order, format_duration(APPROVAL_TIMEOUT)
        where = locate_approval(order.approval_code, self.setup.command, self.setup.approval_page)
        when = describe_send_time(order, self.policy.time_zone)
        later = f" It goes out on {when}." if when else ""
        return (
            f"Waiting for approval {order.approval_code}. {_in_words(needed.reasons)}{later} "
            f"{obstacle}, so someone must approve it within {within} {where}"
        )

    async def _read(self, request: SendRequest, *, is_answer: bool) -> Draft:
        draft = self.orders.draft(
            await self.find_recipient(request.to),
            request.build_payload(self.policy.signature),
            request.sender,
            key=request.idempotency_key,
            asks=request.awaits_reply,
        )
        if request.send_at:
            draft = draft.model_copy(update=self._read_time(request, draft.to, is_answer=is_answer))
        else:
            check_no_time_zone(request.time_zone)
        if request.awaits_reply and isinstance(draft.sender, SenderId):
            raise InvalidInput(
                f"The recipient cannot answer a text from a name such as {draft.sender.name}.",
                hint="Use a number of the account as sender, or send it without waiting for an answer.",
            )
        return draft

    def _read_time(self, request: SendRequest, to: Number, *, is_answer: bool) -> dict[str, object]:
        """Return when a draft goes out, as fields. Before an answer, that time may have passed."""
        at = parse_send_time(
            request.send_at,
            request.time_zone,
            to=to,
            home=self.policy.time_zone,
            now=self.clock.now(),
            passed=ANSWER_WITHIN if is_answer else timedelta(),
        )
        return {"send_at": at, "lateness": timedelta(minutes=self.policy.latest)}

    async def _may_ask_again(self, waiting: Order, *, can_ask: bool) -> bool:
        """Return whether a new question may be about an order that already waits.

        If that order's time to answer is over, it is cancelled: every answer to it would be late.
        """
        if not can_ask or not self._is_late(waiting):
            return True
        await self.outbox.cancel(waiting, "A new question replaced this one.")
        return False

    async def _plan_live(self, quote: Quote, *, lifts: bool, can_ask: bool) -> Planned:
        reasons = self._list_reasons(quote.findings, lifts=lifts)
        approver = choose_approver(self.policy, reasons, can_ask=can_ask)
        if approver is Approver.POLICY:
            return Ready(quote)
        if approver is Approver.TERMINAL:
            check_can_wait(self.storage, self.setup, _in_words(reasons), "Send it")
        placed = await self.outbox.place(Approval(quote=quote, approver=approver), self.orders)
        return Repeated(placed.order) if placed.is_repeat else self._ask_about(placed.order)

    def _ask_about(self, order: Order) -> NeedsApproval:
        simulated = self.orders.checks.is_simulated()
        return NeedsApproval(order, explain_asking(order, self.policy, simulated=simulated))

    def _list_reasons(self, findings: tuple[Finding, ...], *, lifts: bool) -> tuple[Finding, ...]:
        simulated = self.orders.checks.is_simulated()
        return reasons_to_ask(self.policy, findings, lifts_dry_run=lifts, simulated=simulated)

    async def _decide(self, needed: NeedsApproval, decision: Decision) -> Placed:
        """Release the order if it was approved in time; else cancel it, or leave it to a terminal."""
        if decision is Decision.CANNOT_ASK:
            raise NotApproved(
                self.explain_waiting(needed, "This client cannot ask a person"),
                hint=f"Tell the user that, then call {_name_status_tool(needed.order)}; "
                "do not send it again.",
            )
        if decision is Decision.APPROVED and self._is_late(needed.order):
            decision = Decision.LATE
        if decision is not Decision.APPROVED:
            order = await self.outbox.cancel(needed.order, explain_decline(decision))
            if order.state not in NEVER_SENT:  # approved elsewhere in the meantime
                return Placed(order, is_repeat=False)
            raise NotApproved(explain_decline(decision))
        return await self.outbox.approve(needed.order)

    def _is_late(self, order: Order) -> bool:
        """Return whether the time to answer at the client is over; in a terminal it is longer."""
        return order.approver is Approver.PERSON and self.clock.now() - order.placed_at > ANSWER_WITHIN


def _name_status_tool(order: Order) -> str:
    """Return the tool that shows what becomes of an order."""
    return "list_calls" if order.kind == CALL else f"check_sms_status ({order.id})"


def _in_words(reasons: tuple[Finding, ...]) -> str:
    return " ".join(reason.in_words for reason in reasons)


def explain_decline(decision: Decision, effect: str = "") -> str:
    """Return why something is not approved, and the effect; without one, what the caller can do."""
    cause, advice = _DECLINED.get(decision, _DECLINED[Decision.DECLINED])
    return f"{cause} {effect or advice}"


_DECLINED = {
    Decision.DECLINED: (
        "Declined by the person who was asked.",
        "Send it again only if they want that.",
    ),
    Decision.DISMISSED: (
        "Declined: the question was dismissed.",
        "Tell the person what the question was about.",
    ),
    Decision.LATE: (
        f"Declined: there was no answer within {format_duration(ANSWER_WITHIN)}.",
        "Ask again when a person can answer.",
    ),
}
"""The causes for which something is not approved, and what the caller can do."""
