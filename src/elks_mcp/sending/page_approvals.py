"""Texts that wait for a person, and decisions about them, for the page of a sandbox."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from elks_mcp.domain.approval import explain_asking
from elks_mcp.domain.cleaning import has_invisible
from elks_mcp.domain.orders import NEVER_SENT, Effect, Order, OrderState, of_effect
from elks_mcp.domain.phone import written
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.send_times import describe_send_time
from elks_mcp.errors import ElksError, NotFound
from elks_mcp.sandbox.page_context import WaitingText
from elks_mcp.sending.checks import KnownContacts
from elks_mcp.sending.outbox import Outbox
from elks_mcp.store import Storage

if TYPE_CHECKING:
    from elks_mcp.store.admin import OrderAdmin

DECLINED = "Declined by a person on the sandbox's page."


@dataclass(frozen=True, slots=True)
class PageApprovals:
    """The orders of this server's state that wait for a person, of all callers."""

    outbox: Outbox
    storage: Storage
    policy: Policy
    contacts: KnownContacts

    async def list_waiting(self) -> list[WaitingText]:
        """List the texts that wait now; next to expire first. No state is opened for that."""
        if not self.storage.is_open:
            return []
        records = await (await self._open_admin()).list_waiting()
        orders = [each.order for each in records if each.order.approval_code and each.order.payload.is_known]
        return [self._describe(order) for order in orders]

    async def decide(self, code: str, approved: bool) -> str:
        """Approve or decline the text with an approval code; return a sentence with the outcome.

        The text goes the way of one that is approved in the client: guards and opt-outs are checked again.

        Raises:
            LookupError: that text does not wait any more.
        """
        order = await self._get_waiting(code)
        if not approved:
            order = await self.outbox.cancel(order, DECLINED)
            if order.state is not OrderState.CANCELLED:
                raise _no_longer(order)
            return "Declined. It is not sent."
        try:
            placed = await self.outbox.approve(order)
        except ElksError as error:
            return f"Not approved, and it still waits: {error.explain()}"
        if placed.is_repeat:
            raise _no_longer(placed.order)
        if placed.order.state in NEVER_SENT:
            return f"Not sent: {placed.order.status_reason}"
        if when := describe_send_time(placed.order, self.policy.time_zone):
            return f"Approved. It goes out on {when}."
        return "Approved. It is sent now."

    async def _get_waiting(self, code: str) -> Order:
        try:
            order = (await (await self._open_admin()).get(code)).order
        except NotFound:
            raise LookupError("No text has that code.") from None
        if order.state is not OrderState.WAITING:
            raise _no_longer(order)
        return order

    async def _open_admin(self) -> "OrderAdmin":
        store = await self.storage.open()
        from elks_mcp.store.admin import OrderAdmin  # noqa: PLC0415  (the store is loaded by now)

        return OrderAdmin(store.database)

    def _describe(self, order: Order) -> WaitingText:
        notes = [f"Note: {each.reason}" for each in of_effect(order.findings, Effect.WARN)]
        text = order.text or ""
        details = {"Price": str(order.price), "Parts": str(order.parts), "Order": order.id}
        if when := describe_send_time(order, self.policy.time_zone):
            details = {"Goes out": when, **details}
        if order.to and (name := self.contacts.known.find_name(order.to)):
            details = {"Contact": name, **details}
        if order.payload.shown_as:
            details["Shown as"] = order.payload.shown_as
        if has_invisible(text):
            details["Contains"] = "invisible characters"
        return WaitingText(
            code=order.approval_code or "",
            to=order.to.e164 if order.to else "",
            sender=written(order.sender),
            message=text,
            reasons=(*(each.in_words for each in explain_asking(order, self.policy)), *notes),
            details=details,
        )


def _no_longer(order: Order) -> LookupError:
    why = f" {order.status_reason}" if order.status_reason else ""
    return LookupError(f"This text no longer waits: it is {order.state}.{why}")
