"""Report the result of a request to cancel a text."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from elks_mcp.answers.structured import Answer
from elks_mcp.domain.approval import APPROVAL_TIMEOUT
from elks_mcp.domain.orders import NEVER_SENT, Order, OrderState
from elks_mcp.domain.wording import format_duration
from elks_mcp.sending.server_setup import locate_approval


class CancelAnswer(Answer):
    """The state of an order after a request to cancel it."""

    status: Annotated[str, Field(description="cancelled: it will not be sent.")]
    order_id: str
    summary: str

    @property
    def outcome(self) -> str:
        """The status."""
        return self.status

    def in_words(self) -> str:
        """Return the status, what it means, and the order."""
        return f"{self.summary}\nOrder {self.order_id}."


def report_cancelled(order: Order, command: Callable[[str], str], page: str | None = None) -> CancelAnswer:
    """Return the state of an order that was to be cancelled, and what it means.

    Args:
        order: the order as it is now.
        command: returns a command line about the order's state directory, to end a sentence with.
        page: the address of a page on which a person can approve the order, if there is one.
    """
    meaning = _explain(order, command, page)
    return CancelAnswer(
        status=order.state.replace(" ", "_"),
        order_id=order.id,
        summary=f"{order.state.capitalize()}: {meaning}",
    )


def _explain(order: Order, command: Callable[[str], str], page: str | None) -> str:
    if order.state in NEVER_SENT:
        return f"it was not sent, will not be sent, and costs nothing. {order.status_reason}".rstrip()
    match order.state:
        case OrderState.WAITING:
            within = format_duration(APPROVAL_TIMEOUT)
            where = locate_approval(order.approval_code, command, page)
            decline = f"To cancel it: {command(f'cancel {order.id}')}"
            return (
                f"it is paused, and is not sent unless a person approves it within {within}. Tell the user "
                f"to approve it {where} {'It can be declined there.' if page else decline}"
            )
        case OrderState.IN_DOUBT:
            return (
                "46elks may have it, so it cannot be cancelled. History is being read to find out. Call "
                "check_sms_status in a few minutes; if it is queued again, call cancel_sms again."
            )
        case OrderState.UNKNOWN:
            return (
                "it may have been sent, so it cannot be cancelled. A person can look at 46elks.com, under "
                f"SMS history, and record the result: {command(f'outbox resolve {order.id} --not-sent')}"
            )
        case _:
            return _LEFT.get(order.state, "it can no longer be cancelled.")


_LEFT = {
    OrderState.SENDING: "it is being handed to 46elks and can no longer be cancelled.",
    OrderState.SENT: "it has left and cannot be recalled.",
    OrderState.DELIVERED: "it has reached the phone and cannot be recalled.",
    OrderState.FAILED: "46elks accepted it, but it did not reach the phone. There is nothing to cancel.",
}
