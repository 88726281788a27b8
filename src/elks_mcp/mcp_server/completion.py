"""Completing what a person types: the numbers of their texts, and whom they texted before."""

from mcp.server import MCPServer
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from elks_mcp.app import App
from elks_mcp.domain.orders import Order
from elks_mcp.mcp_server.scopes import app_of_caller

_MOST = 100
"""As many values as the protocol allows."""


def add_completions(server: MCPServer[App]) -> None:
    """Offer to complete `message_id` of a text, and `recipient` of a prompt."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,  # noqa: ARG001  (their arguments have names of their own)
        argument: CompletionArgument,
        context: CompletionContext | None,  # noqa: ARG001
    ) -> Completion | None:
        values_of = _VALUES.get(argument.name)
        if values_of is None:
            return None
        orders = await app_of_caller().orders.list_latest()
        values = dict.fromkeys(value for order in orders for value in values_of(order))
        wanted = argument.value.strip().casefold()
        found = [value for value in values if value.casefold().startswith(wanted)]
        return Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)


def _numbers_of(order: Order) -> tuple[str, ...]:
    return (order.id, order.receipt.message_id) if order.receipt else (order.id,)


def _recipient_of(order: Order) -> tuple[str, ...]:
    return (order.to.e164,) if order.to else ()


_VALUES = {"message_id": _numbers_of, "recipient": _recipient_of}
"""By the name of an argument, what it may be for an order."""
