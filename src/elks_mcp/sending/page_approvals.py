"""Texts and batches that wait for a person, and decisions about them, for a sandbox's page."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from elks_mcp.domain.approval import explain_asking
from elks_mcp.domain.batches import Batch, BatchState
from elks_mcp.domain.cleaning import has_invisible
from elks_mcp.domain.mms_payload import Mms
from elks_mcp.domain.orders import NEVER_SENT, Effect, Order, OrderState, of_effect
from elks_mcp.domain.phone import written
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.send_times import describe_send_time
from elks_mcp.errors import ElksError, NotFound
from elks_mcp.sandbox.page_context import ShownBatch, WaitingText
from elks_mcp.sending.checks import KnownContacts
from elks_mcp.sending.outbox import Outbox
from elks_mcp.sending.page_batches import PageBatches
from elks_mcp.store import Storage

if TYPE_CHECKING:
    from elks_mcp.store.admin import OrderAdmin
    from elks_mcp.store.alert_admin import AlertAdmin, AlertRecord
    from elks_mcp.store.batch_admin import BatchAdmin, BatchRecord

DECLINED = "Declined by a person on the sandbox's page."
SHOWN_FOR = timedelta(minutes=5)
"""How long a batch is shown after it ended, and a plan that is not started after it was made."""


@dataclass(frozen=True, slots=True)
class PageApprovals:
    """The orders and batches of this server's state that wait for a person, of all callers."""

    outbox: Outbox
    storage: Storage
    policy: Policy
    contacts: KnownContacts

    async def list_waiting(self) -> list[WaitingText]:
        """List the texts that wait now, next to expire first. It opens no state."""
        if not self.storage.is_open:
            return []
        records = await (await self._open_admin()).list_waiting()
        orders = [each.order for each in records if each.order.approval_code and each.order.payload.is_known]
        return [*await self._list_alerts(), *(self._describe(order) for order in orders)]

    async def _list_alerts(self) -> list[WaitingText]:
        """List the alerts that wait now."""
        found = await (await self._open_alert_admin()).list_waiting()
        waiting = [(each.plan, each.alert) for each in found if each.plan and not each.alert.is_approved]
        if not waiting:
            return []
        from elks_mcp.sending.page_alerts import describe_alert  # noqa: PLC0415  (most servers have no alert)

        return [
            describe_alert(plan, alert.approval_code or "", self.policy, self.contacts.known)
            for plan, alert in waiting
        ]

    async def list_batches(self) -> list[ShownBatch]:
        """List the batches that wait, are planned or under way, or just ended. It opens no state."""
        if not self.storage.is_open:
            return []
        records = await (await self._open_batch_admin()).list_current(SHOWN_FOR)
        page = PageBatches(self.policy, self.contacts.known, self.outbox.pace.gap)
        return [page.describe(each.batch, each.plan) for each in records]

    async def decide(self, code: str, approved: bool) -> str:
        """Approve or decline the text, batch or alert with a code; return the outcome in words.

        The text goes the way of one that is approved in the client: guards and opt-outs are checked again.

        Raises:
            LookupError: that text, batch or alert does not wait any more.
        """
        if record := await (await self._open_batch_admin()).find(code):
            return await self._decide_batch(record, approved=approved)
        if alert := await (await self._open_alert_admin()).find(code):
            return await self._decide_alert(alert, approved=approved)
        return await self._decide_text(await self._get_waiting(code), approved=approved)

    async def _decide_text(self, order: Order, *, approved: bool) -> str:
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

    async def _decide_batch(self, record: "BatchRecord", *, approved: bool) -> str:
        batch, plan, store = record.batch, record.plan, await self.storage.open()
        if plan is None or batch.state is not BatchState.WAITING or batch.is_approved:
            raise _waits_no_longer(batch)
        if not approved:
            declined = await store.batch_approvals.decline(batch.id)
            if declined.state is not BatchState.CANCELLED:
                raise _waits_no_longer(declined)
            return "Declined. It is not started."
        try:
            approval = await (await self._open_batch_admin()).approve(batch.id, plan.digest)
        except ElksError as error:
            return f"Not approved, and it still waits: {error.explain()}"
        if not approval.batch.is_approved:
            raise _waits_no_longer(approval.batch)
        self.outbox.wake()
        return "Approved. It is started now."

    async def _decide_alert(self, record: "AlertRecord", *, approved: bool) -> str:
        alert, plan, admin = record.alert, record.plan, await self._open_alert_admin()
        from elks_mcp.domain.escalation import AlertState  # noqa: PLC0415  (most servers have no alert)

        if plan is None or alert.state is not AlertState.WAITING or alert.is_approved:
            raise LookupError(f"This alert no longer waits: it is {alert.state}.")
        if not approved:
            await admin.end(alert.id, DECLINED)
            return "Declined. Nobody is alerted."
        try:
            approval = await admin.approve(alert.id, plan.digest)
        except ElksError as error:
            return f"Not approved, and it still waits: {error.explain()}"
        if not approval.alert.is_approved:
            raise LookupError(f"This alert no longer waits: it is {approval.alert.state}.")
        return "Approved. It begins now."

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

    async def _open_batch_admin(self) -> "BatchAdmin":
        store = await self.storage.open()
        from elks_mcp.store.batch_admin import BatchAdmin  # noqa: PLC0415  (the store is loaded by now)

        return BatchAdmin(store.database)

    async def _open_alert_admin(self) -> "AlertAdmin":
        store = await self.storage.open()
        from elks_mcp.store.alert_admin import AlertAdmin  # noqa: PLC0415  (the store is loaded by now)

        return AlertAdmin(store.database)

    def _describe(self, order: Order) -> WaitingText:
        notes = [f"Note: {each.reason}" for each in of_effect(order.findings, Effect.WARN)]
        text, size = order.payload.shown_text, order.payload.describe_size(order.parts)
        details = {"Price": str(order.price), **({"Size": size} if size else {}), "Order": order.id}
        if when := describe_send_time(order, self.policy.time_zone):
            details = {"Goes out": when, **details}
        if order.to and (name := self.contacts.known.find_name(order.to)):
            details = {"Contact": name, **details}
        image = order.payload.image if isinstance(order.payload, Mms) else None
        if image:
            details["Picture"] = image.in_words
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
            picture=image.data_url if image else "",
        )


def _waits_no_longer(batch: Batch) -> LookupError:
    state = "approved" if batch.state is BatchState.WAITING and batch.is_approved else batch.state
    return LookupError(f"This batch no longer waits: it is {state}.")


def _no_longer(order: Order) -> LookupError:
    why = f" {order.status_reason}" if order.status_reason else ""
    return LookupError(f"This text no longer waits: it is {order.state}.{why}")
